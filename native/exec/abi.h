// SPDX-License-Identifier: MIT
// Everything generated code can see: the memory layout of a dispatch and of a running threadgroup.
//
// The vectoriser (native/simd) emits loads at these offsets; the executor (native/exec) fills the
// structs. Nothing else mirrors them.
#pragma once

#include <stddef.h>
#include <stdint.h>

enum { MFA_SIMD_WIDTH = 32, MFA_MAX_BUFFERS = 31, MFA_MAX_THREADS = 1024 };

/// One dispatch. Read-only while it runs, shared by all workers.
struct mfa_launch {
  unsigned char* buffers[MFA_MAX_BUFFERS];  // [[buffer(n)]]: base with the binding's offset added
  uint32_t threadgroup_offsets[MFA_MAX_BUFFERS];  // [[threadgroup(n)]]: byte offset in the group's
                                                  // memory
  uint32_t threadgroups_per_grid[3];
  uint32_t threads_per_grid[3];
  uint32_t threads_per_group[3];  // as asked for; edge groups of a non-uniform grid are smaller
};

/// One threadgroup on one worker.
struct mfa_group {
  const struct mfa_launch* launch;
  unsigned char* threadgroup;  // threadgroup memory: static globals first, then the arguments
  uint32_t position[3];        // threadgroup_position_in_grid
  uint32_t size[3];            // threads_per_threadgroup, the actual one
  uint32_t simdgroups;         // ceil(size.x * size.y * size.z / 32)
  uint32_t reserved;
  void* runner;  // the executor's own state
};

/// Runs one simdgroup of 32 lanes to its end. `scratch` is private to the simdgroup, 64-byte
/// aligned.
typedef void (*mfa_simdgroup_entry)(const struct mfa_group* group, uint32_t simdgroup,
                                    unsigned char* scratch);

/// Runs one thread of the width-1 reference path. Waits for its neighbours inside mfa_rt_* calls.
typedef void (*mfa_thread_entry)(const struct mfa_group* group, uint32_t thread_index,
                                 unsigned char* scratch);

/// A memory access of the reference path with checks. Constant data of the generated code.
struct mfa_access {
  const char* name;  // of the argument or variable the address comes from
  uint32_t bytes;
  uint8_t space;   // 1 device, 2 constant, 3 threadgroup
  uint8_t writes;  // 1: writes, and reads too if atomic
  uint8_t atomic;
  uint8_t copies;   // moves bytes without looking at them: they may be uninitialised
  int32_t slot;     // [[buffer(n)]] or [[threadgroup(n)]]; MFA_ORIGIN_*
  uint32_t begin;   // MFA_ORIGIN_STATIC: where the variable lies in threadgroup memory
  uint32_t length;  // and its size
};
enum {
  MFA_ORIGIN_STATIC = -1,  // a threadgroup variable
  MFA_ORIGIN_SEVERAL = -2  // any of the arguments
};

/// One place in a kernel of the reference path where the lanes of a simdgroup meet. Constant data
/// of the generated code.
struct mfa_site {
  uint32_t order;    // place in the control flow: lanes at lower places go first
  uint32_t barrier;  // 1: a threadgroup barrier, 0: the simdgroup only
  /// Runs the operation for the lanes of the mask `active`; null if they only meet.
  /// `records[lane]` holds the lane's operands and takes its result.
  void (*perform)(const struct mfa_site* site, unsigned char* const* records, uint32_t active);
  uint32_t details[4];                   // what `perform` has to know: operation, types, sizes
  const struct mfa_access* accesses[2];  // of `perform`: its target or source, and its source
};

#ifdef __cplusplus
extern "C" {
#endif
/// Called by a thread of the reference path at a site: returns when all lanes of its simdgroup
/// that go the same way have arrived and the operation is done.
void mfa_rt_meet(const struct mfa_group* group, const struct mfa_site* site, unsigned char* record);

/// Called by a thread of the reference path before an access that is checked. Returns the address,
/// or, after a report, that of memory where the access does no harm.
unsigned char* mfa_rt_access(const struct mfa_group* group, const struct mfa_access* access,
                             unsigned char* address);

/// Called by generated code at a threadgroup barrier: returns when every simdgroup of the group
/// has arrived at some barrier or has ended.
void mfa_rt_barrier(const struct mfa_group* group);
#ifdef __cplusplus
}
static_assert(offsetof(mfa_launch, threadgroup_offsets) == 8 * MFA_MAX_BUFFERS);
static_assert(offsetof(mfa_group, position) == 16);
static_assert(offsetof(mfa_site, perform) == 8 && offsetof(mfa_site, details) == 16);
static_assert(offsetof(mfa_site, accesses) == 32 && offsetof(mfa_access, slot) == 16);
#endif
