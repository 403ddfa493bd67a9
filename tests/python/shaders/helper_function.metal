// SPDX-License-Identifier: MIT
// Helper functions with early returns, references and a struct result.
// threads: 50  group: 32
// out: uint32 50
// expect: [(i // 7) * 100 + i % 7 if i > 5 else 1 for i in range(50)]
#include <metal_stdlib>
using namespace metal;

struct Pair {
  uint high, low;
};

static Pair split(uint value, uint base) {
  if (value <= 5) return {0, 1};
  return {value / base, value % base};
}

static void join(thread const Pair& pair, thread uint& result) {
  result = pair.high * 100 + pair.low;
}

kernel void run(device uint* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
  uint result;
  join(split(i, 7), result);
  out[i] = result;
}
