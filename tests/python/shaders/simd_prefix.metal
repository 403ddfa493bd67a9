// SPDX-License-Identifier: MIT
// Inclusive and exclusive prefix sums and products.
// threads: 32  group: 32
// out: uint32 96
// expect: [*np.cumsum(np.arange(32)), *(np.cumsum(np.arange(32)) - np.arange(32)), *(2 **
// np.cumsum(np.arange(32) % 2))]
#include <metal_stdlib>
using namespace metal;

kernel void run(device uint* out [[buffer(0)]], uint lane [[thread_index_in_simdgroup]]) {
  out[lane] = simd_prefix_inclusive_sum(lane);
  out[32 + lane] = simd_prefix_exclusive_sum(lane);
  out[64 + lane] = simd_prefix_inclusive_product(lane & 1 ? 2u : 1u);
}
