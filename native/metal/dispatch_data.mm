// SPDX-License-Identifier: MIT
// Bytes with a destructor -> dispatch_data_t.
#import <dispatch/dispatch.h>
#include <stdlib.h>
#include <string.h>

#import "metal/blocks.h"

@interface MFADispatchData : NSObject <OS_dispatch_data> {
 @public
  const void* bytes;
  size_t size;
  dispatch_block_t destructor;  // copied; null if the bytes are ours
  BOOL owned;
}
@end

@implementation MFADispatchData

- (void)dealloc {
  if (owned) free(const_cast<void*>(bytes));
  if (destructor) {
    destructor();
    Block_release(destructor);
  }
  [super dealloc];
}

@end

// Compared by address, never called.
const dispatch_block_t _dispatch_data_destructor_free = ^{
};

dispatch_data_t dispatch_data_create(const void* buffer, size_t size, dispatch_queue_t,
                                     dispatch_block_t destructor) {
  MFADispatchData* data = [[MFADispatchData alloc] init];
  data->bytes = buffer;
  data->size = size;
  if (destructor == _dispatch_data_destructor_free) {
    data->owned = YES;
  } else if (destructor) {
    data->destructor = Block_copy(destructor);
  } else {
    void* copy = malloc(size ? size : 1);
    if (!copy) {
      [data release];
      return nil;
    }
    if (size) memcpy(copy, buffer, size);
    data->bytes = copy;
    data->owned = YES;
  }
  return data;
}

size_t dispatch_data_get_size(dispatch_data_t data) {
  return data ? static_cast<MFADispatchData*>(data)->size : 0;
}

bool dispatch_data_apply(dispatch_data_t data, dispatch_data_applier_t applier) {
  auto* whole = static_cast<MFADispatchData*>(data);
  if (!whole || whole->size == 0) return true;
  return applier(data, 0, whole->bytes, whole->size);
}
