// SPDX-License-Identifier: MIT
// Bytes -> Metallib::open, which has to take them or refuse them with a message.
//
// Changed bytes rarely have the right size and hashes, and then nothing behind those checks would
// be reached: the mutator repairs both in half of the inputs, as a stranger would.
#include <cstdlib>
#include <cstring>
#include <random>

#include "air/metallib.h"
#include "air/sha256.h"

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);

namespace {

uint64_t read64(const uint8_t* data) {
  uint64_t value = 0;
  for (int i = 7; i >= 0; --i) value = value << 8 | data[i];
  return value;
}

void write64(uint8_t* data, uint64_t value) {
  for (int i = 0; i < 8; ++i) data[i] = uint8_t(value >> 8 * i);
}

/// The first `code` with this payload size between two places; null if there is none.
uint8_t* find_tag(uint8_t* from, uint8_t* to, const char* code, uint8_t length) {
  for (uint8_t* at = from; to - at >= 6 + length; ++at)
    if (memcmp(at, code, 4) == 0 && at[4] == length && at[5] == 0) return at + 6;
  return nullptr;
}

void repair(uint8_t* data, size_t size) {
  constexpr size_t header = 88;
  if (size < header) return;
  write64(data + 16, size);
  const uint64_t section = read64(data + 72);
  uint8_t* end = data + size;
  for (uint8_t* hash = data + header; (hash = find_tag(hash, end, "HASH", 32)); hash += 32) {
    uint8_t* until = hash + 256 < end ? hash + 256 : end;
    uint8_t* offsets = find_tag(hash, until, "OFFT", 24);
    uint8_t* length = find_tag(hash, until, "MDSZ", 8);
    if (!length) length = find_tag(data + header, until, "MDSZ", 8);
    if (!offsets || !length) continue;
    const uint64_t at = section + read64(offsets + 16), bytes = read64(length);
    if (at > size || bytes > size - at) continue;
    const auto digest = mfa::air::sha256(data + at, size_t(bytes));
    memcpy(hash, digest.data(), digest.size());
  }
}

std::vector<uint8_t> seed(unsigned which) {
  std::vector<mfa::air::FunctionDescription> functions;
  for (unsigned i = 0; i <= which % 3; ++i) {
    mfa::air::FunctionDescription function;
    function.name = "f" + std::to_string(i);
    function.type = mfa::air::FunctionType(which % 9);
    for (unsigned c = 0; c < which % 4; ++c)
      function.constants.push_back({"c" + std::to_string(c), uint8_t(29 + c), uint16_t(c), c > 1});
    function.bitcode.assign(which % 50, uint8_t(i));
    functions.push_back(std::move(function));
  }
  return mfa::air::write(functions);
}

}  // namespace

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size,
                                          unsigned int random) {
  if (size < 4 || random % 256 == 0) {
    const std::vector<uint8_t> bytes = seed(random / 256);
    if (bytes.size() <= max_size) memcpy(data, bytes.data(), size = bytes.size());
  }
  size = LLVMFuzzerMutate(data, size, max_size);
  if (random % 2) repair(data, size);
  return size;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  auto opened = mfa::air::Metallib::open(std::vector<uint8_t>(data, data + size));
  if (!opened) {
    if (opened.error().empty()) abort();
    return 0;
  }
  const mfa::air::Metallib& library = **opened;
  unsigned sum = 0;
  for (const mfa::air::FunctionRecord& function : library.functions()) {
    if (library.find(function.name) != &function) abort();
    for (uint8_t byte : function.bitcode) sum += byte;  // every byte can be read
    for (const mfa::air::ConstantRecord& constant : function.constants) sum += constant.index;
  }
  asm volatile("" : : "r"(sum));
  return 0;
}
