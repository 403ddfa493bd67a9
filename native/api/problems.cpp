// SPDX-License-Identifier: MIT
// Descriptors of mfa.h -> problems of the host: every default filled in, every number checked.
#include "api/problems.h"

#include <cinttypes>
#include <cmath>

#include "api/operands.h"
#include "api/structs.h"

namespace mfa::api {

namespace {

Outcome<uint64_t> product(const char* what, std::initializer_list<uint64_t> factors) {
  uint64_t result = 1;
  for (uint64_t factor : factors)
    if (__builtin_mul_overflow(result, factor, &result) || result > INT64_MAX)
      return failure(Code::invalid_argument, "%s does not fit 63 bits", what);
  return result;
}

/// A leading dimension: at least the width of a row, whose letter is `letter`.
Status leading(const char* name, uint64_t given, uint64_t rows, uint64_t width, const char* letter,
               uint64_t& result) {
  result = or_default(given, width);
  if (result > INT64_MAX)
    return failure(Code::invalid_argument, "%s is %" PRIu64 ", which does not fit 63 bits", name,
                   given);
  if (rows > 1 && result < width)
    return failure(Code::invalid_argument, "%s is %" PRIu64 ", expected at least %s = %" PRIu64,
                   name, result, letter, width);
  return {};
}

/// A stride: 0 takes `packed`, MFA_BROADCAST is 0 for inputs.
Status stride(const char* name, int64_t given, uint64_t count, uint64_t packed, Use use,
              uint64_t& result) {
  if (given == 0) {
    result = packed;
  } else if (given == MFA_BROADCAST) {
    if (use == Use::write && count > 1)
      return failure(Code::invalid_argument, "%s is MFA_BROADCAST, which only inputs can be", name);
    result = 0;
  } else if (given < 0) {
    return failure(Code::invalid_argument, "%s is %" PRId64 ", expected a positive stride", name,
                   given);
  } else {
    result = static_cast<uint64_t>(given);
  }
  return {};
}

/// The strides of one attention operand.
Status tensor(const char* name, const mfa_tensor_strides& given, mfa_layout layout, uint64_t B,
              uint64_t H, uint64_t rows, uint64_t columns, Use use, host::Strides& result) {
  auto label = [name](const char* which) { return std::string("desc->") + name + "." + which; };
  auto all = product(label("batch").c_str(), {H, rows, columns});
  if (!all.ok()) return all.status();
  bool heads_first = layout == MFA_LAYOUT_BHND;
  uint64_t per_head = heads_first ? rows * columns : columns;
  uint64_t per_row = heads_first ? columns : H * columns;
  MFA_TRY(stride(label("batch").c_str(), given.batch, B, *all, use, result.batch));
  MFA_TRY(stride(label("head").c_str(), given.head, H, per_head, use, result.head));
  MFA_TRY(stride(label("row").c_str(), given.row, rows, per_row, use, result.row));
  MFA_TRY(stride(label("column").c_str(), given.column, columns, 1, use, result.column));
  // A dimension of one element has no stride to speak of.
  if (columns <= 1) result.column = 1;
  if (rows <= 1 && result.column != 1) result.row = 1;
  if (result.column != 1 && result.row != 1)
    return failure(Code::invalid_argument,
                   "desc->%s has row stride %" PRIu64 " and column stride %" PRIu64
                   ", one of them must be 1",
                   name, result.row, result.column);
  return {};
}

Status mask_strides(const mfa_attention_desc& desc, uint64_t C, host::Strides& result) {
  MFA_TRY(stride("desc->mask.batch", desc.mask.batch, desc.B, 0, Use::read, result.batch));
  MFA_TRY(stride("desc->mask.head", desc.mask.head, desc.H, 0, Use::read, result.head));
  MFA_TRY(stride("desc->mask.row", desc.mask.row, desc.R, C, Use::read, result.row));
  if (desc.mask.column != 0 && desc.mask.column != 1 && C > 1)
    return failure(Code::unsupported, "desc->mask.column is %" PRId64 ", expected 1",
                   desc.mask.column);
  result.column = 1;
  return {};
}

template <class Enum>
Status check_enum(const char* name, Enum value, unsigned last) {
  if (static_cast<unsigned>(value) <= last) return {};
  return failure(Code::invalid_argument, "%s is %u, expected at most %u", name,
                 static_cast<unsigned>(value), last);
}

Status check_finite(const char* name, float value) {
  if (std::isfinite(value)) return {};
  return failure(Code::invalid_argument, "%s is %g, expected a finite number", name,
                 static_cast<double>(value));
}

}  // namespace

Outcome<host::Gemm> problem_of(const mfa_gemm_desc* given, uint32_t type, bool bias) {
  mfa_gemm_desc desc;
  MFA_TRY(read_struct(given, desc, sizeof(mfa_gemm_desc), "desc", "mfa_gemm_desc"));
  MFA_TRY(check_enum("desc->activation", desc.activation, MFA_ACTIVATION_SILU));
  MFA_TRY(check_enum("desc->bias", desc.bias, MFA_BIAS_PER_ROW));
  host::Gemm gemm = {};
  gemm.type = type;
  gemm.M = desc.M;
  gemm.N = desc.N;
  gemm.K = desc.K;
  gemm.batch = or_default(desc.batch, 1);
  gemm.alpha = desc.has_alpha ? desc.alpha : 1;
  if (!desc.has_alpha && desc.alpha != 0)
    return failure(Code::invalid_argument, "desc->alpha is %g but desc->has_alpha is false",
                   static_cast<double>(desc.alpha));
  gemm.beta = desc.beta;
  MFA_TRY(check_finite("desc->alpha", gemm.alpha));
  MFA_TRY(check_finite("desc->beta", gemm.beta));
  gemm.activation = desc.activation;
  gemm.trans_a = desc.trans_a;
  gemm.trans_b = desc.trans_b;
  gemm.bias = bias;
  gemm.bias_per_row = desc.bias == MFA_BIAS_PER_ROW;

  uint64_t rows_a = desc.trans_a ? desc.K : desc.M, rows_b = desc.trans_b ? desc.N : desc.K;
  uint64_t width_a = desc.trans_a ? desc.M : desc.K, width_b = desc.trans_b ? desc.K : desc.N;
  MFA_TRY(leading("lda", desc.lda, rows_a, width_a, desc.trans_a ? "M" : "K", gemm.lda));
  MFA_TRY(leading("ldb", desc.ldb, rows_b, width_b, desc.trans_b ? "K" : "N", gemm.ldb));
  MFA_TRY(leading("ldc", desc.ldc, desc.M, desc.N, "N", gemm.ldc));
  auto matrix_a = product("rows of A * lda", {rows_a, gemm.lda});
  auto matrix_b = product("rows of B * ldb", {rows_b, gemm.ldb});
  auto matrix_c = product("M * ldc", {desc.M, gemm.ldc});
  if (!matrix_a.ok()) return matrix_a.status();
  if (!matrix_b.ok()) return matrix_b.status();
  if (!matrix_c.ok()) return matrix_c.status();
  MFA_TRY(stride("stride_a", desc.stride_a, gemm.batch, *matrix_a, Use::read, gemm.stride_a));
  MFA_TRY(stride("stride_b", desc.stride_b, gemm.batch, *matrix_b, Use::read, gemm.stride_b));
  MFA_TRY(stride("stride_c", desc.stride_c, gemm.batch, *matrix_c, Use::write, gemm.stride_c));
  MFA_TRY(stride("stride_bias", desc.stride_bias, gemm.batch, 0, Use::read, gemm.stride_bias));
  return gemm;
}

Outcome<host::Attention> problem_of(const mfa_attention_desc* given, bool lse) {
  mfa_attention_desc desc;
  MFA_TRY(read_struct(given, desc, sizeof(mfa_attention_desc), "desc", "mfa_attention_desc"));
  MFA_TRY(check_enum("desc->mask_kind", desc.mask_kind, MFA_MASK_ADDITIVE));
  MFA_TRY(check_enum("desc->causal", desc.causal, MFA_CAUSAL_UPPER_LEFT));
  MFA_TRY(check_enum("desc->layout", desc.layout, MFA_LAYOUT_BNHD));
  desc.B = or_default(desc.B, 1);
  desc.H = or_default(desc.H, 1);
  host::Attention attention = {};
  attention.type = desc.type ? desc.type : MFA_TYPE_HALF;
  MFA_TRY(check_float_type(attention.type, "desc->type"));
  attention.mask_kind = desc.mask_kind;
  attention.mask_type = desc.mask_type ? desc.mask_type : attention.type;
  if (desc.mask_kind == MFA_MASK_ADDITIVE)
    MFA_TRY(check_float_type(attention.mask_type, "desc->mask_type"));
  attention.causal = desc.causal;
  attention.B = desc.B;
  attention.H = desc.H;
  attention.Hkv = or_default(desc.Hkv, desc.H);
  attention.R = desc.R;
  attention.C = desc.C;
  attention.D = desc.D;
  attention.Dv = or_default(desc.Dv, desc.D);
  if (desc.D == 0) return failure(Code::invalid_argument, "D is 0, expected at least 1");
  if (attention.H % attention.Hkv != 0)
    return failure(Code::invalid_argument, "Hkv is %" PRIu64 ", expected a divisor of H = %" PRIu64,
                   attention.Hkv, attention.H);
  attention.scale = desc.has_scale ? desc.scale : 1 / std::sqrt(static_cast<float>(desc.D));
  if (!desc.has_scale && desc.scale != 0)
    return failure(Code::invalid_argument, "desc->scale is %g but desc->has_scale is false",
                   static_cast<double>(desc.scale));
  MFA_TRY(check_finite("desc->scale", attention.scale));

  uint64_t B = attention.B, H = attention.H, Hkv = attention.Hkv, R = attention.R, C = attention.C,
           D = attention.D, Dv = attention.Dv;
  MFA_TRY(tensor("q", desc.q, desc.layout, B, H, R, D, Use::read, attention.q));
  MFA_TRY(tensor("k", desc.k, desc.layout, B, Hkv, C, D, Use::read, attention.k));
  MFA_TRY(tensor("v", desc.v, desc.layout, B, Hkv, C, Dv, Use::read, attention.v));
  MFA_TRY(tensor("o", desc.o, desc.layout, B, H, R, Dv, Use::write, attention.o));
  if (desc.mask_kind != MFA_MASK_NONE) MFA_TRY(mask_strides(desc, C, attention.mask));
  attention.lse = lse;
  auto per_batch = product("H * R", {H, R});
  if (!per_batch.ok()) return per_batch.status();
  MFA_TRY(
      stride("desc->lse_batch", desc.lse_batch, B, *per_batch, Use::write, attention.lse_batch));
  MFA_TRY(stride("desc->lse_head", desc.lse_head, H, R, Use::write, attention.lse_head));
  return attention;
}

Outcome<host::Cast> problem_of(const mfa_cast_desc* given) {
  mfa_cast_desc desc;
  MFA_TRY(read_struct(given, desc, sizeof(mfa_cast_desc), "desc", "mfa_cast_desc"));
  host::Cast cast = {};
  cast.source_type = desc.source_type ? desc.source_type : MFA_TYPE_HALF;
  cast.destination_type = desc.destination_type ? desc.destination_type : MFA_TYPE_HALF;
  MFA_TRY(check_float_type(cast.source_type, "desc->source_type"));
  MFA_TRY(check_float_type(cast.destination_type, "desc->destination_type"));
  cast.count = desc.count;
  cast.rows = or_default(desc.rows, 1);
  MFA_TRY(leading("source_stride", desc.source_stride, cast.rows, cast.count, "count",
                  cast.source_stride));
  MFA_TRY(leading("destination_stride", desc.destination_stride, cast.rows, cast.count, "count",
                  cast.destination_stride));
  return cast;
}

}  // namespace mfa::api
