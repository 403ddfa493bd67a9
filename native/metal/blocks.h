// SPDX-License-Identifier: MIT
// Objects and blocks that C++ code holds on to.
#pragma once

#include <Block.h>
#import <Foundation/Foundation.h>

#include <functional>
#include <memory>

/// Retains the object for as long as a copy of the result lives.
inline std::shared_ptr<void> MFAHold(id object) {
  return {static_cast<void*>([object retain]), [](void* held) { [static_cast<id>(held) release]; }};
}

/// Blocks are no objects here: GCC's run time does not know their classes.
template <class Block>
std::shared_ptr<void> MFAHoldBlock(Block block) {
  return {const_cast<void*>(static_cast<const void*>(Block_copy(block))),
          [](void* held) { Block_release(held); }};
}

/// Runs a caller's block. It must not take a worker thread down: what it throws ends here.
template <class Body>
void MFAGuard(const Body& body) {
  @autoreleasepool {
    @try {
      body();
    } @catch (id) {
    }
  }
}
