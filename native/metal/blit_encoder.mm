// SPDX-License-Identifier: MIT
// MTLBlitCommandEncoder: copies and fills between buffers.
#import "metal/blit_encoder.h"

#import "metal/buffer.h"

using mfa::metal::Memory;

@implementation MFABlitEncoder

/// The bytes of a range that lies inside the buffer; else null, and the reason is kept.
- (unsigned char*)bytesOf:(id<MTLBuffer>)buffer range:(NSRange)range as:(const char*)what {
  const auto* memory = MFAMemory(buffer);
  if (!memory) {
    [self fail:std::string(what) + ": expected a buffer of this device"];
    return nullptr;
  }
  const size_t length = (*memory)->length();
  if (range.location > length || range.length > length - range.location) {
    [self fail:std::string(what) + ": " + std::to_string(range.length) + " bytes at offset " +
               std::to_string(range.location) + "; the buffer has " + std::to_string(length)];
    return nullptr;
  }
  _submission->commands().keep(*memory);
  return (*memory)->data() + range.location;
}

- (void)fillBuffer:(id<MTLBuffer>)buffer range:(NSRange)range value:(uint8_t)value {
  if (!MFARecording(self)) return;
  unsigned char* target = [self bytesOf:buffer range:range as:"-fillBuffer:range:value:"];
  if (target) _submission->commands().fill(target, value, range.length);
}

- (void)copyFromBuffer:(id<MTLBuffer>)sourceBuffer
          sourceOffset:(NSUInteger)sourceOffset
              toBuffer:(id<MTLBuffer>)destinationBuffer
     destinationOffset:(NSUInteger)destinationOffset
                  size:(NSUInteger)size {
  if (!MFARecording(self)) return;
  const unsigned char* source = [self bytesOf:sourceBuffer
                                        range:NSMakeRange(sourceOffset, size)
                                           as:"-copyFromBuffer: source"];
  unsigned char* target = [self bytesOf:destinationBuffer
                                  range:NSMakeRange(destinationOffset, size)
                                     as:"-copyFromBuffer: destination"];
  if (source && target) _submission->commands().copy(target, source, size);
}

// All memory is the CPU's, and commands of a queue run in order: nothing to do.
- (void)synchronizeResource:(id<MTLResource>)resource {
  (void)resource;
}

- (void)updateFence:(id<MTLFence>)fence {
  (void)fence;
}

- (void)waitForFence:(id<MTLFence>)fence {
  (void)fence;
}

@end
