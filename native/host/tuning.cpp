// SPDX-License-Identifier: MIT
// Device and problem -> a row of the tuning tables.
#include "host/tuning.h"

#include <algorithm>
#include <functional>
#include <iterator>

#include "host/tile_tables.h"
#include "shared.h"

namespace mfa::host {

namespace {

constexpr uint64_t any = UINT64_MAX;
constexpr uint32_t F32 = MFA_TYPE_FLOAT, BF16 = MFA_TYPE_BFLOAT;

// CPU: one simdgroup per threadgroup, because a threadgroup stays on one worker; tiles are float,
// so that the multiplication reads them as they are; results are staged, so that C is written by
// rows. A CPU that multiplies bfloat takes it as it is; its faster products want larger blocks,
// which are copied less often. So do very large products; they take twice as long to compile. Very
// large ones of bfloat want deeper blocks, too, which take more of each row, and so of each page,
// at a time. AVX2: so do all very large ones, and rows of B that are a power of two would meet in
// few sets of the cache. One row of plain B: the longer the run of each row of B that is read at
// once, the better, as long as every worker gets two of them. Few elements: smaller blocks, so that
// every worker gets some. GPU: the published tiles of Metal FlashAttention 1.0, four simdgroups.
constexpr GemmTile gemm_tiles[] = {
    // gpu    type  max_M max_N max_K max_elements  M   N   K  Ms Ns  Ap Bp float  staged
    {false, 0, 1, any,   any,   any,       1,       8,          0, 1,
     1,     0, 0, false, false, "one row", nullptr, UINT32_MAX, 0, GemmTile::Vector::transposed},
    {false, 0, 1, any,   any,   any,       1,       1024,       0, 1,
     1,     0, 0, false, false, "one row", nullptr, UINT32_MAX, 0, GemmTile::Vector::plain,
     2048},
    {false, 0, 1, any,   any,   any,       1,       512,        0, 1,
     1,     0, 0, false, false, "one row", nullptr, UINT32_MAX, 0, GemmTile::Vector::plain,
     1024},
    {false, 0, 1, any,   any,   any,       1,       256,        0, 1,
     1,     0, 0, false, false, "one row", nullptr, UINT32_MAX, 0, GemmTile::Vector::plain,
     512},
    {false,   0,          1,     any,
     any,     any,        1,     128,
     0,       1,          1,     0,
     0,       false,      false, "one short row",
     nullptr, UINT32_MAX, 0,     GemmTile::Vector::plain},
    {false,   0,          4,     any,
     any,     any,        4,     4,
     0,       1,          1,     0,
     0,       false,      false, "at most 4 rows",
     nullptr, UINT32_MAX, 0,     GemmTile::Vector::transposed},
    {false, 0, 8, any, any, any, 8, 64, 64, 1, 1, 0, 0, true, true, "at most 8 rows"},
    {false, 0, 16, any, any, any, 16, 64, 64, 1, 1, 0, 0, true, true, "at most 16 rows"},
    {false, 0, any, 8, any, any, 64, 8, 64, 1, 1, 0, 0, true, true, "at most 8 columns"},
    {false, 0, any, 16, any, any, 64, 16, 64, 1, 1, 0, 0, true, true, "at most 16 columns"},
    {false, 0, 32, any, any, any, 32, 64, 64, 1, 1, 0, 0, true, true, "at most 32 rows"},
    {false, 0, any, 32, any, any, 64, 32, 64, 1, 1, 0, 0, true, true, "at most 32 columns"},
    {false, 0, 40, any, any, any, 40, 64, 64, 1, 1, 0, 0, true, true, "at most 40 rows"},
    {false, 0, 48, any, any, any, 48, 64, 64, 1, 1, 0, 0, true, true, "at most 48 rows"},
    {false, 0, any, any, 32, any, 64, 64, 32, 1, 1, 0, 0, true, true, "K is at most 32"},
    {false, BF16, any, any, any, 65536, 64, 64, 64, 1, 1, 0, 0, false, true, "few BF16 elements",
     "bf16"},
    {false, 0, any, any, any, 16384, 32, 64, 64, 1, 1, 0, 0, true, true, "few elements"},
    {false, BF16, any, any, any, any, 128, 128, 128, 1, 1, 0, 0, false, true,
     "very large BF16 matrices", "bf16", 8, 1 << 20},
    {false, BF16, any, any, any, any, 128, 128, 64, 1, 1, 0, 0, false, true, "large BF16 matrices",
     "bf16", 8},
    {false, BF16, any, any, any, any, 64, 128, 128, 1, 1, 0, 0, false, true,
     "BF16 matrices that larger blocks would pad", "bf16"},
    {false, 0, any, any, any, any, 128, 128, 128, 1, 1, 0, 16, true, true, "very large matrices",
     "avx2", 8, 3 << 19},
    {false, 0, any, any, any, any, 128, 128, 64, 1, 1, 0, 0, true, true, "very large matrices",
     nullptr, 8, 3 << 19},
    {false, 0, any, any, any, any, 64, 64, 64, 1, 1, 0, 16, true, true, "large matrices", "avx2"},
    {false, 0, any, any, any, any, 64, 64, 64, 1, 1, 0, 0, true, true, "large matrices"},

    {true, 0, 8, any, any, any, 8, 32, 32, 1, 4, 0, 0, false, false, "at most 8 rows"},
    {true, 0, any, any, any, 1000000, 16, 16, 32, 2, 2, 0, 0, false, false, "few elements"},
    {true, F32, any, any, any, any, 24, 24, 24, 2, 2, 0, 0, false, false, "large FP32 matrices"},
    {true, 0, any, any, any, any, 24, 24, 32, 2, 2, 0, 0, false, false, "large 16-bit matrices"},
};

// Few rows: every weight is decoded once and multiplied in registers, without tiles. B transposed:
// N_simd sums that lanes share; else runs of 32 columns. Many rows: a tile of weights is decoded
// once per threadgroup, the more rows the less often. Runs of 32 weights stay whole, so K_simd and
// N_simd * N_splits are multiples of 32.
constexpr QgemmTile qgemm_tiles[] = {
    // gpu vector trans_b max_M  M   N   K Ms Ns float  staged
    {false, true, true, 1, 1, 4, 0, 1, 1, false, false, "one row"},
    {false, true, false, 1, 1, 128, 0, 1, 1, false, false, "one row"},
    {false, true, true, 4, 4, 4, 0, 1, 1, false, false, "at most 4 rows"},
    {false, true, false, 4, 4, 128, 0, 1, 1, false, false, "at most 4 rows"},
    {false, false, true, 8, 8, 64, 64, 1, 1, true, true, "at most 8 rows"},
    {false, false, true, 16, 16, 64, 64, 1, 1, true, true, "at most 16 rows"},
    {false, false, true, 32, 32, 64, 64, 1, 1, true, true, "at most 32 rows"},
    {false, false, true, any, 64, 64, 64, 1, 1, true, true, "many rows"},

    {true, true, true, 4, 4, 4, 0, 1, 2, false, false, "at most 4 rows"},
    {true, true, false, 4, 4, 32, 0, 1, 2, false, false, "at most 4 rows"},
    {true, false, true, any, 16, 16, 32, 2, 2, false, false, "many rows"},
};

// CPU: scores and output stay in threadgroup memory; the more rows, the less often K and V are
// read. GPU: the published tiles without the widest ones; scores and output stay in registers.
constexpr AttentionTile attention_tiles[] = {
    // gpu    type max_R max_D   R   C  splits staged
    {false, 0, 8, any, 8, 64, 1, true, "at most 8 queries"},
    {false, 0, 16, any, 16, 64, 1, true, "at most 16 queries"},
    {false, 0, 32, any, 32, 64, 1, true, "at most 32 queries"},
    {false, 0, any, any, 64, 64, 1, true, "many queries"},
    {false, 0, any, any, 32, 32, 1, true, "large heads"},
    {false, 0, any, any, 16, 16, 1, true, "very large heads"},
    {false, 0, any, any, 8, 8, 1, true, "the largest heads"},

    {true, F32, any, 224, 8, 32, 4, false, "FP32"},
    {true, 0, any, 16, 8, 64, 8, false, "heads of at most 16"},
    {true, 0, any, 96, 8, 64, 4, false, "heads of at most 96"},
    {true, 0, any, 304, 8, 32, 4, false, "heads of at most 304"},
    {true, 0, any, 512, 8, 8, 1, false, "large heads"},
};

// CPU: as for GEMM; the fewer output channels, the more pixels. GPU: not measured.
constexpr ConvolutionTile convolution_tiles[] = {
    // gpu  pixels  K  elements  M   N   K  Ms Ns float  staged
    {false, any, 8, any, 64, 8, 64, 1, 1, true, true, "at most 8 channels"},
    {false, any, 16, any, 64, 16, 64, 1, 1, true, true, "at most 16 channels"},
    {false, 8, any, any, 8, 64, 64, 1, 1, true, true, "at most 8 pixels"},
    {false, 16, any, any, 16, 64, 64, 1, 1, true, true, "at most 16 pixels"},
    {false, any, 32, any, 64, 32, 64, 1, 1, true, true, "at most 32 channels"},
    {false, any, any, 65536, 32, 64, 64, 1, 1, true, true, "few elements"},
    {false, any, any, any, 64, 64, 64, 1, 1, true, true, "large images"},

    {true, any, 16, any, 32, 8, 32, 4, 1, false, false, "at most 16 channels"},
    {true, any, any, any, 16, 16, 32, 2, 2, false, false, "many channels"},
};

// CPU: one simdgroup again; the larger the block, the less often the other operands are read. GPU:
// what 32 KiB hold.
constexpr AttentionTile backward_tiles[] = {
    // gpu    type max_R max_D   R   C  splits staged
    {false, 0, 8, any, 8, 64, 1, true, "at most 8 queries"},
    {false, 0, 16, any, 16, 64, 1, true, "at most 16 queries"},
    {false, 0, 32, any, 32, 64, 1, true, "at most 32 queries"},
    {false, 0, any, any, 64, 64, 1, true, "many queries"},
    {false, 0, any, any, 32, 32, 1, true, "large heads"},
    {false, 0, any, any, 16, 16, 1, true, "very large heads"},
    {false, 0, any, any, 8, 8, 1, true, "the largest heads"},

    {true, 0, any, any, 8, 16, 2, true, "heads of at most 64"},
    {true, 0, any, any, 8, 8, 1, true, "larger heads"},
};

bool is_gpu(const Device& device) { return device.backend == Backend::metal; }

template <class Tile, class Problem>
bool for_device(const Tile& tile, const Device& device, const Problem& problem) {
  if (tile.gpu != is_gpu(device)) return false;
  if (tile.device && device.description.find(tile.device) == std::string::npos) return false;
  return tile.type == 0 || tile.type == problem.type;
}

/// The multiplications of blocks of this size, those beyond the matrices with them.
double padded(const Gemm& problem, uint64_t rows, uint64_t columns, uint64_t depth) {
  return double(round_up(problem.M, rows)) * double(round_up(problem.N, columns)) *
         double(round_up(problem.K, depth));
}

bool pads_little(const GemmTile& tile, const Gemm& problem) {
  if (tile.max_padding == UINT32_MAX) return true;
  const double more = padded(problem, uint64_t(tile.M_simd) * tile.M_splits,
                             uint64_t(tile.N_simd) * tile.N_splits, tile.K_simd);
  const double least = padded(problem, 64, 64, 64);
  return more <= least || (more / least - 1) * 100 < tile.max_padding;
}

bool holds(const GemmTile& tile, const Device& device, const Gemm& problem) {
  if (!for_device(tile, device, problem)) return false;
  if (tile.vector != GemmTile::Vector::no &&
      (problem.trans_a || problem.trans_b != (tile.vector == GemmTile::Vector::transposed)))
    return false;
  if (!pads_little(tile, problem)) return false;
  // The sizes fit 32 bits each; more batches than that are as good as "any".
  uint64_t elements = problem.M * problem.N;
  elements = problem.batch != 0 && elements > any / problem.batch ? any : elements * problem.batch;
  return problem.M <= tile.max_M && problem.N <= tile.max_N && problem.K <= tile.max_K &&
         elements <= tile.max_elements && elements >= tile.min_elements &&
         elements / std::max(device.workers, 1u) >= tile.min_share &&
         (tile.min_share == 0 || problem.N >= tile.N_simd) &&
         gemm_memory(tile, problem.type) <= device.max_threadgroup_memory;
}

bool holds(const AttentionTile& tile, const Device& device, const Attention& problem) {
  return for_device(tile, device, problem) && problem.R <= tile.max_R &&
         std::max(problem.D, problem.Dv) <= tile.max_D &&
         attention_memory(tile, problem) <= device.max_threadgroup_memory;
}

template <class Rows, class Problem>
auto first(const Rows& rows, const Device& device, const Problem& problem)
    -> decltype(std::data(rows)) {
  for (const auto& tile : rows)
    if (holds(tile, device, problem)) return &tile;
  return nullptr;
}

template <class Rows, class Tile>
bool among(const Rows& rows, const Tile& tile) {
  return std::less_equal<>()(std::data(rows), &tile) &&
         std::less<>()(&tile, std::data(rows) + std::size(rows));
}

/// "large matrices (built-in row 9 of gemm_tiles: CPU devices)"
template <class Rows, class Tile>
std::string told(const char* table, const Rows& built_in, const Tile& tile) {
  std::string where = "own row";
  if (among(built_in, tile))
    where = "built-in row " + std::to_string(&tile - std::data(built_in) + 1);
  return std::string(tile.reason) + " (" + where + " of " + table + ": " + preconditions(tile) +
         ")";
}

}  // namespace

uint32_t type_size(uint32_t type) { return type == MFA_TYPE_FLOAT ? 4 : 2; }

uint64_t round_up(uint64_t value, uint64_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

uint64_t gemm_memory(const GemmTile& tile, uint32_t type) {
  if (tile.vector != GemmTile::Vector::no) return 0;
  return MFA_GEMM_THREADGROUP_BYTES(tile.M_simd * tile.M_splits, tile.N_simd * tile.N_splits,
                                    tile.K_simd, tile.A_padding, tile.B_padding,
                                    tile.tile_float ? 4u : type_size(type), tile.staged);
}

uint64_t convolution_memory(const ConvolutionTile& tile, uint32_t type) {
  uint32_t M_group = tile.M_simd * tile.M_splits, N_group = tile.N_simd * tile.N_splits;
  return uint64_t(M_group) * MFA_CONVOLUTION_ROW_BYTES +
         MFA_GEMM_THREADGROUP_BYTES(M_group, N_group, tile.K_simd, 0, 0,
                                    tile.tile_float ? 4u : type_size(type), tile.staged);
}

uint64_t qgemm_memory(const QgemmTile& tile, uint32_t input_type) {
  if (tile.vector) return 0;
  return MFA_GEMM_THREADGROUP_BYTES(tile.M_simd * tile.M_splits, tile.N_simd * tile.N_splits,
                                    tile.K_simd, 0u, 0u,
                                    tile.tile_float ? 4u : type_size(input_type), tile.staged);
}

uint64_t attention_memory(const AttentionTile& tile, const Attention& problem) {
  uint64_t R_group = uint64_t(tile.R_simd) * tile.R_splits;
  uint64_t D = round_up(problem.D, 8), Dv = round_up(problem.Dv, 8), widest = std::max(D, Dv);
  if (tile.staged) return (tile.C_simd * widest + (D + tile.C_simd + Dv) * R_group) * sizeof(float);
  return std::max(R_group * D, tile.C_simd * widest) * type_size(problem.type);
}

uint64_t backward_rows_memory(const AttentionTile& tile, const AttentionBackward& problem) {
  const Attention& forward = problem.forward;
  uint64_t D = round_up(forward.D, 8), Dv = round_up(forward.Dv, 8);
  uint64_t squares = forward.mask_kind != MFA_MASK_NONE || forward.has_bias ? 3 : 2;
  return MFA_ATTENTION_BACKWARD_BYTES(tile.R_simd * tile.R_splits, tile.C_simd, D, Dv, squares, D);
}

uint64_t backward_columns_memory(const AttentionTile& tile, const AttentionBackward& problem,
                                 bool joint) {
  uint64_t D = round_up(problem.forward.D, 8), Dv = round_up(problem.forward.Dv, 8);
  uint64_t results = (problem.has_dk ? D : 0) + (problem.has_dv ? Dv : 0) + (joint ? D : 0);
  return MFA_ATTENTION_BACKWARD_BYTES(tile.C_simd, tile.R_simd * tile.R_splits, D, Dv, 2, results);
}

uint64_t backward_bias_memory(const AttentionTile& tile, const AttentionBackward& problem) {
  uint64_t D = round_up(problem.forward.D, 8), Dv = round_up(problem.forward.Dv, 8);
  return MFA_ATTENTION_BACKWARD_BYTES(tile.C_simd, tile.R_simd * tile.R_splits, D, Dv, 3, 0);
}

const GemmTile* gemm_tile(const Device& device, const Gemm& problem) {
  // A device's own rows are about tiles: what goes without any comes before them.
  const GemmTile* built_in = first(gemm_tiles, device, problem);
  if (built_in && built_in->vector != GemmTile::Vector::no) return built_in;
  const TileTables* own = device.tiles();
  const GemmTile* tile = own ? first(own->gemm, device, problem) : nullptr;
  return tile ? tile : built_in;
}

const ConvolutionTile* convolution_tile(const Device& device, const Convolution& problem,
                                        uint64_t pixels) {
  for (const ConvolutionTile& tile : convolution_tiles) {
    if (tile.gpu != is_gpu(device)) continue;
    if (pixels > tile.max_pixels || problem.K / problem.groups > tile.max_K) continue;
    if (tile.max_elements != any && pixels > tile.max_elements / problem.K) continue;
    if (convolution_memory(tile, problem.type) > device.max_threadgroup_memory) continue;
    return &tile;
  }
  return nullptr;
}

const QgemmTile* qgemm_tile(const Device& device, const Qgemm& problem) {
  for (const QgemmTile& tile : qgemm_tiles)
    if (tile.gpu == is_gpu(device) && problem.M <= tile.max_M &&
        (!tile.vector || (tile.trans_b == problem.trans_b && !problem.trans_a)))
      return &tile;
  return nullptr;
}

BackwardTile backward_tile(const Device& device, const AttentionBackward& problem) {
  const Attention& forward = problem.forward;
  bool columns = problem.has_dk || problem.has_dv;
  uint64_t heads = forward.B * forward.Hkv, workers = std::max(device.workers, 1u);
  bool joint = !is_gpu(device) && problem.has_dq && columns && !forward.packed &&
               (heads % workers == 0 || heads >= 4 * workers) && heads != 0;
  for (const AttentionTile& tile : backward_tiles) {
    if (tile.gpu != is_gpu(device)) continue;
    if (forward.R > tile.max_R || std::max(forward.D, forward.Dv) > tile.max_D) continue;
    uint64_t limit = device.max_threadgroup_memory;
    if (problem.has_dbias && backward_bias_memory(tile, problem) > limit) continue;
    if (joint && backward_columns_memory(tile, problem, true) <= limit) return {&tile, true};
    if (problem.has_dq && backward_rows_memory(tile, problem) > limit) continue;
    if (columns && backward_columns_memory(tile, problem, false) > limit) continue;
    return {&tile, false};
  }
  return {nullptr, false};
}

const AttentionTile* attention_tile(const Device& device, const Attention& problem) {
  const TileTables* own = device.tiles();
  const AttentionTile* tile = own ? first(own->attention, device, problem) : nullptr;
  return tile ? tile : first(attention_tiles, device, problem);
}

std::string why(const GemmTile& tile) { return told("gemm_tiles", gemm_tiles, tile); }

std::string why(const AttentionTile& tile) {
  return told("attention_tiles", attention_tiles, tile);
}

}  // namespace mfa::host
