// SPDX-License-Identifier: MIT
// Which tiles a kernel gets, by device and problem.
#pragma once

#include <cstdint>
#include <string>

#include "host/device.h"
#include "host/problem.h"

namespace mfa::host {

/// Columns of the GEMM table. The first row whose preconditions hold is taken.
struct GemmTile {
  // Preconditions.
  bool gpu;                                    // an Apple GPU, else a CPU device
  uint32_t type;                               // MTLDataType, 0: any
  uint64_t max_M, max_N, max_K, max_elements;  // M * N * batch
  // What is set.
  uint16_t M_simd, N_simd, K_simd, M_splits, N_splits;
  uint16_t A_padding, B_padding;
  bool tile_float, staged;
  const char* reason;
  // Precondition: a part of the device's description, such as "avx512" or "M2". Null: any device.
  const char* device = nullptr;
  // Precondition: how much of the multiplications may be of padding, in percent of those that
  // blocks of 64 x 64 x 64 need.
  uint32_t max_padding = UINT32_MAX;
  uint64_t min_elements = 0;  // M * N * batch
  // Precondition, and set: A is not transposed, B is or is not; no tiles.
  enum class Vector : uint8_t { no, transposed, plain } vector = Vector::no;
  uint64_t min_share = 0;  // precondition: elements for each of the CPU's workers
};

/// Columns of the table of products with quantized weights. The first row whose preconditions hold
/// is taken.
struct QgemmTile {
  // Preconditions.
  bool gpu;
  bool vector;  // A is not transposed
  bool trans_b;
  uint64_t max_M;
  // What is set.
  uint16_t M_simd, N_simd, K_simd, M_splits, N_splits;
  bool tile_float, staged;
  const char* reason;
};

/// Columns of the attention table. The first row that holds and fits the device's threadgroup
/// memory is taken.
struct AttentionTile {
  // Preconditions.
  bool gpu;
  uint32_t type;
  uint64_t max_R, max_D;  // of D and Dv the larger
  // What is set.
  uint16_t R_simd, C_simd, R_splits;
  bool staged;
  const char* reason;
  const char* device = nullptr;  // precondition, as above
};

/// Columns of the table of the implicit GEMM of a convolution, taken like those of attention.
struct ConvolutionTile {
  // Preconditions.
  bool gpu;
  uint64_t max_pixels, max_K, max_elements;  // K of one group; pixels * K of all groups
  // What is set.
  uint16_t M_simd, N_simd, K_simd, M_splits, N_splits;
  bool tile_float, staged;
  const char* reason;
};

/// Null if no row holds. The device's own rows (tile_tables.h) come before the built-in ones, but
/// not before those that go without tiles.
const GemmTile* gemm_tile(const Device& device, const Gemm& problem);
const QgemmTile* qgemm_tile(const Device& device, const Qgemm& problem);
const AttentionTile* attention_tile(const Device& device, const Attention& problem);
const ConvolutionTile* convolution_tile(const Device& device, const Convolution& problem,
                                        uint64_t pixels);

/// Why: the row's reason, where it stands and its preconditions.
std::string why(const GemmTile& tile);
std::string why(const AttentionTile& tile);

/// The tile that all passes of a backward problem share. `joint`: the pass over columns adds up dQ
/// too, which this decides, because it pays only where every worker has heads of its own.
struct BackwardTile {
  const AttentionTile* tile;  // null if none fits
  bool joint;
};
BackwardTile backward_tile(const Device& device, const AttentionBackward& problem);

/// Threadgroup memory in bytes.
uint64_t gemm_memory(const GemmTile& tile, uint32_t type);
uint64_t convolution_memory(const ConvolutionTile& tile, uint32_t type);
uint64_t qgemm_memory(const QgemmTile& tile, uint32_t input_type);
uint64_t attention_memory(const AttentionTile& tile, const Attention& problem);
uint64_t backward_rows_memory(const AttentionTile& tile, const AttentionBackward& problem);
uint64_t backward_columns_memory(const AttentionTile& tile, const AttentionBackward& problem,
                                 bool joint);
uint64_t backward_bias_memory(const AttentionTile& tile, const AttentionBackward& problem);

uint32_t type_size(uint32_t type);
uint64_t round_up(uint64_t value, uint64_t multiple);

/// A mask is summarised block by block first if a row of it has at least this many blocks.
constexpr uint64_t min_blocks_to_summarize = 4;

}  // namespace mfa::host
