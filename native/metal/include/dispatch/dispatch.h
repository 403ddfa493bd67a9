// SPDX-License-Identifier: MIT
// The few libdispatch names Metal's headers need: byte ranges with a destructor.
//
// Off Apple there is no libdispatch; no queue exists, so destructors run on the releasing thread.
#pragma once

#include <stdbool.h>
#include <stddef.h>

#ifdef __OBJC__
#import <Foundation/Foundation.h>
@protocol OS_dispatch_data <NSObject>
@end
@protocol OS_dispatch_queue <NSObject>
@end
typedef NSObject<OS_dispatch_data>* dispatch_data_t;
typedef NSObject<OS_dispatch_queue>* dispatch_queue_t;
#else
typedef struct dispatch_data_s* dispatch_data_t;
typedef struct dispatch_queue_s* dispatch_queue_t;
#endif

typedef void (^dispatch_block_t)(void);

#ifdef __cplusplus
extern "C" {
#endif

#define DISPATCH_EXPORT extern __attribute__((visibility("default")))

/// A destructor that means: copy the bytes now.
#define DISPATCH_DATA_DESTRUCTOR_DEFAULT ((dispatch_block_t)0)
/// A destructor that means: the bytes came from malloc, free them.
DISPATCH_EXPORT const dispatch_block_t _dispatch_data_destructor_free;
#define DISPATCH_DATA_DESTRUCTOR_FREE (_dispatch_data_destructor_free)

/// Retained. Without a destructor the bytes are copied; `queue` is ignored.
DISPATCH_EXPORT dispatch_data_t dispatch_data_create(const void* buffer, size_t size,
                                                     dispatch_queue_t queue,
                                                     dispatch_block_t destructor);
DISPATCH_EXPORT size_t dispatch_data_get_size(dispatch_data_t data);

typedef bool (^dispatch_data_applier_t)(dispatch_data_t region, size_t offset, const void* buffer,
                                        size_t size);
/// Calls the block for every contiguous part, here always one.
DISPATCH_EXPORT bool dispatch_data_apply(dispatch_data_t data, dispatch_data_applier_t applier);

#ifdef __OBJC__
#define dispatch_retain(object) ([(object) retain])
#define dispatch_release(object) ([(object) release])
#else
DISPATCH_EXPORT void dispatch_retain(dispatch_data_t object);
DISPATCH_EXPORT void dispatch_release(dispatch_data_t object);
#endif

#ifdef __cplusplus
}
#endif
