// SPDX-License-Identifier: MIT
// mfa_attention_decode and mfa_merge_attention: descriptors -> problems of the host, and the calls.
#include <cinttypes>

#include "api/operands.h"
#include "api/problems.h"
#include "api/structs.h"
#include "host/encode.h"
#include "host/library.h"

namespace mfa::api {

namespace {

uint64_t ceil_div(uint64_t value, uint64_t by) { return (value + by - 1) / by; }

/// Where K or V lie: `rows` keys in each of `batches` batches or pages.
struct Cache {
  uint64_t batches, rows;
};

Cache cache_of(const host::Decode& decode) {
  if (decode.page_size) return {decode.pages, decode.page_size};
  return {decode.attention.B, decode.attention.C};
}

/// Elements of a row as it is stored: floats, or bytes of integers.
uint64_t stored(const host::Decode& decode, uint64_t columns) {
  return decode.bits ? columns * decode.bits / 8 : columns;
}

Status not_here(const char* name, bool given) {
  if (!given) return {};
  return failure(Code::unsupported, "desc->attention->%s is set, which decoding does not have",
                 name);
}

Status quantization(const mfa_decode_desc& desc, host::Decode& decode) {
  decode.bits = desc.bits;
  decode.group = desc.group_size ? desc.group_size : 64;
  if (desc.bits == 0) {
    if (desc.group_size == 0) return {};
    return failure(Code::invalid_argument, "desc->group_size is %u but desc->bits is 0",
                   desc.group_size);
  }
  if (desc.bits != 4 && desc.bits != 8)
    return failure(Code::unsupported, "desc->bits is %u, expected 0, 4 or 8", desc.bits);
  if (decode.group != 32 && decode.group != 64)
    return failure(Code::unsupported, "desc->group_size is %u, expected 32 or 64", decode.group);
  for (uint64_t columns : {decode.attention.D, decode.attention.Dv})
    if (columns % decode.group != 0)
      return failure(Code::unsupported,
                     "heads of %" PRIu64 " are quantized, expected a multiple of group_size = %u",
                     columns, decode.group);
  return {};
}

/// K or V, with its scales.
Status cache_strides(const char* name, const mfa_tensor_strides& given, const char* scale_name,
                     const mfa_tensor_strides& scales, mfa_layout layout, uint64_t columns,
                     const host::Decode& decode, host::Strides& strides,
                     host::Strides& scale_strides) {
  Cache cache = cache_of(decode);
  uint64_t Hkv = decode.attention.Hkv, width = stored(decode, columns);
  MFA_TRY(tensor(name, given, layout, cache.batches, Hkv, cache.rows, width, Use::read, strides));
  if (strides.column != 1 && width > 1)
    return failure(Code::unsupported, "desc->attention->%s.column is %" PRIu64 ", expected 1", name,
                   strides.column);
  if (decode.bits == 0) return {};
  uint64_t groups = columns / decode.group;
  MFA_TRY(tensor(scale_name, scales, layout, cache.batches, Hkv, cache.rows, groups, Use::read,
                 scale_strides));
  if (scale_strides.column != 1 && groups > 1)
    return failure(Code::unsupported, "desc->%s.column is %" PRIu64 ", expected 1", scale_name,
                   scale_strides.column);
  return {};
}

}  // namespace

Outcome<host::Decode> problem_of(const mfa_decode_desc* given, bool lse) {
  mfa_decode_desc desc;
  MFA_TRY(read_struct(given, desc, sizeof(mfa_decode_desc), "desc", "mfa_decode_desc"));
  MFA_TRY(require(desc.attention, "desc->attention"));
  mfa_attention_desc options;
  MFA_TRY(read_struct(desc.attention, options, offsetof(mfa_attention_desc, bias),
                      "desc->attention", "mfa_attention_desc"));
  MFA_TRY(not_here("packed", options.packed));
  MFA_TRY(not_here("dropout", options.dropout != 0));
  MFA_TRY(not_here("sparsity", options.sparsity == MFA_SPARSITY_ON));
  // K and V have rules of their own.
  mfa_tensor_strides k = options.k, v = options.v;
  options.size = sizeof options;
  options.k = options.v = {};
  auto attention = problem_of(&options, lse);
  if (!attention.ok()) return attention.status();

  host::Decode decode = {};
  decode.attention = *attention;
  decode.kv_type = desc.kv_type ? desc.kv_type : decode.attention.type;
  MFA_TRY(check_float_type(decode.kv_type, "desc->kv_type"));
  decode.lengths = desc.has_lengths;
  decode.splits = desc.splits;
  decode.page_size = desc.page_size;
  decode.pages = desc.pages;
  if (desc.page_size == 0 && (desc.pages != 0 || desc.table_stride != 0))
    return failure(Code::invalid_argument,
                   "desc->pages is %" PRIu64 " and desc->table_stride %" PRIu64
                   " but desc->page_size is 0",
                   desc.pages, desc.table_stride);
  if (desc.page_size != 0) {
    decode.table_stride = or_default(desc.table_stride, ceil_div(options.C, desc.page_size));
    if (desc.pages == 0 && options.C != 0)
      return failure(Code::invalid_argument, "desc->pages is 0, expected at least 1");
  }
  MFA_TRY(quantization(desc, decode));
  MFA_TRY(cache_strides("k", k, "k_scales", desc.k_scales, options.layout, decode.attention.D,
                        decode, decode.attention.k, decode.k_scales));
  MFA_TRY(cache_strides("v", v, "v_scales", desc.v_scales, options.layout, decode.attention.Dv,
                        decode, decode.attention.v, decode.v_scales));
  return decode;
}

Outcome<host::Merge> problem_of(const mfa_merge_desc* given, bool lse) {
  mfa_merge_desc desc;
  MFA_TRY(read_struct(given, desc, sizeof(mfa_merge_desc), "desc", "mfa_merge_desc"));
  host::Merge merge = {};
  merge.type = desc.type ? desc.type : MFA_TYPE_HALF;
  merge.o_type = desc.o_type ? desc.o_type : merge.type;
  MFA_TRY(check_float_type(merge.type, "desc->type"));
  if (merge.o_type != merge.type && merge.o_type != MFA_TYPE_FLOAT)
    return failure(Code::invalid_type, "desc->o_type is %s, expected %s or float",
                   host::type_name(merge.o_type).c_str(), host::type_name(merge.type).c_str());
  if (static_cast<unsigned>(desc.layout) > MFA_LAYOUT_BNHD)
    return failure(Code::invalid_argument, "desc->layout is %u, expected at most %u",
                   static_cast<unsigned>(desc.layout), static_cast<unsigned>(MFA_LAYOUT_BNHD));
  merge.B = or_default(desc.B, 1);
  merge.H = or_default(desc.H, 1);
  merge.R = desc.R;
  merge.Dv = desc.Dv;
  if (merge.Dv == 0) return failure(Code::invalid_argument, "Dv is 0, expected at least 1");
  uint64_t B = merge.B, H = merge.H, R = merge.R, Dv = merge.Dv, per_batch;
  MFA_TRY(tensor("first", desc.first, desc.layout, B, H, R, Dv, Use::read, merge.first));
  MFA_TRY(tensor("second", desc.second, desc.layout, B, H, R, Dv, Use::read, merge.second));
  MFA_TRY(tensor("o", desc.o, desc.layout, B, H, R, Dv, Use::write, merge.o));
  if (__builtin_mul_overflow(H, R, &per_batch))
    return failure(Code::invalid_argument, "H * R does not fit 64 bits");
  struct {
    const char *batch_name, *head_name;
    int64_t batch, head;
    Use use;
    uint64_t &to_batch, &to_head;
  } sums[] = {
      {"desc->first_lse_batch", "desc->first_lse_head", desc.first_lse_batch, desc.first_lse_head,
       Use::read, merge.first_lse_batch, merge.first_lse_head},
      {"desc->second_lse_batch", "desc->second_lse_head", desc.second_lse_batch,
       desc.second_lse_head, Use::read, merge.second_lse_batch, merge.second_lse_head},
      {"desc->lse_batch", "desc->lse_head", desc.lse_batch, desc.lse_head, Use::write,
       merge.lse_batch, merge.lse_head},
  };
  for (auto& sum : sums) {
    MFA_TRY(stride(sum.batch_name, sum.batch, B, per_batch, sum.use, sum.to_batch));
    MFA_TRY(stride(sum.head_name, sum.head, H, R, sum.use, sum.to_head));
  }
  merge.lse = lse;
  return merge;
}

namespace {

Status decode(mfa_commands commands, const mfa_decode_desc* desc,
              const mfa_decode_operands* operands) {
  Target target("mfa_attention_decode");
  MFA_TRY(target.open(commands));
  mfa_decode_operands given;
  MFA_TRY(MFA_READ(operands, given, mfa_decode_operands));
  auto checked = problem_of(desc, given.lse.buffer != nullptr);
  if (!checked.ok()) return checked.status();
  host::Decode& d = *checked;
  host::Attention& a = d.attention;
  if (a.C == 0) {  // there is nothing to mask
    a.mask_kind = MFA_MASK_NONE;
    a.has_bias = false;
  } else {
    if (a.mask_kind == MFA_MASK_NONE)
      MFA_TRY(unexpected("mask", given.mask, "desc->attention->mask_kind is MFA_MASK_NONE"));
    if (!a.has_bias) MFA_TRY(unexpected("bias", given.bias, "desc->attention->has_bias is false"));
  }
  if (!a.slopes)
    MFA_TRY(unexpected("slopes", given.slopes, "desc->attention->has_slopes is false"));
  if (!a.sinks) MFA_TRY(unexpected("sinks", given.sinks, "desc->attention->has_sinks is false"));
  if (!d.lengths) MFA_TRY(unexpected("lengths", given.lengths, "desc->has_lengths is false"));
  if (!d.page_size) MFA_TRY(unexpected("table", given.table, "desc->page_size is 0"));
  if (!d.bits) {
    MFA_TRY(unexpected("k_scales", given.k_scales, "desc->bits is 0"));
    MFA_TRY(unexpected("k_biases", given.k_biases, "desc->bits is 0"));
    MFA_TRY(unexpected("v_scales", given.v_scales, "desc->bits is 0"));
    MFA_TRY(unexpected("v_biases", given.v_biases, "desc->bits is 0"));
  }

  uint64_t B = a.R ? a.B : 0, element = element_size(a.type);
  uint64_t kv_element = element_size(d.kv_type), stored_element = d.bits ? 1 : kv_element;
  Cache cache = cache_of(d);
  if (B == 0 || a.C == 0) cache.batches = 0;
  Operands all(target.recent());
  host::DecodeOperands taken;
  const host::Strides row = {0, 0, 0, 1};
  MFA_TRY(all.take("q", given.q, {B, a.H, a.R, a.D}, a.q, element, Use::read, taken.q));
  MFA_TRY(all.take("k", given.k, {cache.batches, a.Hkv, cache.rows, stored(d, a.D)}, a.k,
                   stored_element, Use::read, taken.k));
  MFA_TRY(all.take("v", given.v, {cache.batches, a.Hkv, cache.rows, stored(d, a.Dv)}, a.v,
                   stored_element, Use::read, taken.v));
  if (d.bits) {
    struct {
      const char* name;
      const mfa_operand& given;
      uint64_t columns;
      const host::Strides& strides;
      host::Operand& taken;
    } scales[] = {{"k_scales", given.k_scales, a.D, d.k_scales, taken.k_scales},
                  {"k_biases", given.k_biases, a.D, d.k_scales, taken.k_biases},
                  {"v_scales", given.v_scales, a.Dv, d.v_scales, taken.v_scales},
                  {"v_biases", given.v_biases, a.Dv, d.v_scales, taken.v_biases}};
    for (auto& scale : scales)
      MFA_TRY(all.take(scale.name, scale.given,
                       {cache.batches, a.Hkv, cache.rows, scale.columns / d.group}, scale.strides,
                       kv_element, Use::read, scale.taken));
  }
  if (a.mask_kind != MFA_MASK_NONE)
    MFA_TRY(all.take("mask", given.mask, {B, a.H, a.R, a.C}, a.mask,
                     a.mask_kind == MFA_MASK_BOOLEAN ? 1 : element_size(a.mask_type), Use::read,
                     taken.mask));
  if (a.has_bias)
    MFA_TRY(all.take("bias", given.bias, {B, a.H, a.R, a.C}, a.bias, element_size(a.bias_type),
                     Use::read, taken.bias));
  if (a.slopes)
    MFA_TRY(all.take("slopes", given.slopes, {B, 1, 1, a.H}, host::Strides{a.slopes_batch, 0, 0, 1},
                     sizeof(float), Use::read, taken.slopes));
  if (a.sinks)
    MFA_TRY(
        all.take("sinks", given.sinks, {1, 1, 1, a.H}, row, sizeof(float), Use::read, taken.sinks));
  if (d.lengths)
    MFA_TRY(all.take("lengths", given.lengths, {1, 1, 1, B}, row, sizeof(uint32_t), Use::read,
                     taken.lengths));
  if (d.page_size)
    MFA_TRY(all.take("table", given.table, {B, 1, 1, ceil_div(a.C, d.page_size)},
                     host::Strides{d.table_stride, 0, 0, 1}, sizeof(uint32_t), Use::read,
                     taken.table));
  MFA_TRY(all.take("o", given.o, {B, a.H, a.R, a.Dv}, a.o, element_size(a.o_type), Use::write,
                   taken.o));
  if (a.lse)
    MFA_TRY(all.take("lse", given.lse, {B, a.H, 1, a.R},
                     host::Strides{a.lse_batch, a.lse_head, 0, 1}, sizeof(float), Use::write,
                     taken.lse));
  return target.run(all, [&](host::Commands& on) { return host::encode(on, d, taken); });
}

Status merge(mfa_commands commands, const mfa_merge_desc* desc,
             const mfa_merge_operands* operands) {
  Target target("mfa_merge_attention");
  MFA_TRY(target.open(commands));
  mfa_merge_operands given;
  MFA_TRY(MFA_READ(operands, given, mfa_merge_operands));
  auto checked = problem_of(desc, given.lse.buffer != nullptr);
  if (!checked.ok()) return checked.status();
  const host::Merge& m = *checked;
  uint64_t element = element_size(m.type);
  Operands all(target.recent());
  host::MergeOperands taken;
  MFA_TRY(all.take("first", given.first, {m.B, m.H, m.R, m.Dv}, m.first, element, Use::read,
                   taken.first));
  MFA_TRY(all.take("first_lse", given.first_lse, {m.B, m.H, 1, m.R},
                   host::Strides{m.first_lse_batch, m.first_lse_head, 0, 1}, sizeof(float),
                   Use::read, taken.first_lse));
  MFA_TRY(all.take("second", given.second, {m.B, m.H, m.R, m.Dv}, m.second, element, Use::read,
                   taken.second));
  MFA_TRY(all.take("second_lse", given.second_lse, {m.B, m.H, 1, m.R},
                   host::Strides{m.second_lse_batch, m.second_lse_head, 0, 1}, sizeof(float),
                   Use::read, taken.second_lse));
  MFA_TRY(all.take("o", given.o, {m.B, m.H, m.R, m.Dv}, m.o, element_size(m.o_type), Use::write,
                   taken.o));
  if (m.lse)
    MFA_TRY(all.take("lse", given.lse, {m.B, m.H, 1, m.R},
                     host::Strides{m.lse_batch, m.lse_head, 0, 1}, sizeof(float), Use::write,
                     taken.lse));
  return target.run(all, [&](host::Commands& on) { return host::encode(on, m, taken); });
}

}  // namespace

}  // namespace mfa::api

using namespace mfa::api;

mfa_status mfa_attention_decode(mfa_commands commands, const mfa_decode_desc* desc,
                                const mfa_decode_operands* operands) {
  return call("mfa_attention_decode", [&] { return decode(commands, desc, operands); });
}

mfa_status mfa_merge_attention(mfa_commands commands, const mfa_merge_desc* desc,
                               const mfa_merge_operands* operands) {
  return call("mfa_merge_attention", [&] { return merge(commands, desc, operands); });
}
