// SPDX-License-Identifier: MIT
// Metallib bytes, whole and damaged -> the same records, or a refusal and never a crash.
#include <cstring>
#include <string>

#include "air/metallib.h"
#include "air/sha256.h"
#include "check.h"

using namespace mfa::air;

namespace {

std::vector<FunctionDescription> descriptions() {
  FunctionDescription first, second;
  first.name = "first";
  first.bitcode = {'B', 'C', 0xC0, 0xDE, 1, 2, 3, 4, 5};
  second.name = "second";
  second.bitcode.assign(1000, 7);
  second.constants = {{"M", 33, 0, true}, {"flag", 53, 10, false}};
  return {first, second};
}

uint64_t field(const std::vector<uint8_t>& bytes, size_t at, size_t size) {
  uint64_t value = 0;
  for (size_t i = 0; i < size; ++i) value |= uint64_t(bytes[at + i]) << 8 * i;
  return value;
}

void digest_is_sha256() {
  const auto hex = [](const std::array<uint8_t, 32>& digest) {
    std::string text;
    char pair[3];
    for (uint8_t byte : digest) std::snprintf(pair, sizeof pair, "%02x", byte), text += pair;
    return text;
  };
  CHECK(hex(sha256(nullptr, 0)) ==
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  const std::string abc = "abc";
  CHECK(hex(sha256(reinterpret_cast<const uint8_t*>(abc.data()), 3)) ==
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  const std::string million(1000000, 'a');
  CHECK(hex(sha256(reinterpret_cast<const uint8_t*>(million.data()), million.size())) ==
        "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

void written_library_is_read_back() {
  const auto bytes = write(descriptions());
  CHECK(std::memcmp(bytes.data(), "MTLB", 4) == 0);
  CHECK(field(bytes, 4, 2) == 0x8001 && field(bytes, 6, 2) == 2 && field(bytes, 8, 2) == 7);
  CHECK(bytes[10] == 0 && bytes[11] == 0x81 && field(bytes, 12, 2) == 14);
  CHECK(field(bytes, 16, 8) == bytes.size());
  CHECK(field(bytes, 24, 8) == 88);
  // The sections follow one another, the extension between the first and the second.
  CHECK(field(bytes, 40, 8) == 88 + 4 + field(bytes, 32, 8) + 4 + 2 + 16 + 4);
  CHECK(field(bytes, 56, 8) == field(bytes, 40, 8) + field(bytes, 48, 8));
  CHECK(field(bytes, 72, 8) == field(bytes, 56, 8) + field(bytes, 64, 8));
  CHECK(field(bytes, 72, 8) + field(bytes, 80, 8) == bytes.size());

  const auto library = Metallib::open(bytes);
  REQUIRE(bool(library));
  REQUIRE((*library)->functions().size() == 2);
  const FunctionRecord* second = (*library)->find("second");
  REQUIRE(second != nullptr);
  CHECK(second->type == FunctionType::kernel);
  CHECK(second->air_major == 2 && second->air_minor == 6);
  CHECK(second->language_major == 3 && second->language_minor == 1);
  CHECK(second->bitcode.size() % 16 == 0);
  CHECK(std::memcmp(second->bitcode.data() + 20, descriptions()[1].bitcode.data(), 1000) == 0);
  REQUIRE(second->constants.size() == 2);
  CHECK(second->constants[0].name == "M" && second->constants[0].type == 33);
  CHECK(second->constants[1].index == 10 && !second->constants[1].required);
  CHECK((*library)->find("third") == nullptr);

  // Already wrapped bitcode is kept as it is, so a library survives a round trip unchanged.
  std::vector<FunctionDescription> again;
  for (const FunctionRecord& record : (*library)->functions())
    again.push_back({record.name,
                     record.type,
                     record.constants,
                     {record.bitcode.begin(), record.bitcode.end()}});
  CHECK(write(again) == bytes);
}

void damaged_libraries_are_refused() {
  const auto bytes = write(descriptions());
  for (size_t size = 0; size < bytes.size(); ++size)
    CHECK(!Metallib::open({bytes.begin(), bytes.begin() + long(size)}));
  for (size_t at = 0; at < bytes.size(); ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      auto damaged = bytes;
      damaged[at] = uint8_t(damaged[at] ^ (1 << bit));
      const auto library = Metallib::open(damaged);
      if (library) continue;
      CHECK(library.error().rfind("metallib: ", 0) == 0);
    }
    // Sizes and offsets of the largest kind.
    auto damaged = bytes;
    for (size_t i = at; i < at + 8 && i < damaged.size(); ++i) damaged[i] = 0xff;
    (void)Metallib::open(damaged);
  }
}

void refusals_name_what_is_wrong() {
  const auto refusal = [](std::vector<uint8_t> bytes) {
    const auto library = Metallib::open(std::move(bytes));
    return library ? std::string() : library.error();
  };
  const auto contains = [](const std::string& text, const char* part) {
    return text.find(part) != std::string::npos;
  };
  const auto bytes = write(descriptions());
  auto changed = bytes;
  changed[changed.size() - 1] ^= 1;
  CHECK(contains(refusal(changed), "HASH of function 'second'"));
  changed = bytes;
  changed[16] ^= 1;
  CHECK(contains(refusal(changed), "the header says"));
  changed = bytes;
  changed[0] = 'X';
  CHECK(contains(refusal(changed), "MTLB"));
  changed = bytes;
  changed[80] = 0xff, changed[81] = 0xff;
  CHECK(contains(refusal(changed), "lies outside the file"));
  auto twice = descriptions();
  twice[1].name = "first";
  CHECK(contains(refusal(write(twice)), "occurs twice"));
}

}  // namespace

int main() {
  digest_is_sha256();
  written_library_is_read_back();
  damaged_libraries_are_refused();
  refusals_name_what_is_wrong();
  return report();
}
