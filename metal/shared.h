// SPDX-License-Identifier: MIT
// Numbers and structs shared by the kernels (MSL) and the host that drives them (C, Objective-C).
//
// docs/API.md explains every entry. Indices and slots marked "MFA 1.0" are those of Metal
// FlashAttention 1.0 and never change. All function constants are optional here: API.md lists what
// an undefined one means.
#ifndef MFA_SHARED_H
#define MFA_SHARED_H

#ifndef __METAL_VERSION__
#include <stdint.h>
#endif

// ---- Function constants: sizes (uint). Undefined: read from the parameter block. MFA 1.0.
#define MFA_CONSTANT_M 0
#define MFA_CONSTANT_N 1
#define MFA_CONSTANT_K 2
#define MFA_CONSTANT_R 0
#define MFA_CONSTANT_C 1
#define MFA_CONSTANT_H 2
#define MFA_CONSTANT_D 3
#define MFA_CONSTANT_H_RATIO 4  // query heads per key/value head

// ---- Function constants: layout of operands (bool). MFA 1.0.
#define MFA_CONSTANT_A_TRANS 10
#define MFA_CONSTANT_B_TRANS 11
#define MFA_CONSTANT_BIAS_TRANS 13  // false: N values, one per column; true: M values, one per row
#define MFA_CONSTANT_Q_TRANS 10
#define MFA_CONSTANT_K_TRANS 11
#define MFA_CONSTANT_V_TRANS 12
#define MFA_CONSTANT_O_TRANS 13

// ---- Function constants: scalars (float). Undefined: read from the parameter block. MFA 1.0.
#define MFA_CONSTANT_ALPHA 20  // attention: the scale of the scores
#define MFA_CONSTANT_BETA 21

// ---- Function constants: element types (uint, MTLDataType).
#define MFA_CONSTANT_DATA_TYPE 30    // MFA 1.0: Q, K, V, O; cast: the input
#define MFA_CONSTANT_OUTPUT_TYPE 31  // cast: the output

// ---- Function constants: what takes part (bool). MFA 1.0.
#define MFA_CONSTANT_BATCHED 100
#define MFA_CONSTANT_FUSED_ACTIVATION 101  // visible functions: the kernel does nothing
#define MFA_CONSTANT_BLOCK_SPARSE 102
#define MFA_CONSTANT_TRIANGULAR 103  // not supported, the kernel does nothing
#define MFA_CONSTANT_FORWARD 110
#define MFA_CONSTANT_BACKWARD 111
#define MFA_CONSTANT_GENERATE_BLOCK_MASK 112
#define MFA_CONSTANT_GROUPED_QUERY 113
#define MFA_CONSTANT_FLOAT_ACCUMULATOR 114
#define MFA_CONSTANT_MASKED 50000
#define MFA_CONSTANT_FUSED_BIAS 50001

// ---- Function constants: tiles (ushort, multiples of 8; splits count simdgroups). MFA 1.0.
#define MFA_CONSTANT_M_SIMD 200
#define MFA_CONSTANT_N_SIMD 201
#define MFA_CONSTANT_K_SIMD 202
#define MFA_CONSTANT_M_SPLITS 210
#define MFA_CONSTANT_N_SPLITS 211
#define MFA_CONSTANT_R_SIMD 200
#define MFA_CONSTANT_C_SIMD 201
#define MFA_CONSTANT_R_SPLITS 210
#define MFA_CONSTANT_FUSE_ASYNC_LOADS 213  // accepted, without effect
#define MFA_CONSTANT_R_BANK_OFFSET 220
#define MFA_CONSTANT_C_BANK_OFFSET 221
#define MFA_CONSTANT_D_BANK_OFFSET 222

// ---- Function constants of our own.
#define MFA_CONSTANT_PARAMETERS 300  // bool: a parameter block is bound
#define MFA_CONSTANT_TILE_FLOAT 301  // bool: operand tiles in threadgroup memory hold float
#define MFA_CONSTANT_STAGED 302      // bool: results pass through threadgroup memory
#define MFA_CONSTANT_ACTIVATION 303  // uint, MFA_ACTIVATION_*
#define MFA_CONSTANT_SCALE_BIAS 304  // bool: alpha scales the bias too, as in MFA 1.0
#define MFA_CONSTANT_A_PADDING 305   // ushort: elements added to a row of A's tile
#define MFA_CONSTANT_B_PADDING 306   // ushort: elements added to a row of B's tile
#define MFA_CONSTANT_CAUSAL 320      // uint, MFA_CAUSAL_*
#define MFA_CONSTANT_MASK_KIND 321   // uint, MFA_MASK_*
#define MFA_CONSTANT_MASK_TYPE 322   // uint, MTLDataType of an additive mask
#define MFA_CONSTANT_WRITE_LSE 323   // bool: the log-sum-exp of every row goes to MFA_SLOT_LSE
#define MFA_CONSTANT_D_V 324         // uint: head dimension of V and O
#define MFA_CONSTANT_D_SIMD 325      // ushort: D rounded up, the width of the tiles of Q and K
#define MFA_CONSTANT_D_V_SIMD 326    // ushort: D_V rounded up, the width of the tiles of V and O
#define MFA_CONSTANT_WINDOW 327      // bool: window_left and window_right bound the columns
#define MFA_CONSTANT_SOFT_CAP 328    // bool: soft_cap * tanh(score / soft_cap)
#define MFA_CONSTANT_ALIBI 329       // bool: MFA_SLOT_SLOPES holds a slope per head
#define MFA_CONSTANT_SINKS 330       // bool: MFA_SLOT_SINKS holds a logit per head
#define MFA_CONSTANT_DROPOUT 331     // bool: weights are dropped by Philox
#define MFA_CONSTANT_BIAS 332        // bool: MFA_SLOT_SCORE_BIAS is added to the scaled scores
#define MFA_CONSTANT_BIAS_TYPE 333   // uint, MTLDataType of that bias
#define MFA_CONSTANT_O_TYPE 334      // uint, MTLDataType of O
#define MFA_CONSTANT_PACKED 335    // bool: batches lie one after the other, see MFA_SLOT_ROW_STARTS
#define MFA_CONSTANT_KV_TYPE 336   // decode: uint, MTLDataType of K and V, or of their scales
#define MFA_CONSTANT_KV_BITS 337   // decode: uint, 8 or 4: K and V are integers; 0: they are not
#define MFA_CONSTANT_KV_GROUP 338  // decode: uint, elements that share a scale: 32 or 64
#define MFA_CONSTANT_PAGE_SIZE 339  // decode: uint, keys in a page; 0: not paged
#define MFA_CONSTANT_LENGTHS 340    // decode: bool, MFA_SLOT_LENGTHS says how many keys there are
#define MFA_CONSTANT_SPLIT 341      // decode: bool, results are parts for `merge`
#define MFA_CONSTANT_ROWS 342       // decode: ushort, queries of all heads to a threadgroup
#define MFA_CONSTANT_PAIR 343       // merge: bool, two outputs instead of the parts of decode
#define MFA_CONSTANT_BACKWARD_FORM 360  // uint, MFA_BACKWARD_*, with MFA_CONSTANT_BACKWARD
#define MFA_CONSTANT_DO_TRANS 361       // bool, as O_TRANS; so are the next three
#define MFA_CONSTANT_DQ_TRANS 362
#define MFA_CONSTANT_DK_TRANS 363
#define MFA_CONSTANT_DV_TRANS 364
#define MFA_CONSTANT_WRITE_DQ 365  // bool: the pass over columns adds up dQ too
#define MFA_CONSTANT_WRITE_DK 366  // bool: the pass over columns writes dK
#define MFA_CONSTANT_WRITE_DV 367  // bool: the pass over columns writes dV
#define MFA_CONSTANT_DB_TYPE 368   // uint, MTLDataType of the gradient of a bias

// ---- Function constants of qgemm. Its layout, scalars, tiles and epilogue are those of hgemm.
#define MFA_CONSTANT_QUANTIZATION 400  // uint, MFA_QUANTIZATION_*
#define MFA_CONSTANT_BITS 401          // uint, 1 to 8
#define MFA_CONSTANT_GROUP_SIZE 402    // uint: weights per scale, or rows or columns per palette
#define MFA_CONSTANT_PALETTE_AXIS 403  // uint: 0, palettes belong to stored rows; 1, to columns
#define MFA_CONSTANT_MSB_FIRST 404     // bool: the first weight is in a byte's highest bits
#define MFA_CONSTANT_WEIGHT_TYPE 405   // uint, MTLDataType of scales, zero points and palettes
#define MFA_CONSTANT_BYTE_ROWS 406     // bool: every stored row of weights begins with a byte
#define MFA_CONSTANT_VECTOR 407        // bool, GEMM too: few rows of A, no tiles
#define MFA_CONSTANT_LOOKUP 408        // bool: affine weights of up to 5 bits come from a table

// ---- Function constants of convolution.
#define MFA_CONSTANT_VARIANT 450     // uint, MFA_VARIANT_*
#define MFA_CONSTANT_DIMENSIONS 451  // uint: spatial dimensions, 1 to 3
#define MFA_CONSTANT_WINDOW_Z 452    // uint: the window's size along each dimension; z is the
#define MFA_CONSTANT_WINDOW_Y 453    // outermost, x the innermost one
#define MFA_CONSTANT_WINDOW_X 454
#define MFA_CONSTANT_PART_OF_WINDOW 455  // bool: only some positions of the window take part
#define MFA_CONSTANT_WINDOW_ROWS 456     // bool: a row of the window is contiguous in the data
#define MFA_CONSTANT_GROUP_CHANNELS 457  // uint: depthwise; 2, 4, 8, 16: as many in as out

// ---- Defaults of undefined tile constants.
#define MFA_DEFAULT_M_SIMD 32
#define MFA_DEFAULT_N_SIMD 32
#define MFA_DEFAULT_K_SIMD 32
#define MFA_DEFAULT_M_SPLITS 1
#define MFA_DEFAULT_N_SPLITS 1
#define MFA_DEFAULT_R_SIMD 8
#define MFA_DEFAULT_C_SIMD 32
#define MFA_DEFAULT_R_SPLITS 4

// ---- Limits of the tiles. Larger ones make the kernel do nothing.
#define MFA_MAX_GEMM_MATRICES 256      // (M_simd / 8) * (N_simd / 8)
#define MFA_MAX_GEMM_ROWS 16           // M_simd / 8
#define MFA_MAX_VECTOR_SUMS 32         // VECTOR: sums of a lane
#define MFA_MAX_ATTENTION_SIMD 64      // R_simd
#define MFA_MAX_ATTENTION_MATRICES 64  // not staged: (R_simd / 8) * (C_simd, D_simd, D_V_simd) / 8

#define MFA_MAX_DECODE_ROWS 8     // queries of all heads to a threadgroup
#define MFA_MAX_DECODE_CHUNKS 16  // D / 32
#define MFA_DECODE_BLOCK 256      // keys between two looks at the maximum

// ---- Values of uint function constants.
#define MFA_ACTIVATION_NONE 0
#define MFA_ACTIVATION_RELU 1
#define MFA_ACTIVATION_GELU 2       // x * Phi(x), with erf
#define MFA_ACTIVATION_GELU_TANH 3  // the approximation with tanh
#define MFA_ACTIVATION_SILU 4

#define MFA_VARIANT_IMPLICIT_GEMM 0
#define MFA_VARIANT_DEPTHWISE 1
#define MFA_VARIANT_WINOGRAD_DATA 2     // data -> transformed data
#define MFA_VARIANT_WINOGRAD_WEIGHTS 3  // weights, dense or palettized -> transformed weights
#define MFA_VARIANT_WINOGRAD_INVERSE 4  // products -> output
#define MFA_VARIANT_WINOGRAD_PRODUCT 5  // transformed data, weights -> products
#define MFA_VARIANT_WINOGRAD_TILES 6    // data, transformed weights -> output

#define MFA_CAUSAL_NONE 0
#define MFA_CAUSAL_LOWER_RIGHT 1  // the last query sees every key: column <= row + C - R
#define MFA_CAUSAL_UPPER_LEFT 2   // column <= row

#define MFA_MASK_NONE 0
#define MFA_MASK_BOOLEAN 1          // one byte per element; not zero: attend
#define MFA_MASK_ADDITIVE 2         // added after scaling
#define MFA_MASK_ADDITIVE_SCALED 3  // MFA 1.0: added to Q * K^T, then scaled

#define MFA_NO_LIMIT 0xffffffffu  // of a window

#define MFA_QUANTIZATION_AFFINE 0   // scale * number + zero point
#define MFA_QUANTIZATION_PALETTE 1  // palette[number]

#define MFA_BACKWARD_NONE 0
#define MFA_BACKWARD_SUMS 1     // D = rowsum(dO * O)
#define MFA_BACKWARD_ROWS 2     // dQ, a threadgroup per block of rows
#define MFA_BACKWARD_COLUMNS 3  // dK and dV, a threadgroup per block of columns
#define MFA_BACKWARD_BIAS 4     // the gradient of a bias, a threadgroup per block of it

#define MFA_BLOCK_SKIP 0
#define MFA_BLOCK_DENSE 1  // no element of the block is masked
#define MFA_BLOCK_MASKED 2

// ---- Raw values of MTLDataType.
#define MFA_TYPE_FLOAT 3
#define MFA_TYPE_HALF 16
#define MFA_TYPE_BFLOAT 121

// ---- Buffer slots.
#define MFA_SLOT_A 0  // MFA 1.0
#define MFA_SLOT_B 1
#define MFA_SLOT_C 2
#define MFA_SLOT_BIAS 3
#define MFA_SLOT_SCALES 4       // qgemm: scales, or palettes
#define MFA_SLOT_ZERO_POINTS 5  // qgemm: what a group's number 0 stands for
#define MFA_SLOT_Q 0            // MFA 1.0
#define MFA_SLOT_K 1
#define MFA_SLOT_V 2
#define MFA_SLOT_O 3
#define MFA_SLOT_LSE 4             // float
#define MFA_SLOT_OFFSETS 10        // MFA 1.0: ulong4 per batch, bytes
#define MFA_SLOT_HEADS 11          // MFA 1.0: uint4 per query head, grouped_query
#define MFA_SLOT_MASK 12           // MFA 1.0
#define MFA_SLOT_BLOCK_MASK 13     // MFA 1.0
#define MFA_SLOT_SLOPES 14         // float per head, ALIBI
#define MFA_SLOT_SINKS 15          // float per head, SINKS
#define MFA_SLOT_SCORE_BIAS 16     // BIAS
#define MFA_SLOT_ROW_STARTS 17     // PACKED: uint per batch and one more, rows before the batch
#define MFA_SLOT_COLUMN_STARTS 18  // PACKED: the same for columns
#define MFA_SLOT_LENGTHS 19        // decode: uint per batch, LENGTHS
#define MFA_SLOT_TABLE 21          // decode: uint per page of a batch, PAGE_SIZE
#define MFA_SLOT_K_SCALES 22       // decode: KV_BITS
#define MFA_SLOT_K_BIASES 23
#define MFA_SLOT_V_SCALES 24
#define MFA_SLOT_V_BIASES 25
#define MFA_SLOT_PARTIALS 26  // decode, merge: D_V floats and a log-sum-exp (log2 units) a part
#define MFA_SLOT_FIRST 0      // merge: PAIR
#define MFA_SLOT_FIRST_LSE 1
#define MFA_SLOT_SECOND 2
#define MFA_SLOT_SECOND_LSE 5
#define MFA_SLOT_PARAMETERS 20  // one of the structs below, "constant" address space
#define MFA_SLOT_DO 21          // the backward pass
#define MFA_SLOT_DQ 22
#define MFA_SLOT_DK 23
#define MFA_SLOT_DV 24
#define MFA_SLOT_SUMS 25     // float: D = rowsum(dO * O)
#define MFA_SLOT_DQ_SUMS 26  // float: dQ while MFA_CONSTANT_WRITE_DQ adds it up
#define MFA_SLOT_DB 27       // the gradient of a bias
#define MFA_SLOT_BACKWARD_PARAMETERS 28
#define MFA_SLOT_INPUT 0   // cast
#define MFA_SLOT_OUTPUT 1  // cast
#define MFA_SLOT_TILES 0   // [[threadgroup(0)]]

// ---- Buffer slots of convolution; its bias is in MFA_SLOT_BIAS.
#define MFA_SLOT_DATA 0
#define MFA_SLOT_WEIGHTS 1
#define MFA_SLOT_RESULT 2
#define MFA_SLOT_PALETTE 4

#define MFA_SIMDGROUP_SIZE 32

/// Slot 20 of hgemm, sgemm, bgemm. Strides and leading dimensions count elements; every one that
/// the variant uses must be set. Offsets are computed modulo 2^64, so negative strides work.
struct mfa_gemm_parameters {
  uint32_t M, N, K;   // used where the function constant is undefined
  float alpha, beta;  // used where the function constant is undefined
  uint32_t reserved;
  uint64_t lda, ldb, ldc;  // elements from one stored row to the next
  // From one threadgroup z to the next; 0 broadcasts.
  uint64_t batch_a, batch_b, batch_c, batch_bias;
};

/// Slot 20 of qgemm. B holds numbers of `BITS` bits, one after another: number i of a matrix begins
/// with bit i * BITS. Strides and leading dimensions count elements, those of B numbers.
struct mfa_qgemm_parameters {
  uint32_t M, N, K;
  float alpha, beta;
  uint32_t reserved;
  uint64_t lda, ldb, ldc;
  uint64_t first_b;    // which number is B's first
  uint64_t ld_scales;  // scales from one stored row of B to the next
  uint64_t batch_a, batch_b, batch_c, batch_bias;
  uint64_t batch_scales;  // of scales and zero points, or of palettes
};

/// Where element (batch, head, row, column) of an attention operand lies, in elements. The stride
/// of the contiguous one of row and column is 1 and not stored: row when the operand's MFA 1.0
/// layout is [.., D, sequence], column when it is [.., sequence, .., D]. `leading` is the other
/// one.
struct mfa_strides {
  uint64_t batch, head, leading;
};

/// How products become logits (metal/attention_score.h): part of slot 20 of everything that
/// computes scores.
struct mfa_score_parameters {
  float scale;                         // used where MFA_CONSTANT_ALPHA is undefined
  float soft_cap;                      // SOFT_CAP
  uint32_t window_left, window_right;  // WINDOW: columns before and after the diagonal, or
                                       // MFA_NO_LIMIT
  uint32_t dropout_key[2];             // DROPOUT: Philox(counter = offset, key = seed), two words
  uint32_t dropout_threshold;          // an element whose word is below it is dropped
  float dropout_scale;                 // 1 / (1 - p)
  struct mfa_strides mask, bias;       // leading: row to row; columns are contiguous; 0 broadcasts
  uint64_t slopes_batch;               // ALIBI: floats from one batch's slopes to the next
};

/// Slot 20 of attention.
struct mfa_attention_parameters {
  uint32_t R, C, D, D_V;  // used where the function constant is undefined
  uint32_t H_ratio;       // query heads per key/value head; used where undefined; 0 means 1
  // With MFA_CONSTANT_GENERATE_BLOCK_MASK: threadgroup z is batch * mask_heads + head; 0 means 1.
  uint32_t mask_heads;
  struct mfa_score_parameters scores;
  struct mfa_strides Q, K, V, O;
  struct mfa_strides block_mask;  // leading: one row of blocks to the next
  uint64_t lse_batch, lse_head;   // rows are contiguous
};

/// Slot 28 of attention's backward pass, beside slot 20.
struct mfa_attention_backward_parameters {
  struct mfa_strides dO, dQ, dK, dV;
  uint64_t sums_batch, sums_head;        // of D; rows are contiguous
  uint64_t dQ_sums_batch, dQ_sums_head;  // rows of D_simd elements
  struct mfa_strides dB;                 // leading: row to row; 0: one row for all
  uint32_t batches, heads;               // query heads
  uint32_t dB_batches, dB_heads;         // of the gradient of a bias: 1 stands for all
};

#define MFA_BACKWARD_SUMS_ROWS 64  // rows that a threadgroup of MFA_BACKWARD_SUMS has
/// Slot 20 of decode. Threadgroup (x, y, z): split x, block y % row_blocks of the rows of key/value
/// head y / row_blocks, batch z. A row is one query of one of the H_ratio heads that share K and V.
struct mfa_decode_parameters {
  uint32_t R, C, H, H_ratio;  // C: at most; batch b has min(C, lengths[b]) with LENGTHS
  uint32_t splits, row_blocks;
  struct mfa_score_parameters scores;
  // Columns of K and V are contiguous; a page takes the place of a batch with PAGE_SIZE. Quantized:
  // strides of K and V count bytes, of their scales and biases elements.
  struct mfa_strides Q, K, V, O, K_scales, V_scales;
  uint64_t Q_column, O_column;
  uint64_t lse_batch, lse_head;
  uint64_t table_row;  // entries from one batch to the next
  uint32_t pages, reserved;
};

/// Slot 20 of merge. Threadgroup (x, y, z): row x of head y of batch z, any number of threads.
struct mfa_merge_parameters {
  uint32_t R, H, D_V, parts;
  struct mfa_strides O, first, second;
  uint64_t O_column, first_column, second_column;
  uint64_t lse_batch, lse_head, first_lse_batch, first_lse_head, second_lse_batch, second_lse_head;
};

/// Slot 20 of cast. Threadgroup (x, y) converts part x of row y.
struct mfa_cast_parameters {
  uint64_t count;                  // elements in a row
  uint64_t input_row, output_row;  // elements from one row to the next
};

/// Slot 20 of convolution, all variants but Winograd's. Index 0 is the outermost dimension (z), 2
/// the innermost (x); sizes along dimensions that are not there are 1. Strides count elements.
///
/// Output o (0 <= o < outputs) along a dimension meets tap t (0 <= t < taps) of the window at input
/// coordinate first + o * step + t * tap_step, with the weight at window position
/// window_first + t * window_step.
///
/// Threadgroups (., y, .) stand for blocks of outputs; the first one is number first_block.
struct mfa_convolution_parameters {
  uint32_t images, groups;
  uint32_t first_block;
  uint32_t strips;  // of MFA_DEPTHWISE_OUTPUTS outputs, for each threadgroup of that variant
  uint32_t C, K;    // channels of one group
  uint32_t input[3], outputs[3], taps[3];
  int32_t first[3], step[3], tap_step[3];
  uint32_t window_first[3], window_step[3];
  uint64_t input_image, input_stride[3];  // from one image, one coordinate to the next
  uint64_t output_image,
      output_stride[3];  // likewise; from one output of this dispatch to the next
  uint64_t output_first;
};

/// Slot 20 of convolution's Winograd variants: F(3x3, 3x3) of two-dimensional images. Tiles are
/// numbered image by image, row by row. What is transformed is 25 matrices of float, `plane`
/// elements apart, whose rows are `leading` apart, a multiple of 32: tiles x C for the data, C x
/// filters for the weights, tiles x filters for the products. What fills rows up means nothing. For
/// MFA_VARIANT_WINOGRAD_PRODUCT, data is cut into such sets of matrices for every K_simd channels,
/// `block` elements apart, the last one filled up with zeros. MFA_VARIANT_WINOGRAD_TILES has all
/// matrices but those of weights in threadgroup memory: `plane` and `leading` are theirs.
struct mfa_winograd_parameters {
  uint32_t images, height, width, outputs_y, outputs_x, tiles_y, tiles_x;
  int32_t padding_y, padding_x;
  uint32_t first_tile, tiles;           // of this block
  uint32_t C, filters;                  // of a group; of this block
  uint64_t pixel, first_channel;        // data: elements from one pixel to the next, before C
  uint64_t output_pixel, first_filter;  // likewise; also the first row of stored weights
  uint64_t plane, leading, block;
};

#define MFA_CAST_PER_THREAD 16  // elements a thread of `cast` converts

// ---- Threadgroup memory, in bytes. `element` is sizeof(float) with MFA_CONSTANT_TILE_FLOAT, else
// the size of the storage type.
#define MFA_MAX_OF(a, b) ((a) > (b) ? (a) : (b))
#define MFA_GEMM_TILE_BYTES(M_group, N_group, K_simd, A_padding, B_padding, element) \
  (((uint32_t)(K_simd) * ((M_group) + (N_group)) +                                   \
    (uint32_t)(A_padding) * MFA_MAX_OF(M_group, K_simd) +                            \
    (uint32_t)(B_padding) * MFA_MAX_OF(N_group, K_simd)) *                           \
   (element))
#define MFA_GEMM_STAGE_BYTES(M_group, N_group) ((uint32_t)(M_group) * (N_group) * 4)
#define MFA_GEMM_THREADGROUP_BYTES(M_group, N_group, K_simd, A_padding, B_padding, element, \
                                   staged)                                                  \
  MFA_MAX_OF(MFA_GEMM_TILE_BYTES(M_group, N_group, K_simd, A_padding, B_padding, element),  \
             (staged) ? MFA_GEMM_STAGE_BYTES(M_group, N_group) : 0u)

/// Implicit GEMM: what is known of each row of the block, then tiles as GEMM has them.
#define MFA_CONVOLUTION_ROW_BYTES 32
#define MFA_DEPTHWISE_GROUP 16   // largest MFA_CONSTANT_GROUP_CHANNELS
#define MFA_DEPTHWISE_OUTPUTS 8  // of a strip: neighbours of one row, summed side by side
#define MFA_WINOGRAD_INPUT 5     // edge of the part of the image that a tile reads
#define MFA_WINOGRAD_OUTPUT 3    // edge of the outputs of a tile; also of the window
#define MFA_WINOGRAD_PLANES 25   // products per tile and pair of channels
#define MFA_WINOGRAD_TILES 8     // tiles of a threadgroup
#define MFA_WINOGRAD_FILTERS 32  // of a threadgroup that transforms weights: one for each lane
// One tap of K_simd channels, at least as many as there are lanes; then all taps, turned over.
#define MFA_WINOGRAD_WEIGHT_BYTES(K_simd) \
  ((MFA_MAX_OF(K_simd, 32u) + 9u * (K_simd)) * MFA_WINOGRAD_FILTERS * 4u)
// One tap of 32 filters; then all taps and a row of U, K_simd channels of N_simd filters.
#define MFA_WINOGRAD_PRODUCT_BYTES(N_simd, K_simd) \
  ((MFA_WINOGRAD_FILTERS + (9u + 5u) * (N_simd)) * (K_simd) * 4u)

// Between planes in threadgroup memory, so that 25 elements of a tile are not in one set of a
// cache.
#define MFA_WINOGRAD_PLANE_PADDING 16
// Data of M_simd tiles, C padded to whole simdgroups; then N_simd products of each.
#define MFA_WINOGRAD_TILE_BYTES(M_simd, N_simd, C)                                    \
  ((((((C) + 31u) & ~31u) + (N_simd)) * (M_simd) + 2u * MFA_WINOGRAD_PLANE_PADDING) * \
   MFA_WINOGRAD_PLANES * 4u)

/// Staged attention, all float: Q^T, then the tile that K and V share, then the scores, then O^T.
#define MFA_ATTENTION_STAGED_BYTES(R_group, C_simd, D_simd, D_V_simd) \
  (((uint32_t)(C_simd) * MFA_MAX_OF(D_simd, D_V_simd) +               \
    ((uint32_t)(D_simd) + (C_simd) + (D_V_simd)) * (R_group)) *       \
   4)

/// A pass of attention's backward, all float: the operands of the block that stays and of the one
/// that moves, `squares` scores and their gradients, and rows of `results` columns for each row
/// that stays.
#define MFA_ATTENTION_BACKWARD_BYTES(stays, moves, D_simd, D_V_simd, squares, results) \
  ((((uint32_t)(stays) + (moves)) * ((uint32_t)(D_simd) + (D_V_simd)) +                \
    (uint32_t)(stays) * ((uint32_t)(squares) * (moves) + (results))) *                 \
   4)

#endif
