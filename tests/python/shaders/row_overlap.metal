// SPDX-License-Identifier: MIT
// Stores to neighbours with a read of the same memory in between, twice to one place, and at
// distances that are no multiple of the element.
// threads: 40  group: 40
// in: int16 [3 * i for i in range(160)]
// out: int16 160
// expect: [v for i in range(40) for v in (int(A[4 * i]) + 7, int(A[4 * i]) + 7 - 2, 5, int(A[4 * i
// + 3]) + 1)]
#include <metal_stdlib>
using namespace metal;

kernel void run(device short* out [[buffer(0)]], device const short* in [[buffer(1)]],
                uint i [[thread_position_in_grid]]) {
  out[4 * i] = in[4 * i] + 7;
  short first = out[4 * i];
  out[4 * i + 1] = first - 2;
  out[4 * i + 2] = 4;
  out[4 * i + 2] = 5;
  device uchar* bytes = reinterpret_cast<device uchar*>(out + 4 * i + 3);
  short last = in[4 * i + 3] + 1;
  bytes[0] = uchar(last);
  bytes[1] = uchar(last >> 8);
}
