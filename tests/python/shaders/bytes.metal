// SPDX-License-Identifier: MIT
// Loads and stores of small integers, signed and unsigned, as vectors.
// threads: 16  group: 16
// in: uint8 np.arange(64) * 4
// out: int16 64
// expect: A.astype(np.int8).astype(np.int16) * 2
#include <metal_stdlib>
using namespace metal;

kernel void run(device short4* out [[buffer(0)]], device const char4* in [[buffer(1)]],
                uint i [[thread_position_in_grid]]) {
  out[i] = short4(in[i]) * short(2);
}
