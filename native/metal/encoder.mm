// SPDX-License-Identifier: MIT
// What compute and blit encoders share.
#import "metal/encoder.h"

#include <utility>

#import "metal/command_buffer.h"
#import "metal/errors.h"

using mfa::metal::Fault;

@implementation MFAEncoder
@synthesize label = _label;

- (instancetype)initWithCommandBuffer:(MFACommandBuffer*)buffer {
  if ((self = [super init])) {
    _buffer = [buffer retain];
    _submission = [buffer submission].get();
  }
  return self;
}

- (void)dealloc {
  if (!_ended) {
    [self fail:"an encoder was released before -endEncoding"];
    [_buffer encoderEnded];
  }
  [_label release];
  [_buffer release];
  [super dealloc];
}

- (id<MTLDevice>)device {
  return [_buffer device];
}

- (void)failEnded {
  [self fail:"a command was encoded after -endEncoding"];
}

- (void)fail:(std::string)message {
  if (!_submission->open()) return;
  if (const char* group = _submission->commands().group())
    message = '"' + std::string(group) + "\": " + message;
  _submission->fail(Fault::invalid_resource, std::move(message));
}

- (NSError*)mfaEncodingError {
  if (_submission->failed()) {
    return MFACommandBufferFailure(static_cast<MTLCommandBufferError>(_submission->fault()),
                                   _submission->message());
  }
  if (!_ended) return nil;
  return MFACommandBufferFailure(MTLCommandBufferErrorInvalidResource,
                                 "the encoder has ended: nothing more can be encoded");
}

- (void)endEncoding {
  if (_ended) return;
  _ended = YES;
  [_buffer encoderEnded];
}

- (void)insertDebugSignpost:(NSString*)string {
  (void)string;
}

- (void)pushDebugGroup:(NSString*)string {
  if (MFARecording(self)) [_buffer pushDebugGroup:string];
}

- (void)popDebugGroup {
  if (MFARecording(self)) [_buffer popDebugGroup];
}

@end
