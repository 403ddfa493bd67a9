// SPDX-License-Identifier: MIT
// A float3 fills sixteen bytes, a packed_float3 twelve.
// threads: 4  group: 4
// in: float32 np.arange(16)
// out: float32 12
// expect: [A[4 * i + k] + 1 for i in range(4) for k in range(3)]
#include <metal_stdlib>
using namespace metal;

kernel void run(device packed_float3* out [[buffer(0)]], device const float3* in [[buffer(1)]],
                uint i [[thread_position_in_grid]]) {
  out[i] = in[i] + 1.0f;
}
