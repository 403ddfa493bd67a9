// SPDX-License-Identifier: MIT
// MTLCommandBuffer over submission.h.
#pragma once

#import <Metal/Metal.h>

#include <memory>
#include <vector>

#include "metal/submission.h"

@class MFACommandQueue;

@interface MFACommandBuffer : NSObject <MTLCommandBuffer> {
 @private
  MFACommandQueue* _queue;
  std::shared_ptr<mfa::metal::Submission>* _submission;
  std::vector<std::shared_ptr<void>>*_scheduled, *_completed;  // blocks, until commit
  MTLCommandBufferErrorOption _errorOptions;
  NSString* _label;
  BOOL _encoding;  // an encoder has been made and not ended
}
@property(copy, atomic) NSString* label;
- (instancetype)initWithQueue:(MFACommandQueue*)queue
                        state:(std::shared_ptr<mfa::metal::Queue>)state
                 errorOptions:(MTLCommandBufferErrorOption)options;
- (const std::shared_ptr<mfa::metal::Submission>&)submission;
/// Called by an encoder: the next one may be made.
- (void)encoderEnded;
@end
