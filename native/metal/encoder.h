// SPDX-License-Identifier: MIT
// What compute and blit encoders share: the command buffer they write to, and when to stop.
#pragma once

#import <Metal/Metal.h>

#include <memory>
#include <string>

#include "metal/submission.h"

@class MFACommandBuffer;

@interface MFAEncoder : NSObject <MTLCommandEncoder> {
 @public                                // MFARecording() reads them
  mfa::metal::Submission* _submission;  // lives as long as the command buffer, which is retained
  BOOL _ended;

 @private
  MFACommandBuffer* _buffer;
  NSString* _label;
}
@property(copy, atomic) NSString* label;
- (instancetype)initWithCommandBuffer:(MFACommandBuffer*)buffer;
/// A command came after -endEncoding.
- (void)failEnded;
/// The command buffer will end in this error, unless it has another one already.
- (void)fail:(std::string)message;
- (NSError*)mfaEncodingError;
@end

/// True if commands can be recorded: the encoder has not ended, nothing has failed so far. No
/// method, as every command asks.
inline bool MFARecording(MFAEncoder* encoder) {
  if (encoder->_ended) {
    [encoder failEnded];
    return false;
  }
  return encoder->_submission->open() && !encoder->_submission->failed();
}
