// SPDX-License-Identifier: MIT
// Descriptors of mfa.h -> problems of the host: every default filled in, every number checked.
#include "api/problems.h"

#include <cinttypes>
#include <cmath>

#include "api/operands.h"
#include "api/structs.h"
#include "host/library.h"

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

}  // namespace

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

namespace {

/// The strides of a mask or bias.
Status mask_strides(const char* name, const mfa_tensor_strides& given,
                    const mfa_attention_desc& desc, host::Strides& result) {
  auto label = [name](const char* which) { return std::string("desc->") + name + "." + which; };
  MFA_TRY(stride(label("batch").c_str(), given.batch, desc.B, 0, Use::read, result.batch));
  MFA_TRY(stride(label("head").c_str(), given.head, desc.H, 0, Use::read, result.head));
  MFA_TRY(stride(label("row").c_str(), given.row, desc.R, desc.C, Use::read, result.row));
  if (given.column != 0 && given.column != 1 && desc.C > 1)
    return failure(Code::unsupported, "%s is %" PRId64 ", expected 1", label("column").c_str(),
                   given.column);
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

/// One side of a window.
Status window_side(const char* name, int64_t given, uint32_t& result) {
  result = host::no_limit;
  if (given == MFA_UNLIMITED) return {};
  if (given < 0)
    return failure(Code::invalid_argument,
                   "%s is %" PRId64 ", expected at least 0 or MFA_UNLIMITED", name, given);
  if (given < INT32_MAX) result = static_cast<uint32_t>(given);
  return {};
}

/// What modifies scores and weights beside mask and causal.
Status score_options(const mfa_attention_desc& desc, host::Attention& attention) {
  MFA_TRY(check_enum("desc->sparsity", desc.sparsity, MFA_SPARSITY_OFF));
  attention.sparsity = static_cast<host::Sparsity>(desc.sparsity);
  attention.window_left = attention.window_right = host::no_limit;
  if (desc.has_window) {
    MFA_TRY(window_side("desc->window_left", desc.window_left, attention.window_left));
    MFA_TRY(window_side("desc->window_right", desc.window_right, attention.window_right));
  } else if (desc.window_left != 0 || desc.window_right != 0) {
    return failure(Code::invalid_argument,
                   "desc->window_left is %" PRId64 " and desc->window_right %" PRId64
                   " but desc->has_window is false",
                   desc.window_left, desc.window_right);
  }
  MFA_TRY(check_finite("desc->soft_cap", desc.soft_cap));
  if (desc.soft_cap < 0)
    return failure(Code::invalid_argument, "desc->soft_cap is %g, expected at least 0",
                   static_cast<double>(desc.soft_cap));
  attention.soft_cap = desc.soft_cap;
  if (!(desc.dropout >= 0 && desc.dropout < 1))
    return failure(Code::invalid_argument, "desc->dropout is %g, expected 0 <= dropout < 1",
                   static_cast<double>(desc.dropout));
  attention.dropout = desc.dropout;
  attention.seed = desc.seed;
  attention.offset = desc.offset;
  attention.slopes = desc.has_slopes;
  attention.sinks = desc.has_sinks;
  if (desc.has_slopes)
    MFA_TRY(stride("desc->slopes_batch", desc.slopes_batch, desc.B, 0, Use::read,
                   attention.slopes_batch));
  attention.has_bias = desc.has_bias;
  attention.bias_type = desc.bias_type ? desc.bias_type : attention.type;
  if (desc.has_bias) {
    MFA_TRY(check_float_type(attention.bias_type, "desc->bias_type"));
    MFA_TRY(mask_strides("bias", desc.bias, desc, attention.bias));
  }
  return {};
}

/// Batches of different lengths: all rows of all of them are one sequence to the strides.
Status packing(const mfa_attention_desc& desc, host::Attention& attention) {
  attention.packed = desc.packed;
  if (!desc.packed) {
    attention.total_R = desc.R;
    attention.total_C = desc.C;
    if (desc.total_R == 0 && desc.total_C == 0) return {};
    return failure(Code::invalid_argument,
                   "desc->total_R is %" PRIu64 " and desc->total_C %" PRIu64
                   " but desc->packed is false",
                   desc.total_R, desc.total_C);
  }
  attention.total_R = desc.total_R;
  attention.total_C = desc.total_C;
  if (desc.R > desc.total_R || desc.C > desc.total_C)
    return failure(Code::invalid_argument,
                   "R is %" PRIu64 " and C %" PRIu64 ", expected at most total_R = %" PRIu64
                   " and total_C = %" PRIu64,
                   desc.R, desc.C, desc.total_R, desc.total_C);
  return {};
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

Outcome<host::Qgemm> problem_of(const mfa_qgemm_desc* given, bool bias) {
  mfa_qgemm_desc desc;
  MFA_TRY(read_struct(given, desc, sizeof(mfa_qgemm_desc), "desc", "mfa_qgemm_desc"));
  MFA_TRY(check_enum("desc->quantization", desc.quantization, MFA_QUANTIZATION_PALETTE));
  MFA_TRY(check_enum("desc->bit_order", desc.bit_order, MFA_BITS_MSB_FIRST));
  host::Qgemm qgemm = {};
  qgemm.input_type = desc.input_type ? desc.input_type : MFA_TYPE_HALF;
  qgemm.weight_type = desc.weight_type ? desc.weight_type : qgemm.input_type;
  qgemm.output_type = desc.output_type ? desc.output_type : qgemm.input_type;
  MFA_TRY(check_float_type(qgemm.input_type, "desc->input_type"));
  MFA_TRY(check_float_type(qgemm.weight_type, "desc->weight_type"));
  MFA_TRY(check_float_type(qgemm.output_type, "desc->output_type"));
  bool palette = desc.quantization == MFA_QUANTIZATION_PALETTE;
  if (palette && (desc.bits < 1 || desc.bits > 8))
    return failure(Code::invalid_argument, "desc->bits is %u, expected 1 to 8 for palettes",
                   desc.bits);
  if (!palette && (desc.bits < 2 || desc.bits > 8 || desc.bits == 7))
    return failure(Code::invalid_argument, "desc->bits is %u, expected 2, 3, 4, 5, 6 or 8",
                   desc.bits);
  if (!palette && desc.group_size != 32 && desc.group_size != 64 && desc.group_size != 128)
    return failure(Code::invalid_argument, "desc->group_size is %u, expected 32, 64 or 128",
                   desc.group_size);
  if (!palette && desc.palette_columns)
    return failure(Code::invalid_argument,
                   "desc->palette_columns is set, but the quantization is affine");

  // Everything else is as without quantization.
  mfa_gemm_desc plain = {};
  plain.size = sizeof plain;
  plain.M = desc.M;
  plain.N = desc.N;
  plain.K = desc.K;
  plain.lda = desc.lda;
  plain.ldb = desc.ldb;
  plain.ldc = desc.ldc;
  plain.batch = desc.batch;
  plain.stride_a = desc.stride_a;
  plain.stride_b = desc.stride_b;
  plain.stride_c = desc.stride_c;
  plain.stride_bias = desc.stride_bias;
  plain.alpha = desc.alpha;
  plain.beta = desc.beta;
  plain.activation = desc.activation;
  plain.bias = desc.bias;
  plain.trans_a = desc.trans_a;
  plain.trans_b = desc.trans_b;
  plain.has_alpha = desc.has_alpha;
  auto checked = problem_of(&plain, qgemm.input_type, bias);
  if (!checked.ok()) return checked.status();
  static_cast<host::Product&>(qgemm) = *checked;

  qgemm.quantization = desc.quantization;
  qgemm.bits = desc.bits;
  qgemm.group_size = desc.group_size;
  qgemm.palette_columns = desc.palette_columns;
  qgemm.msb_first = desc.bit_order == MFA_BITS_MSB_FIRST;
  qgemm.ld_scales = palette ? 0 : qgemm.groups(qgemm.columns_b());
  qgemm.first_b = desc.first_b;
  auto palettes =
      product("entries of the palettes",
              {qgemm.groups(desc.palette_columns ? qgemm.columns_b() : qgemm.rows_b()), 256});
  if (!palettes.ok()) return palettes.status();
  auto all = product("scales of B", {qgemm.scales()});
  if (!all.ok()) return all.status();
  MFA_TRY(stride("stride_scales", desc.stride_scales, qgemm.batch, *all, Use::read,
                 qgemm.stride_scales));
  return qgemm;
}

Outcome<host::Attention> problem_of(const mfa_attention_desc* given, bool lse) {
  mfa_attention_desc desc;
  MFA_TRY(
      read_struct(given, desc, offsetof(mfa_attention_desc, bias), "desc", "mfa_attention_desc"));
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
  attention.o_type = desc.o_type ? desc.o_type : attention.type;
  if (attention.o_type != attention.type && attention.o_type != MFA_TYPE_FLOAT)
    return failure(Code::invalid_type, "desc->o_type is %s, expected %s or float",
                   host::type_name(attention.o_type).c_str(),
                   host::type_name(attention.type).c_str());
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

  MFA_TRY(packing(desc, attention));
  uint64_t B = desc.packed ? 1 : attention.B, H = attention.H, Hkv = attention.Hkv,
           R = attention.total_R, C = attention.total_C, D = attention.D, Dv = attention.Dv;
  MFA_TRY(tensor("q", desc.q, desc.layout, B, H, R, D, Use::read, attention.q));
  MFA_TRY(tensor("k", desc.k, desc.layout, B, Hkv, C, D, Use::read, attention.k));
  MFA_TRY(tensor("v", desc.v, desc.layout, B, Hkv, C, Dv, Use::read, attention.v));
  MFA_TRY(tensor("o", desc.o, desc.layout, B, H, R, Dv, Use::write, attention.o));
  if (desc.mask_kind != MFA_MASK_NONE)
    MFA_TRY(mask_strides("mask", desc.mask, desc, attention.mask));
  MFA_TRY(score_options(desc, attention));
  attention.lse = lse;
  auto per_batch = product("H * R", {H, R});
  if (!per_batch.ok()) return per_batch.status();
  MFA_TRY(
      stride("desc->lse_batch", desc.lse_batch, B, *per_batch, Use::write, attention.lse_batch));
  MFA_TRY(stride("desc->lse_head", desc.lse_head, H, R, Use::write, attention.lse_head));
  if (desc.packed)
    for (host::Strides* strides : {&attention.q, &attention.k, &attention.v, &attention.o})
      strides->batch = 0;
  if (desc.packed) attention.lse_batch = 0;
  return attention;
}

Outcome<host::AttentionBackward> problem_of(const mfa_attention_backward_desc* given, bool dbias) {
  mfa_attention_backward_desc desc;
  MFA_TRY(read_struct(given, desc, sizeof(mfa_attention_backward_desc), "desc",
                      "mfa_attention_backward_desc"));
  auto forward = problem_of(desc.attention, true);
  if (!forward.ok()) return forward.status();
  host::AttentionBackward backward = {};
  backward.forward = *forward;
  const host::Attention& a = backward.forward;
  mfa_layout layout = desc.attention->layout;
  uint64_t B = a.packed ? 1 : a.B, R = a.total_R, C = a.total_C;
  MFA_TRY(tensor("d_o", desc.d_o, layout, B, a.H, R, a.Dv, Use::read, backward.d_o));
  MFA_TRY(tensor("dq", desc.dq, layout, B, a.H, R, a.D, Use::write, backward.dq));
  MFA_TRY(tensor("dk", desc.dk, layout, B, a.Hkv, C, a.D, Use::write, backward.dk));
  MFA_TRY(tensor("dv", desc.dv, layout, B, a.Hkv, C, a.Dv, Use::write, backward.dv));
  if (a.packed)
    for (host::Strides* strides : {&backward.d_o, &backward.dq, &backward.dk, &backward.dv})
      strides->batch = 0;
  backward.has_dq = backward.has_dk = backward.has_dv = true;
  backward.has_dbias = dbias;
  backward.dbias_type = desc.dbias_type ? desc.dbias_type : MFA_TYPE_FLOAT;
  if (!dbias) return backward;
  MFA_TRY(check_float_type(backward.dbias_type, "desc->dbias_type"));
  if (!a.has_bias && a.mask_kind != MFA_MASK_ADDITIVE)
    return failure(Code::invalid_argument,
                   "dbias is wanted, but there is neither a bias nor an additive mask");
  mfa_attention_desc sizes = {};
  sizes.B = a.B;
  sizes.H = a.H;
  sizes.R = a.R;
  sizes.C = a.C;
  MFA_TRY(mask_strides("dbias", desc.dbias, sizes, backward.dbias));
  return backward;
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
