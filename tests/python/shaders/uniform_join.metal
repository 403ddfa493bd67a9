// SPDX-License-Identifier: MIT
// A flag set in a loop that all lanes skip together, or go round together, and is asked for after.
// groups: 2  group: 32
// in: int32 [0, 3]
// in: int16 [0] * 95 + [1]
// out: uint8 64
// expect: [0] * 63 + [1]
#include <metal_stdlib>
using namespace metal;

kernel void run(device uchar* out [[buffer(0)]], device const int* rounds [[buffer(1)]],
                device const short* in [[buffer(2)]], uint group [[threadgroup_position_in_grid]],
                uint lane [[thread_index_in_simdgroup]]) {
  uchar found = 0;
  for (int i = 0; i < rounds[group]; ++i) found = uchar(found | (in[i * 32 + lane] != 0));
  out[group * 32 + lane] = found != 0 ? 1 : 0;
}
