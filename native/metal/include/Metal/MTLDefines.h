// SPDX-License-Identifier: MIT
// Linkage and availability macros of the Metal headers.
#pragma once

#import <Foundation/Foundation.h>
#import <dispatch/dispatch.h>

#ifdef __cplusplus
#define MTL_EXTERN extern "C" __attribute__((visibility("default")))
#else
#define MTL_EXTERN extern __attribute__((visibility("default")))
#endif
#define MTL_EXPORT __attribute__((visibility("default")))

#ifndef API_AVAILABLE
#define API_AVAILABLE(...)
#define API_UNAVAILABLE(...)
#define API_DEPRECATED(...)
#define API_DEPRECATED_WITH_REPLACEMENT(...)
#endif
#ifndef NS_SWIFT_NAME
#define NS_SWIFT_NAME(...)
#endif

// Core Foundation's name for seconds; Foundation off Apple does not have it.
typedef double CFTimeInterval;
