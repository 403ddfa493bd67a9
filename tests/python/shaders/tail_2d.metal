// SPDX-License-Identifier: MIT
// dispatchThreads in two dimensions, with edges on both sides.
// threads: 10 7  group: 8 4
// out: uint32 70
// expect: [x + 100 * y + 10000 * (x // 8) + 1000000 * (y // 4) for y in range(7) for x in
// range(10)]
#include <metal_stdlib>
using namespace metal;

kernel void run(device uint* out [[buffer(0)]], uint2 p [[thread_position_in_grid]],
                uint2 grid [[threads_per_grid]], uint2 group [[threadgroup_position_in_grid]]) {
  out[p.y * grid.x + p.x] = p.x + 100 * p.y + 10000 * group.x + 1000000 * group.y;
}
