// SPDX-License-Identifier: MIT
// mfa_hgemm, mfa_sgemm, mfa_bgemm, mfa_qgemm, mfa_attention, mfa_attention_backward, mfa_cast.
#include "api/operands.h"
#include "api/problems.h"
#include "api/structs.h"
#include "host/encode.h"

namespace mfa::api {

namespace {

/// The footprint of an operand of up to four dimensions, given as count and stride.
Outcome<Footprint> footprint(const char* name, uint64_t element,
                             std::initializer_list<std::pair<uint64_t, uint64_t>> dimensions) {
  Footprint footprint(element);
  for (auto [count, stride] : dimensions)
    if (!footprint.add(count, stride))
      return failure(Code::invalid_argument, "%s is larger than any memory", name);
  return footprint;
}

Status take(Operands& all, const char* name, const mfa_operand& given, uint64_t element, Use use,
            std::initializer_list<std::pair<uint64_t, uint64_t>> dimensions,
            host::Operand& operand) {
  auto where = footprint(name, element, dimensions);
  if (!where.ok()) return where.status();
  return all.take(name, given, *where, element, use, operand);
}

/// Bytes of all numbers of B, from the first to the last.
Outcome<uint64_t> packed_bytes(const host::Qgemm& qgemm) {
  uint64_t rows = qgemm.rows_b(), columns = qgemm.columns_b(), last = 0, row = 0, bits = 0;
  if (rows == 0 || columns == 0 || qgemm.batch == 0) return uint64_t(0);
  if (__builtin_mul_overflow(qgemm.batch - 1, qgemm.stride_b, &last) ||
      __builtin_mul_overflow(rows - 1, qgemm.ldb, &row) ||
      __builtin_add_overflow(last, row, &last) || __builtin_add_overflow(last, columns, &last) ||
      __builtin_add_overflow(last, qgemm.first_b, &last) ||
      __builtin_mul_overflow(last, uint64_t(qgemm.bits), &bits) || bits > INT64_MAX)
    return failure(Code::invalid_argument, "b is larger than any memory");
  return bits / 8 + (bits % 8 != 0);
}

Status gemm(const char* function, uint32_t type, mfa_commands commands, const mfa_gemm_desc* desc,
            const mfa_gemm_operands* operands) {
  Target target(function);
  MFA_TRY(target.open(commands));
  mfa_gemm_operands given;
  MFA_TRY(MFA_READ(operands, given, mfa_gemm_operands));
  auto checked = problem_of(desc, type, given.bias.buffer != nullptr);
  if (!checked.ok()) return checked.status();
  const host::Gemm& gemm = *checked;

  // Without rows, columns or batches nothing is read or written. K = 0 and alpha = 0 read no A, B.
  uint64_t batch = gemm.M && gemm.N ? gemm.batch : 0;
  bool product = gemm.K != 0 && gemm.alpha != 0;
  uint64_t element = element_size(type), inputs = product ? batch : 0;
  Operands all(target.recent());
  host::GemmOperands taken;
  MFA_TRY(take(all, "a", given.a, element, Use::read,
               {{gemm.trans_a ? gemm.M : gemm.K, 1},
                {gemm.trans_a ? gemm.K : gemm.M, gemm.lda},
                {inputs, gemm.stride_a}},
               taken.a));
  MFA_TRY(take(all, "b", given.b, element, Use::read,
               {{gemm.trans_b ? gemm.K : gemm.N, 1},
                {gemm.trans_b ? gemm.N : gemm.K, gemm.ldb},
                {inputs, gemm.stride_b}},
               taken.b));
  if (gemm.bias)
    MFA_TRY(take(all, "bias", given.bias, element, Use::read,
                 {{gemm.bias_per_row ? gemm.M : gemm.N, 1}, {batch, gemm.stride_bias}},
                 taken.bias));
  MFA_TRY(take(all, "c", given.c, element, Use::write,
               {{gemm.N, 1}, {gemm.M, gemm.ldc}, {batch, gemm.stride_c}}, taken.c));
  return target.run(all, [&](host::Commands& on) { return host::encode(on, gemm, taken); });
}

Status qgemm(mfa_commands commands, const mfa_qgemm_desc* desc,
             const mfa_qgemm_operands* operands) {
  Target target("mfa_qgemm");
  MFA_TRY(target.open(commands));
  mfa_qgemm_operands given;
  MFA_TRY(MFA_READ(operands, given, mfa_qgemm_operands));
  auto checked = problem_of(desc, given.bias.buffer != nullptr);
  if (!checked.ok()) return checked.status();
  const host::Qgemm& qgemm = *checked;
  if (!qgemm.affine() && given.zero_points.buffer)
    return failure(Code::invalid_argument, "zero_points are given, which palettes do not have");

  uint64_t batch = qgemm.M && qgemm.N ? qgemm.batch : 0;
  bool product = qgemm.K != 0 && qgemm.alpha != 0;
  uint64_t inputs = product ? batch : 0;
  uint64_t input = element_size(qgemm.input_type), output = element_size(qgemm.output_type),
           weight = element_size(qgemm.weight_type);
  auto packed = packed_bytes(qgemm);
  if (!packed.ok()) return packed.status();
  Operands all(target.recent());
  host::QgemmOperands taken;
  MFA_TRY(take(all, "a", given.a, input, Use::read,
               {{qgemm.trans_a ? qgemm.M : qgemm.K, 1},
                {qgemm.trans_a ? qgemm.K : qgemm.M, qgemm.lda},
                {inputs, qgemm.stride_a}},
               taken.a));
  MFA_TRY(take(all, "b", given.b, 1, Use::read, {{inputs ? *packed : 0, 1}}, taken.b));
  MFA_TRY(take(all, "scales", given.scales, weight, Use::read,
               {{qgemm.scales(), 1}, {inputs, qgemm.stride_scales}}, taken.scales));
  if (qgemm.affine())
    MFA_TRY(take(all, "zero_points", given.zero_points, weight, Use::read,
                 {{qgemm.scales(), 1}, {inputs, qgemm.stride_scales}}, taken.zero_points));
  if (qgemm.bias)
    MFA_TRY(take(all, "bias", given.bias, output, Use::read,
                 {{qgemm.bias_per_row ? qgemm.M : qgemm.N, 1}, {batch, qgemm.stride_bias}},
                 taken.bias));
  MFA_TRY(take(all, "c", given.c, output, Use::write,
               {{qgemm.N, 1}, {qgemm.M, qgemm.ldc}, {batch, qgemm.stride_c}}, taken.c));
  return target.run(all, [&](host::Commands& on) { return host::encode(on, qgemm, taken); });
}

/// Checks and takes what mfa_attention and its gradients have in common. `results`: what becomes of
/// o and lse. Without keys there is nothing to mask, which `a` then says.
Status take_attention(Operands& all, host::Attention& a, const mfa_attention_operands& given,
                      Use results, host::AttentionOperands& taken) {
  if (a.C == 0) {  // there is nothing to mask
    a.mask_kind = MFA_MASK_NONE;
    a.has_bias = false;
  }
  bool has_mask = a.mask_kind != MFA_MASK_NONE;
  if (!has_mask && a.C != 0)
    MFA_TRY(unexpected("mask", given.mask, "desc->mask_kind is MFA_MASK_NONE"));

  if (!a.has_bias && a.C != 0) MFA_TRY(unexpected("bias", given.bias, "desc->has_bias is false"));
  if (!a.slopes) MFA_TRY(unexpected("slopes", given.slopes, "desc->has_slopes is false"));
  if (!a.sinks) MFA_TRY(unexpected("sinks", given.sinks, "desc->has_sinks is false"));
  if (!a.packed) {
    MFA_TRY(unexpected("row_starts", given.row_starts, "desc->packed is false"));
    MFA_TRY(unexpected("column_starts", given.column_starts, "desc->packed is false"));
  }

  uint64_t element = element_size(a.type), batches = a.R ? a.B : 0;
  uint64_t mask_element = a.mask_kind == MFA_MASK_BOOLEAN ? 1 : element_size(a.mask_type);
  auto take = [&](const char* name, const mfa_operand& operand, uint64_t heads, uint64_t rows,
                  uint64_t columns, const host::Strides& strides, uint64_t size, Use use,
                  host::Operand& result) -> Status {
    return all.take(name, operand, {batches, heads, rows, columns}, strides, size, use, result);
  };
  if (has_mask)
    MFA_TRY(take("mask", given.mask, a.H, a.R, a.C, a.mask, mask_element, Use::read, taken.mask));
  if (a.has_bias)
    MFA_TRY(take("bias", given.bias, a.H, a.R, a.C, a.bias, element_size(a.bias_type), Use::read,
                 taken.bias));
  if (a.slopes)
    MFA_TRY(take("slopes", given.slopes, 1, 1, a.H, {a.slopes_batch, 0, 0, 1}, sizeof(float),
                 Use::read, taken.slopes));
  if (a.sinks)
    MFA_TRY(
        take("sinks", given.sinks, 1, 1, a.H, {0, 0, 0, 1}, sizeof(float), Use::read, taken.sinks));
  if (a.packed) {
    uint64_t starts = a.B + 1;
    batches = batches ? 1 : 0;
    MFA_TRY(take("row_starts", given.row_starts, 1, 1, starts, {0, 0, 0, 1}, sizeof(uint32_t),
                 Use::read, taken.row_starts));
    MFA_TRY(take("column_starts", given.column_starts, 1, 1, starts, {0, 0, 0, 1}, sizeof(uint32_t),
                 Use::read, taken.column_starts));
  }
  MFA_TRY(take("q", given.q, a.H, a.total_R, a.D, a.q, element, Use::read, taken.q));
  MFA_TRY(take("k", given.k, a.Hkv, a.total_C, a.D, a.k, element, Use::read, taken.k));
  MFA_TRY(take("v", given.v, a.Hkv, a.total_C, a.Dv, a.v, element, Use::read, taken.v));
  MFA_TRY(take("o", given.o, a.H, a.total_R, a.Dv, a.o, element_size(a.o_type), results, taken.o));
  if (a.lse)
    MFA_TRY(take("lse", given.lse, a.H, 1, a.total_R, {a.lse_batch, a.lse_head, 0, 1},
                 sizeof(float), results, taken.lse));
  return {};
}

/// Reads the operands of attention, however old the caller's header is.
Status read_operands(const mfa_attention_operands* operands, mfa_attention_operands& given) {
  return read_struct(operands, given, offsetof(mfa_attention_operands, bias), "operands",
                     "mfa_attention_operands");
}

Status attention(mfa_commands commands, const mfa_attention_desc* desc,
                 const mfa_attention_operands* operands) {
  Target target("mfa_attention");
  MFA_TRY(target.open(commands));
  mfa_attention_operands given;
  MFA_TRY(read_operands(operands, given));
  auto checked = problem_of(desc, given.lse.buffer != nullptr);
  if (!checked.ok()) return checked.status();
  Operands all(target.recent());
  host::AttentionOperands taken;
  MFA_TRY(take_attention(all, *checked, given, Use::write, taken));
  return target.run(all, [&](host::Commands& on) { return host::encode(on, *checked, taken); });
}

Status attention_backward(mfa_commands commands, const mfa_attention_backward_desc* desc,
                          const mfa_attention_backward_operands* operands) {
  Target target("mfa_attention_backward");
  MFA_TRY(target.open(commands));
  mfa_attention_backward_operands given;
  MFA_TRY(MFA_READ(operands, given, mfa_attention_backward_operands));
  mfa_attention_operands forward;
  MFA_TRY(read_operands(given.attention, forward));
  auto checked = problem_of(desc, given.dbias.buffer != nullptr);
  if (!checked.ok()) return checked.status();
  host::AttentionBackward& backward = *checked;
  host::Attention& a = backward.forward;
  backward.has_dq = given.dq.buffer != nullptr;
  backward.has_dk = given.dk.buffer != nullptr;
  backward.has_dv = given.dv.buffer != nullptr;
  if (!backward.has_dq && !backward.has_dk && !backward.has_dv && !backward.has_dbias)
    return failure(Code::invalid_argument,
                   "dq, dk, dv and dbias are absent, expected one at least");

  Operands all(target.recent());
  host::AttentionBackwardOperands taken;
  MFA_TRY(take_attention(all, a, forward, Use::read, taken.forward));
  uint64_t element = element_size(a.type), batches = a.packed ? 1 : a.B;
  auto output = [&](const char* name, const mfa_operand& operand, uint64_t heads, uint64_t rows,
                    uint64_t columns, const host::Strides& strides, host::Operand& result) {
    if (!operand.buffer) return Status();
    return all.take(name, operand, {batches, heads, rows, columns}, strides, element, Use::write,
                    result);
  };
  MFA_TRY(all.take("d_o", given.d_o, {batches, a.H, a.total_R, a.Dv}, backward.d_o,
                   element_size(a.o_type), Use::read, taken.d_o));
  MFA_TRY(output("dq", given.dq, a.H, a.total_R, a.D, backward.dq, taken.dq));
  MFA_TRY(output("dk", given.dk, a.Hkv, a.total_C, a.D, backward.dk, taken.dk));
  MFA_TRY(output("dv", given.dv, a.Hkv, a.total_C, a.Dv, backward.dv, taken.dv));
  if (backward.has_dbias) {
    const host::Strides& strides = backward.dbias;  // an axis that is summed over has one element
    Extent extent = {strides.batch ? a.B : 1, strides.head ? a.H : 1, strides.row ? a.R : 1, a.C};
    MFA_TRY(all.take("dbias", given.dbias, extent, strides, element_size(backward.dbias_type),
                     Use::write, taken.dbias));
  }
  return target.run(all, [&](host::Commands& on) { return host::encode(on, backward, taken); });
}

Status cast(mfa_commands commands, const mfa_cast_desc* desc, const mfa_cast_operands* operands) {
  Target target("mfa_cast");
  MFA_TRY(target.open(commands));
  mfa_cast_operands given;
  MFA_TRY(MFA_READ(operands, given, mfa_cast_operands));
  auto checked = problem_of(desc);
  if (!checked.ok()) return checked.status();
  const host::Cast& cast = *checked;
  Operands all(target.recent());
  host::CastOperands taken;
  MFA_TRY(take(all, "source", given.source, element_size(cast.source_type), Use::read,
               {{cast.count, 1}, {cast.rows, cast.source_stride}}, taken.source));
  MFA_TRY(take(all, "destination", given.destination, element_size(cast.destination_type),
               Use::write, {{cast.count, 1}, {cast.rows, cast.destination_stride}},
               taken.destination));
  return target.run(all, [&](host::Commands& on) { return host::encode(on, cast, taken); });
}

}  // namespace

}  // namespace mfa::api

using namespace mfa::api;

mfa_status mfa_hgemm(mfa_commands commands, const mfa_gemm_desc* desc,
                     const mfa_gemm_operands* operands) {
  return call("mfa_hgemm",
              [&] { return gemm("mfa_hgemm", MFA_TYPE_HALF, commands, desc, operands); });
}

mfa_status mfa_sgemm(mfa_commands commands, const mfa_gemm_desc* desc,
                     const mfa_gemm_operands* operands) {
  return call("mfa_sgemm",
              [&] { return gemm("mfa_sgemm", MFA_TYPE_FLOAT, commands, desc, operands); });
}

mfa_status mfa_bgemm(mfa_commands commands, const mfa_gemm_desc* desc,
                     const mfa_gemm_operands* operands) {
  return call("mfa_bgemm",
              [&] { return gemm("mfa_bgemm", MFA_TYPE_BFLOAT, commands, desc, operands); });
}

mfa_status mfa_qgemm(mfa_commands commands, const mfa_qgemm_desc* desc,
                     const mfa_qgemm_operands* operands) {
  return call("mfa_qgemm", [&] { return qgemm(commands, desc, operands); });
}

mfa_status mfa_attention(mfa_commands commands, const mfa_attention_desc* desc,
                         const mfa_attention_operands* operands) {
  return call("mfa_attention", [&] { return attention(commands, desc, operands); });
}

mfa_status mfa_attention_backward(mfa_commands commands, const mfa_attention_backward_desc* desc,
                                  const mfa_attention_backward_operands* operands) {
  return call("mfa_attention_backward",
              [&] { return attention_backward(commands, desc, operands); });
}

mfa_status mfa_cast(mfa_commands commands, const mfa_cast_desc* desc,
                    const mfa_cast_operands* operands) {
  return call("mfa_cast", [&] { return cast(commands, desc, operands); });
}
