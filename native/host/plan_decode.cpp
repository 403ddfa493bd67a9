// SPDX-License-Identifier: MIT
// Attention to a cache -> one pass over it, whose parts are merged; two outputs -> their merge.
#include <algorithm>
#include <cinttypes>

#include "host/plan.h"
#include "host/scores.h"
#include "host/tuning.h"
#include "shared.h"

namespace mfa::host {

namespace {

constexpr uint64_t block = 32;             // keys that a simdgroup takes at a time
constexpr uint64_t keys_of_a_split = 256;  // fewer are not worth a part of their own
constexpr uint64_t groups_per_worker = 4;  // so that a late worker costs little
constexpr uint64_t groups_on_gpu = 512;
// `attention` with so few queries, of so many elements together, does not fill tiles. Sums over
// lanes, of which each query needs one, are cheaper with AVX-512.
constexpr uint64_t few_queries = 6, few_queries_avx512 = 8, few_elements = 1024;
constexpr uint64_t groups_of_few = 64;
constexpr uint32_t threads = MFA_SIMDGROUP_SIZE;

/// Queries of all heads that share K and V, cut into equal blocks that fit the registers.
struct Rows {
  uint64_t all, blocks, each;
};

Rows rows_of(const Attention& problem) {
  uint64_t chunks = round_up(std::max(problem.D, problem.Dv), 64) / 32;
  uint64_t most = std::clamp<uint64_t>(32 / chunks, 1, MFA_MAX_DECODE_ROWS);
  Rows rows = {};
  rows.all = problem.H / problem.Hkv * problem.R;
  rows.blocks = round_up(rows.all, most) / most;
  rows.each = round_up(rows.all, rows.blocks) / rows.blocks;
  return rows;
}

uint64_t splits_of(const Device& device, const Decode& problem, const Rows& rows) {
  const Attention& attention = problem.attention;
  uint64_t blocks = std::max<uint64_t>(round_up(attention.C, block) / block, 1);
  if (problem.splits) return std::min<uint64_t>(problem.splits, blocks);
  uint64_t keys = attention.C;
  if (attention.window_left != no_limit)
    keys = std::min(keys, attention.window_left + attention.R + block);
  uint64_t wanted = device.workers ? device.workers * groups_per_worker : groups_on_gpu;
  uint64_t groups = std::max<uint64_t>(attention.B * attention.Hkv * rows.blocks, 1);
  uint64_t most = std::max<uint64_t>(keys / keys_of_a_split, 1);
  return std::clamp<uint64_t>(round_up(wanted, groups) / groups, 1, most);
}

KernelDescriptor kernel_of(const Decode& problem, const Rows& rows, bool split) {
  const Attention& attention = problem.attention;
  KernelDescriptor kernel("decode");
  kernel.set("D", MFA_CONSTANT_D, (uint32_t)attention.D);
  kernel.set("D_V", MFA_CONSTANT_D_V, (uint32_t)attention.Dv);
  kernel.set("data_type", MFA_CONSTANT_DATA_TYPE, attention.type);
  kernel.set("O_type", MFA_CONSTANT_O_TYPE, attention.o_type);
  kernel.set("KV_type", MFA_CONSTANT_KV_TYPE, problem.kv_type);
  kernel.set("KV_bits", MFA_CONSTANT_KV_BITS, problem.bits);
  if (problem.bits) kernel.set("KV_group", MFA_CONSTANT_KV_GROUP, problem.group);
  kernel.set("page_size", MFA_CONSTANT_PAGE_SIZE, (uint32_t)problem.page_size);
  kernel.set("lengths", MFA_CONSTANT_LENGTHS, problem.lengths);
  kernel.set("rows", MFA_CONSTANT_ROWS, (uint16_t)rows.each);
  kernel.set("split", MFA_CONSTANT_SPLIT, split);
  kernel.set("sinks", MFA_CONSTANT_SINKS, attention.sinks);
  kernel.set("write_lse", MFA_CONSTANT_WRITE_LSE, attention.lse && !split);
  set_score_constants(kernel, attention);
  return kernel;
}

mfa_strides row_strides(const Strides& strides) {
  return {strides.batch, strides.head, strides.row};
}

mfa_decode_parameters parameters_of(const Decode& problem, const Rows& rows, uint64_t splits) {
  const Attention& attention = problem.attention;
  mfa_decode_parameters parameters = {};
  parameters.R = (uint32_t)attention.R;
  parameters.C = (uint32_t)attention.C;
  parameters.H = (uint32_t)attention.H;
  parameters.H_ratio = (uint32_t)(attention.H / attention.Hkv);
  parameters.splits = (uint32_t)splits;
  parameters.row_blocks = (uint32_t)rows.blocks;
  parameters.scores = score_parameters(attention);
  parameters.Q = row_strides(attention.q);
  parameters.K = row_strides(attention.k);
  parameters.V = row_strides(attention.v);
  parameters.O = row_strides(attention.o);
  parameters.K_scales = row_strides(problem.k_scales);
  parameters.V_scales = row_strides(problem.v_scales);
  parameters.Q_column = attention.q.column;
  parameters.O_column = attention.o.column;
  parameters.lse_batch = attention.lse_batch;
  parameters.lse_head = attention.lse_head;
  parameters.table_row = problem.table_stride;
  parameters.pages = (uint32_t)problem.pages;
  return parameters;
}

template <class Parameters>
std::string bytes_of(const Parameters& parameters) {
  return std::string(reinterpret_cast<const char*>(&parameters), sizeof parameters);
}

Status check(const char* name, uint64_t value, uint64_t limit) {
  if (value <= limit) return {};
  return failure(Code::unsupported, "%s is %" PRIu64 ", at most %" PRIu64 " is possible", name,
                 value, limit);
}

KernelDescriptor merge_kernel(uint32_t type, uint32_t o_type, bool lse, bool pair) {
  KernelDescriptor kernel("merge");
  kernel.set("data_type", MFA_CONSTANT_DATA_TYPE, type);
  kernel.set("O_type", MFA_CONSTANT_O_TYPE, o_type);
  kernel.set("write_lse", MFA_CONSTANT_WRITE_LSE, lse);
  kernel.set("pair", MFA_CONSTANT_PAIR, pair);
  return kernel;
}

Step merge_parts(const Attention& attention, uint64_t splits) {
  mfa_merge_parameters parameters = {};
  parameters.R = (uint32_t)attention.R;
  parameters.H = (uint32_t)attention.H;
  parameters.D_V = (uint32_t)attention.Dv;
  parameters.parts = (uint32_t)splits;
  parameters.O = row_strides(attention.o);
  parameters.O_column = attention.o.column;
  parameters.lse_batch = attention.lse_batch;
  parameters.lse_head = attention.lse_head;
  return {merge_kernel(MFA_TYPE_FLOAT, attention.o_type, attention.lse, false),
          bytes_of(parameters),
          {attention.R, attention.H, attention.B},
          threads,
          0};
}

}  // namespace

std::optional<Decode> as_decode(const Device& device, const Attention& problem) {
  const uint64_t width = std::max(problem.D, problem.Dv);
  const bool few = problem.R != 0 &&
                   problem.R <= (device.avx512() ? few_queries_avx512 : few_queries) &&
                   width <= few_elements / problem.R && width <= MFA_MAX_DECODE_CHUNKS * 32;
  const bool contiguous = problem.k.column == 1 && problem.v.column == 1;
  if (!few || !contiguous || problem.packed || problem.dropout != 0 ||
      problem.sparsity == Sparsity::on || problem.H > INT32_MAX / 16)
    return {};
  Decode decode = {};
  decode.attention = problem;
  decode.kv_type = problem.type;
  // Results of attention must not depend on the number of workers.
  uint64_t groups = std::max<uint64_t>(problem.B * problem.Hkv * rows_of(problem).blocks, 1);
  decode.splits = (uint32_t)std::clamp<uint64_t>(round_up(groups_of_few, groups) / groups, 1,
                                                 problem.C / keys_of_a_split + 1);
  return decode;
}

Outcome<Plan> plan(const Device& device, const Decode& problem) {
  const Attention& attention = problem.attention;
  MFA_TRY(check("R", attention.R, 16));
  MFA_TRY(check("C", attention.C, INT32_MAX));
  MFA_TRY(check("B", attention.B, INT32_MAX));
  MFA_TRY(check("H", attention.H, INT32_MAX / 16));
  MFA_TRY(check("D", attention.D, MFA_MAX_DECODE_CHUNKS * 32));
  MFA_TRY(check("Dv", attention.Dv, MFA_MAX_DECODE_CHUNKS * 32));
  MFA_TRY(check("page_size", problem.page_size, INT32_MAX));
  MFA_TRY(check("pages", problem.pages, UINT32_MAX));
  Plan plan;
  if (attention.R == 0) return plan;
  Rows rows = rows_of(attention);
  uint64_t splits = splits_of(device, problem, rows);
  plan.tile[0] = (uint32_t)rows.each;
  plan.tile[1] = MFA_DECODE_BLOCK;
  plan.tile[2] = (uint32_t)std::max(attention.D, attention.Dv);
  plan.reason = splits > 1 ? "keys are split and merged" : "one pass over the keys";
  plan.steps.push_back({kernel_of(problem, rows, splits > 1),
                        bytes_of(parameters_of(problem, rows, splits)),
                        {splits, attention.Hkv * rows.blocks, attention.B},
                        threads,
                        rows.each * MFA_DECODE_BLOCK * sizeof(float)});
  if (splits > 1) {
    plan.workspace = attention.B * attention.H * attention.R * splits * (attention.Dv + 1) * 4;
    plan.steps.push_back(merge_parts(attention, splits));
    plan.after = 1;
  }
  return plan;
}

Outcome<Plan> plan(const Device&, const Merge& problem) {
  MFA_TRY(check("R", problem.R, UINT32_MAX));
  MFA_TRY(check("H", problem.H, UINT32_MAX));
  MFA_TRY(check("B", problem.B, UINT32_MAX));
  MFA_TRY(check("Dv", problem.Dv, INT32_MAX));
  Plan plan;
  if (problem.R == 0) return plan;
  mfa_merge_parameters parameters = {};
  parameters.R = (uint32_t)problem.R;
  parameters.H = (uint32_t)problem.H;
  parameters.D_V = (uint32_t)problem.Dv;
  parameters.parts = 2;
  parameters.O = row_strides(problem.o);
  parameters.first = row_strides(problem.first);
  parameters.second = row_strides(problem.second);
  parameters.O_column = problem.o.column;
  parameters.first_column = problem.first.column;
  parameters.second_column = problem.second.column;
  parameters.lse_batch = problem.lse_batch;
  parameters.lse_head = problem.lse_head;
  parameters.first_lse_batch = problem.first_lse_batch;
  parameters.first_lse_head = problem.first_lse_head;
  parameters.second_lse_batch = problem.second_lse_batch;
  parameters.second_lse_head = problem.second_lse_head;
  plan.reason = "rows weighted by their log-sum-exps";
  plan.tile[0] = 1;
  plan.tile[2] = (uint32_t)problem.Dv;
  plan.steps.push_back({merge_kernel(problem.type, problem.o_type, problem.lse, true),
                        bytes_of(parameters),
                        {problem.R, problem.H, problem.B},
                        threads,
                        0});
  return plan;
}

}  // namespace mfa::host
