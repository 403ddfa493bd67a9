// SPDX-License-Identifier: MIT
// Integer division in lanes that are switched off, or by zero, never traps.
// threads: 64  group: 64
// in: int32 np.arange(64) - 32
// out: int32 64
// expect: [int(1000 / d) if d else 7 for d in range(-32, 32)]
#include <metal_stdlib>
using namespace metal;

kernel void run(device int* out [[buffer(0)]], device const int* in [[buffer(1)]],
                uint i [[thread_position_in_grid]]) {
  int d = in[i];
  out[i] = 7;
  if (d != 0) out[i] = 1000 / d;
}
