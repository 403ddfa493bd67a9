// SPDX-License-Identifier: MIT
// A structure by constant reference, with members of several sizes.
// threads: 4  group: 4
// in: uint8 np.frombuffer(struct.pack('<IfQ4hI4x', 7, 2.5, 2**40, -1, 2, -3, 4, 9), np.uint8)
// out: float32 4
// expect: [7 + 2.5 + 9 + s for s in (-1, 2, -3, 4)]
#include <metal_stdlib>
using namespace metal;

struct Parameters {
  uint a;
  float b;
  ulong c;
  short4 d;
  uint e;
};

kernel void run(device float* out [[buffer(0)]], constant Parameters& p [[buffer(1)]],
                uint i [[thread_position_in_grid]]) {
  if (p.c != 1ul << 40) return;
  out[i] = float(p.a) + p.b + float(p.e) + float(p.d[i]);
}
