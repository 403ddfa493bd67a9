// SPDX-License-Identifier: MIT
// MTLBlitCommandEncoder: copies and fills between buffers.
#pragma once

#import "metal/encoder.h"

@interface MFABlitEncoder : MFAEncoder <MTLBlitCommandEncoder>
@end
