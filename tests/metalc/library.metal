// SPDX-License-Identifier: MIT
// Calls every function of the library once, for each element type it is meant for.
#include <metal_stdlib>
using namespace metal;

template <class T>
void real_functions(device T* x, uint i) {
  T a = x[i], b = x[i + 1], c = x[i + 2];
  T r = acos(a) + acosh(a) + asin(a) + asinh(a) + atan(a) + atanh(a) + ceil(a) + cos(a) + cosh(a);
  r += cospi(a) + exp(a) + exp2(a) + exp10(a) + fabs(a) + abs(a) + floor(a) + fract(a) + log(a);
  r += log2(a) + log10(a) + rint(a) + round(a) + rsqrt(a) + sin(a) + sinh(a) + sinpi(a) + sqrt(a);
  r += tan(a) + tanh(a) + tanpi(a) + trunc(a) + saturate(a) + sign(a) + atan2(a, b) + fmod(a, b);
  r += fmax(a, b) + fmin(a, b) + max(a, b) + min(a, b) + pow(a, b) + powr(a, b) + fdim(a, b);
  r += max3(a, b, c) + min3(a, b, c) + median3(a, b, c) + fmax3(a, b, c) + clamp(a, b, c);
  r += fma(a, b, c) + copysign(a, b) + nextafter(a, b) + mix(a, b, c) + step(a, b);
  r += smoothstep(a, b, c) + precise::exp(a) + fast::exp(a) + precise::max(a, b) +
       fast::clamp(a, b, c);
  T other;
  r += sincos(a, other) + other;
  r += modf(a, other) + other;
  r += select(a, b, isnan(a)) + select(a, b, isinf(b)) + select(a, b, isfinite(a));
  r += select(a, b, isnormal(a)) + select(a, b, signbit(b));
  r = -r / (a - b) * c;
  x[i] = r;
}

template <class T>
void whole_functions(device T* x, uint i) {
  T a = x[i], b = x[i + 1], c = x[i + 2];
  T r = abs(a) + max(a, b) + min(a, b) + max3(a, b, c) + min3(a, b, c) + median3(a, b, c);
  r += clamp(a, b, c) + addsat(a, b) + subsat(a, b) + hadd(a, b) + rhadd(a, b) + mulhi(a, b);
  r += madhi(a, b, c) + madsat(a, b, c) + clz(a) + ctz(a) + popcount(a) + reverse_bits(a);
  r += rotate(a, b) + extract_bits(a, 3, 2) + insert_bits(a, b, 3, 2) + T(absdiff(a, b));
  r = (r & a) | (b ^ c) % (a | T(1));
  r = ~(r << T(1)) >> T(2);
  x[i] = r;
}

template <class T>
void group_functions(device T* x, uint i) {
  T a = x[i];
  T r = simd_sum(a) + simd_product(a) + simd_min(a) + simd_max(a);
  r += simd_prefix_inclusive_sum(a) + simd_prefix_exclusive_sum(a);
  r += simd_prefix_inclusive_product(a) + simd_prefix_exclusive_product(a);
  r += simd_broadcast(a, 3) + simd_broadcast_first(a) + simd_shuffle(a, i) + simd_shuffle_xor(a, 1);
  r += simd_shuffle_up(a, 1) + simd_shuffle_down(a, 1) + simd_shuffle_rotate_up(a, 1);
  r += simd_shuffle_rotate_down(a, 1) + simd_shuffle_and_fill_up(a, r, 1);
  r += simd_shuffle_and_fill_down(a, r, 2, 16);
  r += quad_sum(a) + quad_product(a) + quad_min(a) + quad_max(a) + quad_broadcast(a, 1);
  r +=
      quad_shuffle(a, 2) + quad_shuffle_xor(a, 1) + quad_shuffle_up(a, 1) + quad_shuffle_down(a, 1);
  r += quad_prefix_exclusive_sum(a) + quad_prefix_inclusive_sum(a);
  x[i] = r;
}

template <class T>
void bit_groups(device T* x, uint i) {
  x[i] = simd_and(x[i]) + simd_or(x[i]) + simd_xor(x[i]) + quad_and(x[i]) + quad_or(x[i]);
}

template <class T, class M>
void atomic_functions(M memory, T a) {
  T r = atomic_fetch_add_explicit(memory, a, memory_order_relaxed);
  r += atomic_fetch_sub_explicit(memory, a, memory_order_relaxed);
  r += atomic_exchange_explicit(memory, a, memory_order_relaxed);
  r += atomic_load_explicit(memory, memory_order_relaxed);
  atomic_store_explicit(memory, r, memory_order_relaxed);
  while (!atomic_compare_exchange_weak_explicit(memory, &r, a, memory_order_relaxed,
                                                memory_order_relaxed)) {
  }
}
template <class T, class M>
void atomic_bits(M memory, T a) {
  T r = atomic_fetch_min_explicit(memory, a, memory_order_relaxed);
  r += atomic_fetch_max_explicit(memory, a, memory_order_relaxed);
  r += atomic_fetch_and_explicit(memory, a, memory_order_relaxed);
  r += atomic_fetch_or_explicit(memory, a, memory_order_relaxed);
  r += atomic_fetch_xor_explicit(memory, a, memory_order_relaxed);
  atomic_store_explicit(memory, r, memory_order_relaxed);
}

kernel void real(device float* f [[buffer(0)]], device half* h [[buffer(1)]],
                 device bfloat* b [[buffer(2)]], device float2* f2 [[buffer(3)]],
                 device float3* f3 [[buffer(4)]], device float4* f4 [[buffer(5)]],
                 device half2* h2 [[buffer(6)]], device half3* h3 [[buffer(7)]],
                 device half4* h4 [[buffer(8)]], uint i [[thread_position_in_grid]]) {
  real_functions(f, i);
  real_functions(h, i);
  real_functions(b, i);
  real_functions(f2, i);
  real_functions(f3, i);
  real_functions(f4, i);
  real_functions(h2, i);
  real_functions(h3, i);
  real_functions(h4, i);
  int exponent;
  f[i] =
      frexp(f[i], exponent) + exponent + ldexp(f[i], 3) + ilogb(f[i]) + pow(f[i], 2) + max(f[i], 0);
}

kernel void whole(device int* i32 [[buffer(0)]], device uint* u32 [[buffer(1)]],
                  device short* i16 [[buffer(2)]], device ushort* u16 [[buffer(3)]],
                  device char* i8 [[buffer(4)]], device uchar* u8 [[buffer(5)]],
                  device long* i64 [[buffer(6)]], device ulong* u64 [[buffer(7)]],
                  device int4* v4 [[buffer(8)]], device ushort2* v2 [[buffer(9)]],
                  uint i [[thread_position_in_grid]]) {
  whole_functions(i32, i);
  whole_functions(u32, i);
  whole_functions(i16, i);
  whole_functions(u16, i);
  whole_functions(i8, i);
  whole_functions(u8, i);
  whole_functions(i64, i);
  whole_functions(u64, i);
  whole_functions(v4, i);
  whole_functions(v2, i);
  i32[i] = mul24(i32[i], 3) + mad24(i32[i], 3, 4);
}

kernel void groups(device float* f [[buffer(0)]], device half* h [[buffer(1)]],
                   device bfloat* b [[buffer(2)]], device int* i32 [[buffer(3)]],
                   device uint* u32 [[buffer(4)]], device ushort* u16 [[buffer(5)]],
                   device float4* f4 [[buffer(6)]], device half2* h2 [[buffer(7)]],
                   device long* i64 [[buffer(8)]], uint i [[thread_position_in_grid]]) {
  group_functions(f, i);
  group_functions(h, i);
  group_functions(b, i);
  group_functions(i32, i);
  group_functions(u32, i);
  group_functions(u16, i);
  group_functions(f4, i);
  group_functions(h2, i);
  bit_groups(i32, i);
  bit_groups(u32, i);
  i64[i] = simd_shuffle(i64[i], 1) + simd_shuffle_down(u32[i] != 0, 1);
  bool p = simd_all(f[i] > 0) || simd_any(f[i] < 0) || simd_is_first() || quad_all(f[i] > 1);
  simd_vote votes = simd_ballot(f[i] > 2);
  p |= votes.all() || votes.any() || quad_any(p);
  i64[i + 1] = (simd_vote::vote_t)votes + (simd_vote::vote_t)simd_active_threads_mask() + p;
  u16[i] = get_simdgroup_size();
}

kernel void atomics(device atomic_int* i [[buffer(0)]], device atomic_uint* u [[buffer(1)]],
                    device atomic<float>* f [[buffer(2)]], device atomic_bool* b [[buffer(3)]],
                    device int* out [[buffer(4)]]) {
  threadgroup atomic_int local_int;
  threadgroup atomic_uint local_uint;
  atomic_functions(i, 1);
  atomic_functions(u, 1u);
  atomic_functions(f, 1.0f);
  atomic_functions(&local_int, 1);
  atomic_functions(&local_uint, 1u);
  atomic_bits(i, 1);
  atomic_bits(u, 1u);
  atomic_bits(&local_int, 1);
  atomic_store_explicit(b, true, memory_order_relaxed);
  out[0] = atomic_load_explicit(b, memory_order_relaxed);
}

template <class T>
void matrix_functions(device T* d, threadgroup T* t, constant T* c, device float* out) {
  simdgroup_matrix<T, 8, 8> a, b(T(2)), s = make_filled_simdgroup_matrix<T, 8, 8>(T(1));
  simdgroup_load(a, d);
  simdgroup_load(b, t, 16, ulong2(8, 0), true);
  simdgroup_load(s, c, 8);
  simdgroup_multiply(s, a, b);
  simdgroup_multiply_accumulate(s, a, b, s);
  s.thread_elements()[0] = s.thread_elements()[1] * T(2);
  simdgroup_store(s, t, 16);
  simdgroup_barrier(mem_flags::mem_threadgroup);
  simdgroup_store(s, d, 8, ulong2(0, 8));
  simdgroup_float8x8 wide = make_filled_simdgroup_matrix<float, 8>(0);
  simdgroup_multiply_accumulate(wide, a, b, wide);
  wide.thread_elements() += float2(1, 2);
  simdgroup_store(wide, out);
}

kernel void matrices(device float* f [[buffer(0)]], constant float* cf [[buffer(1)]],
                     device half* h [[buffer(2)]], constant half* ch [[buffer(3)]],
                     device bfloat* b [[buffer(4)]], constant bfloat* cb [[buffer(5)]],
                     threadgroup float* tf [[threadgroup(0)]],
                     threadgroup half* th [[threadgroup(1)]],
                     threadgroup bfloat* tb [[threadgroup(2)]]) {
  matrix_functions(f, tf, cf, f);
  matrix_functions(h, th, ch, f);
  matrix_functions(b, tb, cb, f);
  threadgroup_barrier(mem_flags::mem_device | mem_flags::mem_threadgroup);
}

struct Plain {
  float3 position;
  packed_float3 packed;
  bool flags[3];
  half scale;
};

kernel void vectors(device float* out [[buffer(0)]], constant Plain& plain [[buffer(1)]],
                    device Plain* others [[buffer(2)]], device bool4* bools [[buffer(3)]],
                    uint3 p [[thread_position_in_grid]],
                    ushort2 q [[thread_position_in_threadgroup]]) {
  static_assert(sizeof(float3) == 16 && alignof(float3) == 16, "");
  static_assert(sizeof(packed_float3) == 12 && alignof(packed_float3) == 4, "");
  static_assert(sizeof(bool4) == 4 && sizeof(half3) == 8 && sizeof(Plain) == 48, "");
  float4 a(1, 2, 3, 4);
  float4 b = float4(a.xy, 5, a.w), c = {1, 2, 3, 4};
  a.zw = b.xx + 2;
  a.rgb *= 2.0;
  a.x++;
  b = a * 2 + 1 / c - -b;
  half4 h = half4(a);
  bfloat2 s = bfloat2(h.xy);
  int4 k = int4(a) + int4(h);
  bool4 less = a < b && !(b == c);
  bools[p.x] = less;
  bools[p.y] = bool4(k);
  a[p.y & 3] = any(less) + all(less);
  a += select(a, b, less) + dot(a, b) + length(a) + normalize(b);
  float3 v = cross(a.xyz, b.wzy) + plain.position + plain.packed * 2 + float3(plain.packed);
  others[p.z].packed = v;
  others[p.x].packed.y = 1;
  others[p.x] = plain;
  float2x2 m = float2x2(a.xy, b.xy) * float2x2(2.0f);
  float4x4 big = transpose(float4x4(1.0f));
  v += distance(v, v.zyx) + reflect(v, v) + faceforward(v, v, v);
  out[p.x] = dot(v, v) + float(s.x) + (m * a.xy).x + determinant(m) + (big * a).w +
             as_type<uint>(a.x) + as_type<half2>(k.x).y + q.y + plain.flags[1] + 1.5bf;
  out[p.y] = uchar4(a).x + as_type<uchar4>(a.x).w + ulong2(p.xy).y + numeric_limits<half>::max() +
             INFINITY * M_PI_F + array<float, 2>{{1, 2}}[1];
}
