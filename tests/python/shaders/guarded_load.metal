// SPDX-License-Identifier: MIT
// A guarded load does not happen in the lanes that the guard excludes.
// threads: 64  group: 64
// in: uint32 np.arange(8)
// out: uint32 64
// expect: [i + 1 if i < 8 else 0 for i in range(64)]
#include <metal_stdlib>
using namespace metal;

kernel void run(device uint* out [[buffer(0)]], device const uint* in [[buffer(1)]],
                uint i [[thread_position_in_grid]]) {
  ulong far = i < 8 ? ulong(i) : (ulong(i) << 40);
  out[i] = (i < 8 && in[far] == i) ? in[far] + 1 : 0;
}
