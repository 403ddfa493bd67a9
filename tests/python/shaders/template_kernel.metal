// SPDX-License-Identifier: MIT
// A template instantiated under a host name.
// threads: 20  group: 20
// in: int16 np.arange(20) - 10
// out: int16 20
// expect: (np.arange(20) - 10) ** 2
#include <metal_stdlib>
using namespace metal;

template <typename T>
kernel void square(device T* out [[buffer(0)]], device const T* in [[buffer(1)]],
                   uint i [[thread_position_in_grid]]) {
  out[i] = in[i] * in[i];
}

template [[host_name("run")]] kernel void square<short>(device short*, device const short*, uint);
template [[host_name("run_float")]] kernel void square<float>(device float*, device const float*,
                                                              uint);
