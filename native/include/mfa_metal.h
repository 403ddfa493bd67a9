/* SPDX-License-Identifier: MIT */
/* mfa.h for Objective-C programs that use Metal themselves: with Metal's types instead of void *.
 */
#ifndef MFA_METAL_H
#define MFA_METAL_H

#ifndef __OBJC__
#error "mfa_metal.h is for Objective-C and Objective-C++; all of it is in mfa.h with void *"
#endif

#import <Metal/Metal.h>

#include "mfa.h"

#if __has_feature(objc_arc)
#define MFA_BRIDGE __bridge
#else
#define MFA_BRIDGE
#endif
#define MFA_TYPED static inline __attribute__((overloadable))

/* The Metal objects behind handles; nil where there is none, and mfa_last_error() says why. None is
 * retained for the caller. */

MFA_TYPED id<MTLDevice> mfa_metal_device(mfa_device device) {
  void* metal = NULL;
  mfa_device_metal(device, &metal);
  return (MFA_BRIDGE id<MTLDevice>)metal;
}

MFA_TYPED id<MTLBuffer> mfa_metal_buffer(mfa_buffer buffer) {
  void* metal = NULL;
  mfa_buffer_metal(buffer, &metal);
  return (MFA_BRIDGE id<MTLBuffer>)metal;
}

/* Before the commit. */
MFA_TYPED id<MTLComputeCommandEncoder> mfa_metal_encoder(mfa_commands commands) {
  void* metal = NULL;
  mfa_commands_metal(commands, &metal);
  return (MFA_BRIDGE id<MTLComputeCommandEncoder>)metal;
}

/* Handles for Metal objects: see the functions of the same names in mfa.h. */

MFA_TYPED mfa_status mfa_device_of_metal(id<MTLDevice> metal, mfa_device* device) {
  return mfa_device_of_metal((MFA_BRIDGE void*)metal, device);
}

MFA_TYPED mfa_status mfa_buffer_wrap_metal(mfa_device device, id<MTLBuffer> metal,
                                           mfa_buffer* buffer) {
  return mfa_buffer_wrap_metal(device, (MFA_BRIDGE void*)metal, buffer);
}

MFA_TYPED mfa_status mfa_commands_wrap(mfa_device device, id<MTLComputeCommandEncoder> encoder,
                                       mfa_commands* commands) {
  return mfa_commands_wrap(device, (MFA_BRIDGE void*)encoder, commands);
}

#undef MFA_TYPED
#undef MFA_BRIDGE

#endif
