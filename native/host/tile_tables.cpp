// SPDX-License-Identifier: MIT
// Text -> rows of the tuning tables that are tried before the built-in ones, and rows -> text.
#include "host/tile_tables.h"

#include <sstream>
#include <variant>

#include "shared.h"

namespace mfa::host {

namespace {

template <class Row>
struct Column {
  const char* name;
  std::variant<bool Row::*, uint16_t Row::*, uint32_t Row::*, uint64_t Row::*, const char * Row::*>
      field;
  uint32_t multiple = 0;  // of a tile's size
};

constexpr Column<GemmTile> gemm_columns[] = {
    {"gpu", &GemmTile::gpu},
    {"type", &GemmTile::type},
    {"max_M", &GemmTile::max_M},
    {"max_N", &GemmTile::max_N},
    {"max_K", &GemmTile::max_K},
    {"max_elements", &GemmTile::max_elements},
    {"M_simd", &GemmTile::M_simd, 8},
    {"N_simd", &GemmTile::N_simd, 8},
    {"K_simd", &GemmTile::K_simd, 8},
    {"M_splits", &GemmTile::M_splits, 1},
    {"N_splits", &GemmTile::N_splits, 1},
    {"A_padding", &GemmTile::A_padding},
    {"B_padding", &GemmTile::B_padding},
    {"tile_float", &GemmTile::tile_float},
    {"staged", &GemmTile::staged},
    {"reason", &GemmTile::reason},
    {"device", &GemmTile::device},
};

constexpr Column<AttentionTile> attention_columns[] = {
    {"gpu", &AttentionTile::gpu},
    {"type", &AttentionTile::type},
    {"max_R", &AttentionTile::max_R},
    {"max_D", &AttentionTile::max_D},
    {"R_simd", &AttentionTile::R_simd, 8},
    {"C_simd", &AttentionTile::C_simd, 8},
    {"R_splits", &AttentionTile::R_splits, 1},
    {"staged", &AttentionTile::staged},
    {"reason", &AttentionTile::reason},
    {"device", &AttentionTile::device},
};

const struct {
  const char* name;
  uint32_t number;
} types[] = {{"F32", MFA_TYPE_FLOAT}, {"F16", MFA_TYPE_HALF}, {"BF16", MFA_TYPE_BFLOAT}, {"0", 0}};

std::string trimmed(const std::string& text) {
  size_t begin = text.find_first_not_of(" \t\r"), end = text.find_last_not_of(" \t\r");
  return begin == std::string::npos ? "" : text.substr(begin, end - begin + 1);
}

/// "{a, b, "c, d"}," -> its values; false if it is not a row.
bool split(std::string row, std::vector<std::string>& values) {
  if (!row.empty() && row.back() == ',') row.pop_back();
  if (row.size() < 2 || row.front() != '{' || row.back() != '}') return false;
  std::string value;
  bool quoted = false;
  for (size_t i = 1; i + 1 < row.size(); ++i) {
    if (row[i] == '"') quoted = !quoted;
    if (row[i] == ',' && !quoted) {
      values.push_back(trimmed(value));
      value.clear();
    } else {
      value += row[i];
    }
  }
  values.push_back(trimmed(value));
  return !quoted;
}

/// Sets one field. What was expected instead, or null.
template <class Row>
const char* set(TileTables& tables, Row& row, const Column<Row>& column, const std::string& value) {
  if (auto field = std::get_if<bool Row::*>(&column.field)) {
    row.** field = value == "true";
    return value == "true" || value == "false" ? nullptr : "true or false";
  }
  if (auto field = std::get_if<const char * Row::*>(&column.field)) {
    if (value.size() < 2 || value.front() != '"' || value.back() != '"') return "a quoted text";
    row.** field = tables.strings.emplace_back(value.substr(1, value.size() - 2)).c_str();
    return nullptr;
  }
  if (auto field = std::get_if<uint32_t Row::*>(&column.field)) {
    for (const auto& type : types) {
      if (value != type.name) continue;
      row.** field = type.number;
      return nullptr;
    }
    return "F32, F16, BF16 or 0 for any";
  }
  uint64_t number = 0;
  bool digits = !value.empty() && value.size() <= 18 &&
                value.find_first_not_of("0123456789") == std::string::npos;
  if (digits) number = std::stoull(value);
  if (auto field = std::get_if<uint64_t Row::*>(&column.field)) {
    row.** field = value == "any" ? UINT64_MAX : number;
    return digits || value == "any" ? nullptr : "a number or any";
  }
  auto field = std::get<uint16_t Row::*>(column.field);
  row.*field = (uint16_t)number;
  if (!digits || number > UINT16_MAX) return "a number up to 65535";
  if (column.multiple && (number == 0 || number % column.multiple))
    return column.multiple == 1 ? "at least 1" : "a multiple of 8";
  return nullptr;
}

/// Limits of the kernels: metal/shared.h. Null if the row is within them.
const char* beyond(const GemmTile& row) {
  uint32_t rows = row.M_simd / 8, matrices = rows * (row.N_simd / 8u);
  if (rows > MFA_MAX_GEMM_ROWS || matrices > MFA_MAX_GEMM_MATRICES)
    return "expected M_simd of at most 128 and M_simd * N_simd of at most 16384";
  if (uint32_t(row.M_splits) * row.N_splits > 32) return "expected at most 32 simdgroups";
  return nullptr;
}

const char* beyond(const AttentionTile& row) {
  if (row.R_simd > MFA_MAX_ATTENTION_SIMD) return "expected R_simd of at most 64";
  return row.R_splits > 32 ? "expected at most 32 simdgroups" : nullptr;
}

template <class Row, size_t count>
Status read_row(TileTables& tables, const Column<Row> (&columns)[count], std::vector<Row>& rows,
                const std::vector<std::string>& values, unsigned line) {
  // The device may be left out: any.
  if (values.size() != count && values.size() != count - 1)
    return failure(Code::invalid_argument, "line %u has %zu columns, expected %zu", line,
                   values.size(), count - 1);
  Row row = {};
  for (size_t i = 0; i < values.size(); ++i)
    if (const char* expected = set(tables, row, columns[i], values[i]))
      return failure(Code::invalid_argument, "line %u: %s is %s, expected %s", line,
                     columns[i].name, values[i].c_str(), expected);
  if (const char* expected = beyond(row))
    return failure(Code::invalid_argument, "line %u: the tile is too large, %s", line, expected);
  rows.push_back(row);
  return {};
}

void add(std::string& text, const std::string& condition) {
  text += (text.empty() ? "" : ", ") + condition;
}

template <class Row, size_t count>
std::string spell(const Row& row, const Column<Row> (&columns)[count]) {
  std::string text = row.gpu ? "GPUs" : "CPU devices";
  if (row.device) text += std::string(" with ") + row.device;
  for (const auto& type : types)
    if (row.type && row.type == type.number) add(text, type.name);
  for (const Column<Row>& column : columns) {
    auto field = std::get_if<uint64_t Row::*>(&column.field);
    if (field && row.**field != UINT64_MAX)
      add(text, std::string(column.name + 4) + " <= " + std::to_string(row.**field));
  }
  return text;
}

}  // namespace

Outcome<std::unique_ptr<TileTables>> read_tile_tables(const std::string& text) {
  auto tables = std::make_unique<TileTables>();
  enum { none, gemm, attention } table = none;
  std::istringstream lines(text);
  unsigned number = 0;
  for (std::string whole; std::getline(lines, whole);) {
    ++number;
    std::string line = trimmed(whole);
    std::vector<std::string> values;
    if (line.empty() || line.rfind("//", 0) == 0) continue;
    if (line == "gemm_tiles") {
      table = gemm;
    } else if (line == "attention_tiles") {
      table = attention;
    } else if (table == none || !split(line, values)) {
      return failure(Code::invalid_argument,
                     "line %u is \"%s\", expected gemm_tiles, attention_tiles or a row {...}",
                     number, line.substr(0, 60).c_str());
    } else if (table == gemm) {
      MFA_TRY(read_row(*tables, gemm_columns, tables->gemm, values, number));
    } else {
      MFA_TRY(read_row(*tables, attention_columns, tables->attention, values, number));
    }
  }
  return tables;
}

std::string preconditions(const GemmTile& row) {
  std::string text = spell(row, gemm_columns);
  if (row.min_elements) add(text, "elements >= " + std::to_string(row.min_elements));
  if (row.min_share) add(text, "elements per worker >= " + std::to_string(row.min_share));
  if (row.max_padding != UINT32_MAX)
    add(text, "padding < " + std::to_string(row.max_padding) + " %");
  return text;
}
std::string preconditions(const AttentionTile& row) { return spell(row, attention_columns); }

}  // namespace mfa::host
