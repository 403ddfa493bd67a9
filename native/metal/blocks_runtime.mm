// SPDX-License-Identifier: MIT
// Blocks on the stack -> counted blocks on the heap, by clang's block ABI.
//
// GNUstep Base and libBlocksRuntime both export these functions. The one copies only blocks of its
// own classes, the other does not retain the objects a block captures; which of them a program gets
// depends on the order of its libraries. These are hidden: code linked with them gets what Apple's
// systems have.
#import <Foundation/Foundation.h>
#include <stdlib.h>
#include <string.h>

#define MFA_HIDDEN __attribute__((visibility("hidden")))

namespace {

enum : int {
  count_mask = 0xffff,  // in both kinds of flags; sticks when full
  on_heap = 1 << 24,
  has_helpers = 1 << 25,
  is_global = 1 << 28,
};

// What a captured variable is, as the compiler says it to the functions below.
enum : int { captured_object = 3, captured_block = 7, captured_byref = 8, by_byref = 128 };

struct Descriptor {
  unsigned long reserved, size;
  void (*copy)(void* to, const void* from);  // these two only with has_helpers
  void (*dispose)(const void* block);
};

struct Block {
  void* isa;
  int flags, reserved;
  void (*invoke)(void*, ...);
  Descriptor* descriptor;
};

// A variable declared __block.
struct Byref {
  void* isa;
  Byref* forwarding;
  int flags;
  unsigned size;
  void (*keep)(void* to, void* from);  // these two only with has_helpers
  void (*destroy)(void*);
};

void count_up(int* flags) {
  int now = __atomic_load_n(flags, __ATOMIC_RELAXED);
  while ((now & count_mask) != count_mask &&
         !__atomic_compare_exchange_n(flags, &now, now + 1, true, __ATOMIC_RELAXED,
                                      __ATOMIC_RELAXED)) {
  }
}

/// True if that was the last one.
bool count_down(int* flags) {
  int now = __atomic_load_n(flags, __ATOMIC_RELAXED);
  do {
    if ((now & count_mask) == count_mask) return false;
  } while (
      !__atomic_compare_exchange_n(flags, &now, now - 1, true, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED));
  return (now & count_mask) == 1;
}

/// The variable's place on the heap, made when the first block that uses it is copied.
Byref* copy_byref(Byref* variable) {
  Byref* source = variable->forwarding;
  if (source->flags & on_heap) {
    count_up(&source->flags);
    return source;
  }
  auto* copy = static_cast<Byref*>(malloc(source->size));
  if (!copy) abort();
  memcpy(copy, source, source->size);
  copy->flags =
      (source->flags & ~count_mask) | on_heap | 2;  // one for the stack, one for the block
  copy->forwarding = copy;
  source->forwarding = copy;
  if (source->flags & has_helpers) source->keep(copy, source);
  return copy;
}

void release_byref(Byref* variable) {
  variable = variable->forwarding;
  if (!(variable->flags & on_heap) || !count_down(&variable->flags)) return;
  if (variable->flags & has_helpers) variable->destroy(variable);
  free(variable);
}

}  // namespace

extern "C" {

MFA_HIDDEN void *_NSConcreteStackBlock[32], *_NSConcreteGlobalBlock[32],
    *_NSConcreteMallocBlock[32];

MFA_HIDDEN void* _Block_copy(const void* pointer) {
  auto* block = static_cast<Block*>(const_cast<void*>(pointer));
  if (!block || (block->flags & is_global)) return block;
  if (block->flags & on_heap) {
    count_up(&block->flags);
    return block;
  }
  auto* copy = static_cast<Block*>(malloc(block->descriptor->size));
  if (!copy) return nullptr;
  memcpy(copy, block, block->descriptor->size);
  copy->isa = _NSConcreteMallocBlock;
  copy->flags = (block->flags & ~count_mask) | on_heap | 1;
  if (copy->flags & has_helpers) copy->descriptor->copy(copy, block);
  return copy;
}

MFA_HIDDEN void _Block_release(const void* pointer) {
  auto* block = static_cast<Block*>(const_cast<void*>(pointer));
  if (!block || !(block->flags & on_heap) || !count_down(&block->flags)) return;
  if (block->flags & has_helpers) block->descriptor->dispose(block);
  free(block);
}

MFA_HIDDEN void _Block_object_assign(void* place, const void* value, const int kind) {
  void* kept = const_cast<void*>(value);
  switch (kind & (by_byref | captured_block | captured_byref)) {
    case captured_object:
      [static_cast<id>(kept) retain];
      break;
    case captured_block:
      kept = _Block_copy(value);
      break;
    case captured_byref:
      kept = copy_byref(static_cast<Byref*>(kept));
      break;
    default:  // __block variables do not retain
      break;
  }
  *static_cast<void**>(place) = kept;
}

MFA_HIDDEN void _Block_object_dispose(const void* value, const int kind) {
  void* kept = const_cast<void*>(value);
  switch (kind & (by_byref | captured_block | captured_byref)) {
    case captured_object:
      [static_cast<id>(kept) release];
      break;
    case captured_block:
      _Block_release(value);
      break;
    case captured_byref:
      release_byref(static_cast<Byref*>(kept));
      break;
    default:
      break;
  }
}

}  // extern "C"
