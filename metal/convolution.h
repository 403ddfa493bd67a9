// SPDX-License-Identifier: MIT
// Function constants of `convolution`, beside those of its GEMM -> what every variant needs to
// know.
#pragma once

#include "qgemm_weights.h"

constant uint given_variant [[function_constant(MFA_CONSTANT_VARIANT)]];
constant uint given_dimensions [[function_constant(MFA_CONSTANT_DIMENSIONS)]];
constant uint given_window_z [[function_constant(MFA_CONSTANT_WINDOW_Z)]];
constant uint given_window_y [[function_constant(MFA_CONSTANT_WINDOW_Y)]];
constant uint given_window_x [[function_constant(MFA_CONSTANT_WINDOW_X)]];
constant bool given_part_of_window [[function_constant(MFA_CONSTANT_PART_OF_WINDOW)]];
constant bool given_window_rows [[function_constant(MFA_CONSTANT_WINDOW_ROWS)]];
constant uint given_group_channels [[function_constant(MFA_CONSTANT_GROUP_CHANNELS)]];

constant uint variant = MFA_OR(given_variant, MFA_VARIANT_IMPLICIT_GEMM);
constant uint dimensions = MFA_OR(given_dimensions, 2);
constant uint window_z = dimensions > 2 ? MFA_OR(given_window_z, 1) : 1;
constant uint window_y = dimensions > 1 ? MFA_OR(given_window_y, 1) : 1;
constant uint window_x = MFA_OR(given_window_x, 1);
constant uint window_size = window_z * window_y * window_x;
constant bool part_of_window = MFA_OR(given_part_of_window, false);
constant bool window_rows = MFA_OR(given_window_rows, false) && !part_of_window;
constant uint group_channels = MFA_OR(given_group_channels, 1);
constant uint data_type = MFA_OR(given_input_type, MFA_TYPE_FLOAT);

constant bool implicit_gemm = variant == MFA_VARIANT_IMPLICIT_GEMM;
constant bool depthwise = variant == MFA_VARIANT_DEPTHWISE;
constant bool winograd_data = variant == MFA_VARIANT_WINOGRAD_DATA;
constant bool winograd_weights = variant == MFA_VARIANT_WINOGRAD_WEIGHTS;
constant bool winograd_inverse = variant == MFA_VARIANT_WINOGRAD_INVERSE;
constant bool winograd_product = variant == MFA_VARIANT_WINOGRAD_PRODUCT;
constant bool winograd_tiles = variant == MFA_VARIANT_WINOGRAD_TILES;
constant bool winograd =
    winograd_data || winograd_weights || winograd_inverse || winograd_product || winograd_tiles;

constant bool reads_data = !winograd_weights;
constant bool reads_stored =
    implicit_gemm || depthwise || winograd_weights || winograd_product;  // weights as they are
constant bool reads_weights = reads_stored || winograd_tiles;
constant bool reads_palettes = reads_stored && palette;

constant bool types_supported =
    (!palette || (known_format && !palette_columns)) &&
    (data_type == MFA_TYPE_FLOAT || data_type == MFA_TYPE_HALF || data_type == MFA_TYPE_BFLOAT);
constant bool matrices_supported = (M_simd | N_simd | K_simd) % 8 == 0 &&
                                   M_tiles <= MFA_MAX_GEMM_ROWS &&
                                   M_tiles * N_tiles <= MFA_MAX_GEMM_MATRICES;
constant bool winograd_supported =
    winograd && dimensions == 2 && window_y == 3 && window_x == 3 &&
    (!winograd_product || (matrices_supported && (N_simd | K_simd) % MFA_SIMDGROUP_SIZE == 0)) &&
    (!winograd_tiles || (matrices_supported && N_simd % MFA_SIMDGROUP_SIZE == 0));
constant bool direct_supported =
    (implicit_gemm || depthwise) && dimensions >= 1 && dimensions <= 3 && window_size != 0 &&
    B_trans && !A_trans && matrices_supported && group_channels != 0 &&
    (group_channels & (group_channels - 1)) == 0 && group_channels <= MFA_DEPTHWISE_GROUP;
constant bool convolution_supported = types_supported && (winograd_supported || direct_supported);

struct convolution_buffers {
  const device uchar *data, *weights, *bias, *palette;
  device uchar* result;
  constant uchar* parameters;  // of the variant's type
};

/// Palettized weights as a matrix: a row for each output channel.
inline weight_matrix palettized_weights(const thread convolution_buffers& buffers, uint C) {
  return {buffers.weights, buffers.palette, nullptr, 0, ulong(window_size) * C, 0};
}

/// The taps that take part; compile-time numbers unless only a part of the window does.
inline uint3 taps_of(constant mfa_convolution_parameters& p) {
  return part_of_window ? uint3(p.taps[2], p.taps[1], p.taps[0])
                        : uint3(window_x, window_y, window_z);
}

/// Which output of which image is number `index`, x fastest: (x, y, z, image).
inline uint4 place_of_output(constant mfa_convolution_parameters& p, uint index) {
  uint4 at = uint4(0);
  at.x = index % p.outputs[2];
  index /= p.outputs[2];
  if (dimensions > 1) {
    at.y = index % p.outputs[1];
    index /= p.outputs[1];
  }
  if (dimensions > 2) {
    at.z = index % p.outputs[0];
    index /= p.outputs[0];
  }
  at.w = index;
  return at;
}
