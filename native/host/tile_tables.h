// SPDX-License-Identifier: MIT
// Text -> rows of the tuning tables that are tried before the built-in ones, and rows -> text.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "host/status.h"
#include "host/tuning.h"

namespace mfa::host {

struct TileTables {
  std::vector<GemmTile> gemm;
  std::vector<AttentionTile> attention;
  std::deque<std::string> strings;  // what the rows point to
};

/// Lines of "gemm_tiles" or "attention_tiles", each followed by rows as tuning.cpp has them:
/// {false, 0, 8, any, ...}, with the columns in their order. Empty lines and // comments are
/// skipped.
Outcome<std::unique_ptr<TileTables>> read_tile_tables(const std::string& text);

/// The preconditions of a row: "CPU devices, M <= 8".
std::string preconditions(const GemmTile& row);
std::string preconditions(const AttentionTile& row);

}  // namespace mfa::host
