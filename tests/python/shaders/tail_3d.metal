// SPDX-License-Identifier: MIT
// dispatchThreads in three dimensions; every edge group has its own size.
// threads: 5 3 7  group: 4 2 3
// out: uint32 105
// expect: [min(4, 5 - x // 4 * 4) * min(2, 3 - y // 2 * 2) * min(3, 7 - z // 3 * 3) for z in
// range(7) for y in range(3) for x in range(5)]
#include <metal_stdlib>
using namespace metal;

kernel void run(device uint* out [[buffer(0)]], uint3 p [[thread_position_in_grid]],
                uint3 grid [[threads_per_grid]], uint3 size [[threads_per_threadgroup]]) {
  out[(p.z * grid.y + p.y) * grid.x + p.x] = size.x * size.y * size.z;
}
