// SPDX-License-Identifier: MIT
// Counters that start at the lane's number, or anywhere, and step by the same in all lanes.
// threads: 96  group: 32
// in: float32 np.arange(4096) % 23
// out: float32 96
// expect: [sum(A[i] for i in range(t % 32, 1000 - t // 32, 32))
//   + sum(A[i] for i in range(3 * (t % 32) + 2000, 1990 - 700 * (t // 32), -17))
//   + sum(A[i] for i in range(t % 32, 500, 7 + t // 32)) * 2 + A[t % 32] * (t // 32) * 3 for t in
//   range(96)]
#include <metal_stdlib>
using namespace metal;

kernel void run(device float* out [[buffer(0)]], device const float* x [[buffer(1)]],
                uint group [[threadgroup_position_in_grid]], uint t [[thread_position_in_grid]],
                uint lane [[thread_index_in_simdgroup]]) {
  float sum = 0;
  for (uint i = lane; i < 1000 - group; i += 32) sum += x[i];
  for (int i = 3 * int(lane) + 2000; i > 1990 - 700 * int(group); i -= 17) sum += x[i];
  // Lanes that skip a round take part in the next; the counter wraps.
  const uint start = 0xfffffff0u;
  for (uint i = lane + start; i - start < 500; i += 7 + group) {
    if (x[i - start] == 5) continue;
    sum += 2 * x[i - start];
  }
  for (uint i = lane; i < 500; i += 7 + group) {
    if (x[i] == 5) sum += 10;
  }
  // A loop in a loop begins anew.
  for (uint j = 0; j < group; ++j) {
    for (uint i = lane; i < 96; i += 32) {
      if (i < 32) sum += 3 * x[i];
      if (i + j > 70) break;
    }
  }
  out[t] = sum;
}
