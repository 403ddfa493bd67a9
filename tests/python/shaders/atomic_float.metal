// SPDX-License-Identifier: MIT
// Floating-point addition, exact because the numbers are small integers.
// threads: 300  group: 64
// out: float32 1
// expect: [300 * 299 / 2]
#include <metal_stdlib>
using namespace metal;

kernel void run(device atomic_float* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
  atomic_fetch_add_explicit(out, float(i), memory_order_relaxed);
}
