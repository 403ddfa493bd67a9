// SPDX-License-Identifier: MIT
// Vector types: constructors, swizzles, components, arithmetic, dot.
// threads: 16  group: 16
// in: float32 np.arange(64)
// out: float32 64
// expect: np.stack([A.reshape(16, 4)[:, 3], A.reshape(16, 4)[:, 1] * 2, A.reshape(16, 4)[:, 0] + 1,
// (A.reshape(16, 4)[:, :3] ** 2).sum(1)], 1)
#include <metal_stdlib>
using namespace metal;

kernel void run(device float4* out [[buffer(0)]], device const float4* in [[buffer(1)]],
                uint i [[thread_position_in_grid]]) {
  float4 v = in[i];
  float3 w = v.xyz;
  float4 r = v.wyxx;
  r.y *= 2;
  r.z += 1;
  r.w = dot(w, w);
  out[i] = r;
}
