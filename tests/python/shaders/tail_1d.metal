// SPDX-License-Identifier: MIT
// dispatchThreads: the last threadgroup is smaller and knows it.
// threads: 70  group: 32
// out: uint32 70
// expect: [i * 100 + (32 if i < 64 else 6) for i in range(70)]
#include <metal_stdlib>
using namespace metal;

kernel void run(device uint* out [[buffer(0)]], uint i [[thread_position_in_grid]],
                uint size [[threads_per_threadgroup]]) {
  out[i] = i * 100 + size;
}
