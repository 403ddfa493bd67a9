// SPDX-License-Identifier: MIT
// A 3x3 convolution -> Winograd's transforms with batched GEMMs between, block by block.
//
//   for blocks of tiles:                     (or with the loops the other way round)
//     V = transform(data of the tiles)
//     for blocks of filters:
//       U = transform(weights of the filters)
//       M = V * U, 25 times
//       result = transform(M)
//
// V, U and M of one pair of blocks fit the device's cache. What the inner loop transforms is
// transformed again in every turn of the outer one: that is cheaper than memory beyond the cache.
//
// With few tiles U is most of what these steps write and read. Then weights are transformed and
// multiplied in one step, and U never leaves a threadgroup (metal/winograd_product.h). Where U is
// small, V and M are: then all steps but U's are one, and V and M never leave a threadgroup
// (metal/winograd_tiles.h).
#include <algorithm>
#include <cinttypes>
#include <optional>

#include "host/plan_convolution.h"
#include "host/tuning.h"
#include "shared.h"

namespace mfa::host {

namespace {

uint64_t ceil_div(uint64_t a, uint64_t b) { return (a + b - 1) / b; }

/// A transform of 25 elements takes as long as so many operations of a GEMM.
constexpr double transform_work = 400;

/// The transforms subtract what is nearly equal: in 16 bits that would cost most of the result's.
constexpr uint32_t transformed_type = MFA_TYPE_FLOAT;
constexpr uint64_t element = sizeof(float);

struct Shape {
  uint64_t tiles_y, tiles_x, tiles, C, K;  // channels of one group
  bool kept;                               // U is given
};

Shape shape_of(const Convolution& problem) {
  Shape shape;
  shape.tiles_y = ceil_div(problem.output[1], MFA_WINOGRAD_OUTPUT);
  shape.tiles_x = ceil_div(problem.output[2], MFA_WINOGRAD_OUTPUT);
  shape.tiles = problem.images * shape.tiles_y * shape.tiles_x;
  shape.C = problem.C / problem.groups;
  shape.K = problem.K / problem.groups;
  shape.kept = problem.weights == Weights::winograd;
  return shape;
}

/// Rows of what is transformed are filled up, so that lanes need no guards.
uint64_t padded(uint64_t columns) { return round_up(columns, MFA_SIMDGROUP_SIZE); }

/// The block of a step that multiplies what it has transformed itself.
struct ProductTile {
  uint16_t M_simd, N_simd, K_simd;  // tiles, filters, channels
};

/// Whether all steps but U's pay as one, and with which block: few tiles, so that V and M stay in a
/// cache that a worker has for itself, from which every threadgroup also reads all of U.
std::optional<ProductTile> fused_tile(const Device& device, const Shape& shape) {
  constexpr uint64_t most_U = 2 << 20;
  constexpr uint16_t most_channels = 64, least_channels = 16;
  if (MFA_WINOGRAD_PLANES * element * shape.C * padded(shape.K) > most_U) return {};
  ProductTile tile = {8, MFA_SIMDGROUP_SIZE, 0};
  for (uint16_t channels = least_channels; channels <= most_channels; channels += 8)
    if (shape.C % channels == 0) tile.K_simd = channels;
  uint64_t memory = MFA_WINOGRAD_TILE_BYTES(tile.M_simd, tile.N_simd, (uint32_t)shape.C);
  if (!tile.K_simd || memory > device.max_threadgroup_memory) return {};
  return tile;
}

/// Whether a step that transforms weights and multiplies pays, and with which block. It saves
/// writing and reading U, which costs little while U is a small part of the cache, and reads and
/// writes the products once for every K_simd channels, which costs more the more tiles there are.
std::optional<ProductTile> product_tile(const Device& device, const Shape& shape) {
  constexpr uint64_t few_tiles = 64, most_tiles = 128, most_rows = 64;
  uint64_t U = MFA_WINOGRAD_PLANES * element * shape.C * shape.K;
  uint64_t least_U = shape.tiles <= few_tiles ? device.cache_size / 8 : device.cache_size;
  if (shape.kept || shape.tiles > most_tiles || U < least_U) return {};
  ProductTile tile = {};
  tile.M_simd = (uint16_t)round_up(ceil_div(shape.tiles, ceil_div(shape.tiles, most_rows)), 8);
  tile.N_simd = MFA_WINOGRAD_FILTERS;
  uint64_t least = 0;
  for (uint16_t channels = MFA_SIMDGROUP_SIZE; channels <= 128; channels += MFA_SIMDGROUP_SIZE) {
    if (MFA_WINOGRAD_PRODUCT_BYTES(tile.N_simd, channels) > device.max_threadgroup_memory) break;
    // The products cost about as much as 12 more channels.
    uint64_t cost = ceil_div(shape.C, channels) * (channels + 12);
    if (tile.K_simd && cost > least) continue;
    tile.K_simd = channels;
    least = cost;
  }
  if (!tile.K_simd) return {};
  return tile;
}

/// How tiles and filters are cut, and which of the loops is inside.
struct Blocks {
  uint64_t tiles, filters;  // of a block
  uint64_t tile_blocks, filter_blocks;
  bool tiles_outside;
  // Bytes of V, U and M, each at the start of a page.
  uint64_t data, weights, products;
};

void size_blocks(const Shape& shape, Blocks& blocks) {
  auto bytes = [&](uint64_t elements) {
    return round_up(elements * MFA_WINOGRAD_PLANES * element, 4096);
  };
  blocks.tile_blocks = ceil_div(shape.tiles, blocks.tiles);
  blocks.filter_blocks = ceil_div(shape.K, blocks.filters);
  blocks.data = bytes(blocks.tiles * padded(shape.C));
  blocks.weights = shape.kept ? 0 : bytes(shape.C * padded(blocks.filters));
  blocks.products = bytes(blocks.tiles * padded(blocks.filters));
}

/// What transforms cost, in units of one 5x5 tile of one channel. A pair of weights is transformed
/// in about twice the time; a dispatch is worth some 50,000.
double transform_cost(const Shape& shape, Blocks& blocks) {
  constexpr double weight_cost = 2, dispatch_cost = 5e4;
  double data = (double)shape.tiles * shape.C,
         weights = shape.kept ? 0 : weight_cost * shape.C * shape.K;
  double pairs = (double)blocks.tile_blocks * blocks.filter_blocks;
  double outside = data + weights * blocks.tile_blocks,
         inside = weights + data * blocks.filter_blocks;
  if (blocks.filter_blocks == 1) outside = inside;  // U stays: the loops are the same
  blocks.tiles_outside = outside <= inside && blocks.filter_blocks != 1;
  return std::min(outside, inside) + pairs * 3 * dispatch_cost;
}

/// Filters in equal blocks, tiles in as large ones as then fit half of the cache: the other half is
/// for what is read and written.
Blocks choose_blocks(const Device& device, const Shape& shape) {
  constexpr uint64_t step = 64;  // a GEMM's block
  uint64_t budget = device.cache_size / 2;
  Blocks best = {};
  double least = 0;
  for (uint64_t parts = 1;; ++parts) {
    Blocks blocks = {};
    blocks.filters = std::min(shape.K, round_up(ceil_div(shape.K, parts), step));
    blocks.tiles = 1;
    size_blocks(shape, blocks);
    uint64_t per_tile = MFA_WINOGRAD_PLANES * element * (padded(shape.C) + padded(blocks.filters));
    uint64_t room = budget > blocks.weights ? (budget - blocks.weights) / per_tile : 0;
    bool last = blocks.filters <= step;
    if (room >= std::min(shape.tiles, step) || last) {
      room = std::max<uint64_t>(room, 8);
      if (room < shape.tiles) {
        uint64_t equal = ceil_div(shape.tiles, ceil_div(shape.tiles, room));
        room = std::min(room >= step ? room / step * step : room, round_up(equal, step));
      }
      blocks.tiles = std::min(shape.tiles, room);
      size_blocks(shape, blocks);
      double cost = transform_cost(shape, blocks);
      if (best.tiles == 0 || cost < least) {
        best = blocks;
        least = cost;
      }
    }
    if (last) break;
  }
  return best;
}

/// All tiles, and as many filters as then fit half of the cache.
std::optional<Blocks> choose_blocks(const Device& device, const Shape& shape,
                                    const ProductTile& tile) {
  auto bytes = [](uint64_t elements) {
    return round_up(elements * MFA_WINOGRAD_PLANES * element, 4096);
  };
  uint64_t rows = round_up(shape.tiles, tile.M_simd), budget = device.cache_size / 2;
  Blocks blocks = {};
  blocks.tiles = shape.tiles;
  blocks.tile_blocks = 1;
  blocks.tiles_outside = true;
  blocks.data = bytes(rows * round_up(shape.C, tile.K_simd));
  uint64_t left = budget > blocks.data ? budget - blocks.data : 0;
  uint64_t room = left / bytes(rows * tile.N_simd) * tile.N_simd;
  if (room < std::min<uint64_t>(shape.K, 512)) return {};
  blocks.filters = std::min(shape.K, room);
  blocks.filter_blocks = ceil_div(shape.K, blocks.filters);
  blocks.products = bytes(rows * round_up(blocks.filters, tile.N_simd));
  return blocks;
}

/// Adds the steps of one convolution, which all groups but the last share with others.
class Builder {
 public:
  Builder(const Device& device, const Convolution& problem)
      : device_(device),
        problem_(problem),
        shape_(shape_of(problem)),
        tile_(fused_tile(device, shape_)),
        fused_(tile_.has_value()),
        blocks_(choose()),
        data_(kernel(MFA_VARIANT_WINOGRAD_DATA, false)),
        kept_(problem.weights == Weights::winograd),
        weights_(kernel(MFA_VARIANT_WINOGRAD_WEIGHTS, false)),
        product_(kernel(MFA_VARIANT_WINOGRAD_PRODUCT, false)),
        products_(kernel(MFA_VARIANT_WINOGRAD_INVERSE, problem.bias)),
        tiles_(kernel(MFA_VARIANT_WINOGRAD_TILES, problem.bias)) {}

  /// All of U, group by group.
  Plan build_weights() {
    plan_.reason = "weights for Winograd F(3x3, 3x3)";
    for (group_ = 0; group_ < problem_.groups; ++group_) {
      mfa_winograd_parameters p = parameters();
      p.filters = (uint32_t)shape_.K;
      p.first_filter = group_ * shape_.K;
      p.leading = padded(shape_.K);
      p.plane = shape_.C * p.leading;
      std::vector<Place> places = weight_places();
      places.push_back(
          {MFA_SLOT_RESULT, Place::Of::result, group_ * MFA_WINOGRAD_PLANES * p.plane * element});
      add(weights_, p, ceil_div(p.filters, MFA_WINOGRAD_FILTERS), ceil_div(shape_.C, channels()),
          MFA_WINOGRAD_WEIGHT_BYTES(channels()), std::move(places),
          transform_work * p.filters * shape_.C);
    }
    return std::move(plan_);
  }

  Outcome<Plan> build() {
    for (group_ = 0; group_ < problem_.groups; ++group_) {
      if (fused_) {
        add_weights(0);
        add_fused();
        continue;
      }
      uint64_t outer = blocks_.tiles_outside ? blocks_.tile_blocks : blocks_.filter_blocks;
      uint64_t inner = blocks_.tiles_outside ? blocks_.filter_blocks : blocks_.tile_blocks;
      for (uint64_t i = 0; i < outer; ++i) {
        blocks_.tiles_outside ? add_data(i) : add_weights(i);
        for (uint64_t j = 0; j < inner; ++j) {
          uint64_t tiles = blocks_.tiles_outside ? i : j, filters = blocks_.tiles_outside ? j : i;
          if (tile_) {
            add_transformed_product(filters);
            continue;
          }
          blocks_.tiles_outside ? add_weights(filters) : add_data(tiles);
          MFA_TRY(add_product(tiles, filters));
          add_inverse(tiles, filters);
        }
      }
    }
    plan_.workspace = blocks_.data + blocks_.weights + blocks_.products;
    plan_.blocks[0] = blocks_.tile_blocks;
    plan_.blocks[1] = blocks_.filter_blocks;
    plan_.block_sizes[0] = blocks_.tiles;
    plan_.block_sizes[1] = blocks_.filters;
    plan_.reason = "3x3 with stride 1: Winograd F(3x3, 3x3)";
    if (tile_) {
      plan_.tile[0] = tile_->M_simd;
      plan_.tile[1] = tile_->N_simd;
      plan_.tile[2] = tile_->K_simd;
      plan_.reason =
          fused_ ? "3x3 with stride 1, few weights: Winograd F(3x3, 3x3), tiles in one step"
                 : "3x3 with stride 1, few tiles: Winograd F(3x3, 3x3), weights in one step";
    }
    return std::move(plan_);
  }

 private:
  /// Sets tile_, and forgets it where blocks for it do not fit.
  Blocks choose() {
    if (fused_) {
      Blocks all = {};
      all.tiles = shape_.tiles;
      all.filters = shape_.K;
      size_blocks(shape_, all);
      all.data = all.products = 0;
      return all;
    }
    tile_ = product_tile(device_, shape_);
    if (tile_)
      if (auto blocks = choose_blocks(device_, shape_, *tile_)) return *blocks;
    tile_.reset();
    return choose_blocks(device_, shape_);
  }

  KernelDescriptor kernel(uint32_t variant, bool last) const {
    Convolution constants = problem_;
    constants.bias = last;
    bool gives_output =
        variant == MFA_VARIANT_WINOGRAD_INVERSE || variant == MFA_VARIANT_WINOGRAD_TILES;
    if (!gives_output) constants.activation = MFA_ACTIVATION_NONE;
    KernelDescriptor kernel = convolution_kernel(constants, variant);
    if (variant == MFA_VARIANT_WINOGRAD_WEIGHTS)
      kernel.set("K_simd", MFA_CONSTANT_K_SIMD, channels());
    bool multiplies =
        variant == MFA_VARIANT_WINOGRAD_PRODUCT || variant == MFA_VARIANT_WINOGRAD_TILES;
    if (multiplies && tile_) {
      kernel.set("M_simd", MFA_CONSTANT_M_SIMD, tile_->M_simd);
      kernel.set("N_simd", MFA_CONSTANT_N_SIMD, tile_->N_simd);
      kernel.set("K_simd", MFA_CONSTANT_K_SIMD, tile_->K_simd);
    }
    uint16_t splits = simdgroups();
    kernel.set("M_splits", MFA_CONSTANT_M_SPLITS, splits);
    return kernel;
  }
  /// What a threadgroup that transforms weights can hold: on a GPU at most 32 KiB.
  uint16_t channels() const { return device_.backend == Backend::metal ? 16 : 32; }
  uint16_t simdgroups() const { return device_.backend == Backend::metal ? 4 : 1; }

  uint64_t tiles_in(uint64_t block) const {
    return std::min(blocks_.tiles, shape_.tiles - block * blocks_.tiles);
  }
  uint64_t filters_in(uint64_t block) const {
    return std::min(blocks_.filters, shape_.K - block * blocks_.filters);
  }

  mfa_winograd_parameters parameters() const {
    mfa_winograd_parameters p = {};
    p.images = (uint32_t)problem_.images;
    p.height = (uint32_t)problem_.input[1];
    p.width = (uint32_t)problem_.input[2];
    p.outputs_y = (uint32_t)problem_.output[1];
    p.outputs_x = (uint32_t)problem_.output[2];
    p.tiles_y = (uint32_t)shape_.tiles_y;
    p.tiles_x = (uint32_t)shape_.tiles_x;
    p.padding_y = (int32_t)problem_.padding[1];
    p.padding_x = (int32_t)problem_.padding[2];
    p.C = (uint32_t)shape_.C;
    p.pixel = problem_.C;
    p.first_channel = group_ * shape_.C;
    p.output_pixel = problem_.K;
    return p;
  }

  void add(const KernelDescriptor& kernel, const mfa_winograd_parameters& p, uint64_t x, uint64_t y,
           uint64_t memory, std::vector<Place> places, double work) {
    plan_.steps.push_back({kernel,
                           {reinterpret_cast<const char*>(&p), sizeof p},
                           {x, y, 1},
                           uint32_t(MFA_SIMDGROUP_SIZE) * simdgroups(),
                           memory,
                           std::move(places),
                           work});
  }

  std::vector<Place> weight_places() const {
    std::vector<Place> places = {{MFA_SLOT_WEIGHTS, Place::Of::weights}};
    if (problem_.weights == Weights::palettized)
      places.push_back({MFA_SLOT_PALETTE, Place::Of::palette});
    return places;
  }

  void add_data(uint64_t block) {
    mfa_winograd_parameters p = parameters();
    p.first_tile = (uint32_t)(block * blocks_.tiles);
    p.tiles = (uint32_t)tiles_in(block);
    p.leading = padded(shape_.C);
    p.plane = p.tiles * p.leading;
    if (tile_) {
      p.leading = tile_->K_simd;
      p.plane = round_up(p.tiles, tile_->M_simd) * p.leading;
      p.block = MFA_WINOGRAD_PLANES * p.plane;
    }
    add(data_, p, ceil_div(p.tiles, MFA_WINOGRAD_TILES), 1, 0,
        {{MFA_SLOT_DATA, Place::Of::data}, {MFA_SLOT_RESULT, Place::Of::workspace, 0}},
        transform_work * p.tiles * shape_.C);
  }

  void add_weights(uint64_t block) {
    if (kept_) return;
    std::vector<Place> places = weight_places();
    places.push_back({MFA_SLOT_RESULT, Place::Of::workspace, blocks_.data});
    mfa_winograd_parameters p = parameters();
    p.filters = (uint32_t)filters_in(block);
    p.first_filter = group_ * shape_.K + block * blocks_.filters;
    p.leading = padded(p.filters);
    p.plane = shape_.C * p.leading;
    add(weights_, p, ceil_div(p.filters, MFA_WINOGRAD_FILTERS), ceil_div(shape_.C, channels()),
        MFA_WINOGRAD_WEIGHT_BYTES(channels()), std::move(places),
        transform_work * p.filters * shape_.C);
  }

  Status add_product(uint64_t tiles, uint64_t filters) {
    Gemm gemm = {};
    gemm.type = transformed_type;
    gemm.M = tiles_in(tiles);
    gemm.N = filters_in(filters);
    gemm.K = shape_.C;
    gemm.batch = MFA_WINOGRAD_PLANES;
    gemm.lda = padded(gemm.K);
    gemm.ldc = padded(gemm.N);
    gemm.ldb = kept_ ? padded(shape_.K) : gemm.ldc;
    gemm.stride_a = gemm.M * gemm.lda;
    gemm.stride_b = gemm.K * gemm.ldb;
    gemm.stride_c = gemm.M * gemm.ldc;
    gemm.alpha = 1;
    Place weights = {MFA_SLOT_B, Place::Of::workspace, blocks_.data};
    if (kept_)
      weights = {
          MFA_SLOT_B, Place::Of::weights,
          (group_ * MFA_WINOGRAD_PLANES * gemm.stride_b + filters * blocks_.filters) * element};
    auto planned = plan(device_, gemm);
    if (!planned.ok()) return planned.status();
    for (int i = 0; i < 3; ++i) plan_.tile[i] = planned->tile[i];
    for (Step& step : planned->steps) {
      step.places = {{MFA_SLOT_A, Place::Of::workspace, 0},
                     weights,
                     {MFA_SLOT_C, Place::Of::workspace, blocks_.data + blocks_.weights}};
      step.work = 2.0 * MFA_WINOGRAD_PLANES * gemm.M * gemm.N * gemm.K;
      plan_.steps.push_back(std::move(step));
    }
    return {};
  }

  /// How many of `count` things, `unit` to a threadgroup, keep a command buffer short and the
  /// workers busy.
  uint64_t piece_of(uint64_t count, uint64_t unit, double work_of_each) const {
    uint64_t step = unit * std::max<uint64_t>(device_.workers, 1);
    double room = device_.rate() * seconds_per_command_buffer / (work_of_each * (double)step);
    uint64_t pieces = ceil_div(count, step * std::max<uint64_t>(1, (uint64_t)room));
    return round_up(ceil_div(count, pieces), step);
  }

  /// All of it for some tiles after another, in pieces that keep a command buffer short.
  void add_fused() {
    double per_tile =
        (2.0 * MFA_WINOGRAD_PLANES * (double)shape_.K + transform_work) * (double)shape_.C +
        transform_work * (double)shape_.K;
    uint64_t piece = piece_of(shape_.tiles, tile_->M_simd, per_tile);
    for (uint64_t first = 0; first < shape_.tiles; first += piece) {
      mfa_winograd_parameters p = parameters();
      p.first_tile = (uint32_t)first;
      p.tiles = (uint32_t)std::min(piece, shape_.tiles - first);
      p.filters = (uint32_t)shape_.K;
      p.first_filter = group_ * shape_.K;
      p.leading = padded(shape_.K);
      p.plane = shape_.C * p.leading;
      Place weights = {MFA_SLOT_WEIGHTS, Place::Of::workspace, 0};
      if (kept_)
        weights = {MFA_SLOT_WEIGHTS, Place::Of::weights,
                   group_ * MFA_WINOGRAD_PLANES * p.plane * element};
      std::vector<Place> places = {
          {MFA_SLOT_DATA, Place::Of::data}, weights, {MFA_SLOT_RESULT, Place::Of::result}};
      if (problem_.bias) places.push_back({MFA_SLOT_BIAS, Place::Of::bias});
      add(tiles_, p, ceil_div(p.tiles, tile_->M_simd), 1,
          MFA_WINOGRAD_TILE_BYTES(tile_->M_simd, tile_->N_simd, p.C), std::move(places),
          per_tile * p.tiles);
    }
  }

  /// Products with weights, in pieces that keep a command buffer short and the workers busy.
  void add_transformed_product(uint64_t block) {
    uint64_t rows = round_up(shape_.tiles, tile_->M_simd), filters = filters_in(block);
    double work = (2.0 * MFA_WINOGRAD_PLANES * (double)rows + transform_work) * (double)shape_.C;
    uint64_t piece = piece_of(filters, tile_->N_simd, work);
    for (uint64_t first = 0; first < filters; first += piece) {
      mfa_winograd_parameters p = parameters();
      p.tiles = (uint32_t)shape_.tiles;
      p.filters = (uint32_t)std::min(piece, filters - first);
      p.first_filter = group_ * shape_.K + block * blocks_.filters + first;
      p.leading = round_up(filters, tile_->N_simd);
      p.plane = rows * p.leading;
      uint64_t products = blocks_.data + first * element;
      std::vector<Place> places = weight_places();
      places.push_back({MFA_SLOT_DATA, Place::Of::workspace, 0});
      places.push_back({MFA_SLOT_RESULT, Place::Of::workspace, products});
      add(product_, p, ceil_div(p.filters, tile_->N_simd), 1,
          MFA_WINOGRAD_PRODUCT_BYTES(tile_->N_simd, tile_->K_simd), std::move(places),
          work * p.filters);
      add_inverse(p, products);
    }
  }

  void add_inverse(uint64_t tiles, uint64_t filters) {
    mfa_winograd_parameters p = parameters();
    p.first_tile = (uint32_t)(tiles * blocks_.tiles);
    p.tiles = (uint32_t)tiles_in(tiles);
    p.filters = (uint32_t)filters_in(filters);
    p.first_filter = group_ * shape_.K + filters * blocks_.filters;
    p.leading = padded(p.filters);
    p.plane = p.tiles * p.leading;
    add_inverse(p, blocks_.data + blocks_.weights);
  }

  void add_inverse(const mfa_winograd_parameters& p, uint64_t products) {
    std::vector<Place> places = {{MFA_SLOT_DATA, Place::Of::workspace, products},
                                 {MFA_SLOT_RESULT, Place::Of::result}};
    if (problem_.bias) places.push_back({MFA_SLOT_BIAS, Place::Of::bias});
    add(products_, p, ceil_div(p.tiles, MFA_WINOGRAD_TILES), 1, 0, std::move(places),
        transform_work * p.tiles * p.filters);
  }

  const Device& device_;
  const Convolution& problem_;
  Shape shape_;
  std::optional<ProductTile> tile_;
  bool fused_;  // into steps that have all of some tiles
  Blocks blocks_;
  KernelDescriptor data_;
  bool kept_;  // U is an operand
  KernelDescriptor weights_, product_, products_, tiles_;
  Plan plan_;
  uint64_t group_ = 0;
};

}  // namespace

Status winograd_applies(const Convolution& problem) {
  auto refuse = [](const char* what) {
    return failure(Code::unsupported,
                   "Winograd F(3x3, 3x3) is for windows of 3x3 with stride 1 and dilation 1 in 2 "
                   "dimensions: %s",
                   what);
  };
  if (problem.dimensions != 2) return refuse("this has another number of dimensions");
  if (problem.transposed) return refuse("this is transposed");
  for (int d = 1; d < 3; ++d) {
    if (problem.window[d] != 3) return refuse("this has another window");
    if (problem.stride[d] != 1) return refuse("this has another stride");
    if (problem.dilation[d] != 1) return refuse("this has another dilation");
  }
  if (problem.C == 0) return refuse("this has no input channels");
  return {};
}

bool winograd_pays(const Convolution& problem) {
  if (!winograd_applies(problem).ok()) return false;
  Shape shape = shape_of(problem);
  return shape.C >= 32 && shape.K >= 32 && shape.tiles >= 16;
}

uint64_t winograd_weight_bytes(const Convolution& problem) {
  Shape shape = shape_of(problem);
  return problem.groups * MFA_WINOGRAD_PLANES * shape.C * padded(shape.K) * element;
}

Outcome<Plan> plan_winograd_weights(const Device& device, const Convolution& problem) {
  MFA_TRY(winograd_applies(problem));
  return Builder(device, problem).build_weights();
}

Outcome<Plan> plan_winograd(const Device& device, const Convolution& problem) {
  return Builder(device, problem).build();
}

}  // namespace mfa::host
