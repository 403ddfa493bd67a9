// SPDX-License-Identifier: MIT
// Stores outside a private array, which kernels compiled by Apple contain, harm nothing else.
// threads: 64  group: 64
// in: int32 np.arange(64) * 40 - 1200
// out: uint32 64
// expect: [sum(k * k + i for k in range(8)) for i in range(64)]
#include <metal_stdlib>
using namespace metal;

kernel void run(device uint* out [[buffer(0)]], device const int* in [[buffer(1)]],
                uint i [[thread_position_in_grid]]) {
  uint before[8], written[8], after[8];
  for (uint k = 0; k < 8; ++k) before[(k + i) % 8] = after[(k + i) % 8] = i;
  for (uint k = 0; k < 8; ++k) written[(k + i) % 8] = k;
  for (int k = in[i]; k < 8; ++k) written[k] = uint(k * k);
  uint sum = 0;
  for (uint k = 0; k < 8; ++k) {
    uint at = (k + i) % 8;
    sum += (in[i] <= int(at) ? written[at] : at * at) + (before[at] + after[at]) / 2;
  }
  out[i] = sum;
}
