// SPDX-License-Identifier: MIT
// Function descriptions -> the bytes of a macOS 14 metallib.
#include <cstring>

#include "air/metallib.h"
#include "air/sha256.h"

namespace mfa::air {
namespace {

constexpr size_t kHeader = 88;
constexpr uint16_t kVersion[4] = {2, 6, 3, 1};  // AIR 2.6, MSL 3.1

class Buffer {
 public:
  template <class T>
  void put(T value) {
    for (size_t i = 0; i < sizeof(T); ++i) bytes.push_back(uint8_t(uint64_t(value) >> 8 * i));
  }
  template <class T>
  void put_at(size_t at, T value) {
    for (size_t i = 0; i < sizeof(T); ++i) bytes[at + i] = uint8_t(uint64_t(value) >> 8 * i);
  }
  void text(std::string_view value) {
    append(reinterpret_cast<const uint8_t*>(value.data()), value.size());
  }
  void string(const std::string& value) {
    text(value);
    put(uint8_t(0));
  }
  void append(const uint8_t* data, size_t size) { bytes.insert(bytes.end(), data, data + size); }
  void append(const Buffer& other) { append(other.bytes.data(), other.bytes.size()); }
  void tag(const char* code, const Buffer& payload) {
    text({code, 4});
    put(uint16_t(payload.bytes.size()));
    append(payload);
  }
  size_t size() const { return bytes.size(); }

  std::vector<uint8_t> bytes;
};

uint32_t word(const std::vector<uint8_t>& bytes) {
  uint32_t value = 0;
  for (size_t i = 0; i < 4 && i < bytes.size(); ++i) value |= uint32_t(bytes[i]) << 8 * i;
  return value;
}

/// Wrapper header, bitcode, zero padding to 16.
Buffer wrap(const std::vector<uint8_t>& bitcode) {
  constexpr uint32_t kMagic = 0x0B17C0DE, kWrapper = 20;
  Buffer blob;
  if (word(bitcode) != kMagic) {
    blob.put(kMagic);
    blob.put(uint32_t(0));
    blob.put(kWrapper);
    blob.put(uint32_t(bitcode.size()));
    blob.put(uint32_t(0xffffffff));
  }
  blob.append(bitcode.data(), bitcode.size());
  blob.bytes.resize((blob.size() + 15) / 16 * 16);
  return blob;
}

/// A metadata record: its size, which counts itself, then tags.
Buffer metadata(const std::vector<ConstantRecord>& constants) {
  Buffer tags;
  if (!constants.empty()) {
    Buffer list;
    list.put(uint16_t(constants.size()));
    for (const ConstantRecord& constant : constants) {
      list.string(constant.name);
      list.put(constant.type);
      list.put(constant.index);
      list.put(uint8_t(constant.required));
    }
    tags.tag("CNST", list);
  }
  tags.text("ENDT");
  Buffer record;
  record.put(uint32_t(tags.size() + 4));
  record.append(tags);
  return record;
}

Buffer entry(const FunctionDescription& function, const std::array<uint8_t, 32>& hash,
             const uint64_t (&offsets)[3], uint64_t blob_size) {
  Buffer name, type, digest, places, version, size, tags;
  name.string(function.name);
  type.put(uint8_t(function.type));
  digest.append(hash.data(), hash.size());
  for (uint64_t offset : offsets) places.put(offset);
  for (uint16_t part : kVersion) version.put(part);
  size.put(blob_size);
  tags.tag("NAME", name);
  tags.tag("TYPE", type);
  tags.tag("HASH", digest);
  tags.tag("OFFT", places);
  tags.tag("VERS", version);
  tags.tag("MDSZ", size);
  tags.text("ENDT");
  Buffer group;
  group.put(uint32_t(tags.size() + 4));
  group.append(tags);
  return group;
}

}  // namespace

std::vector<uint8_t> write(const std::vector<FunctionDescription>& functions) {
  Buffer list, public_metadata, private_metadata, bitcode, hashes;
  list.put(uint32_t(functions.size()));
  for (const FunctionDescription& function : functions) {
    const Buffer blob = wrap(function.bitcode);
    const auto hash = sha256(blob.bytes.data(), blob.size());
    list.append(entry(function, hash,
                      {public_metadata.size(), private_metadata.size(), bitcode.size()},
                      blob.size()));
    public_metadata.append(metadata(function.constants));
    private_metadata.append(metadata({}));
    bitcode.append(blob);
    hashes.append(hash.data(), hash.size());
  }

  Buffer extension, uuid;
  uuid.append(sha256(hashes.bytes.data(), hashes.size()).data(), 16);
  extension.tag("UUID", uuid);
  extension.text("ENDT");

  Buffer file;
  file.text("MTLB");
  for (uint16_t part : {0x8001, 2, 7}) file.put(part);  // macOS, format 1.2.7
  file.put(uint8_t(0));                                 // executable
  file.put(uint8_t(0x81));                              // macOS, 64-bit
  file.put(uint16_t(14));
  file.put(uint16_t(0));
  file.put(uint64_t(0));  // file size, filled in below
  uint64_t at = kHeader;
  const auto section = [&](const Buffer& content, uint64_t uncounted) {
    file.put(at);
    file.put(uint64_t(content.size() - uncounted));
    at += content.size();
  };
  section(list, 4);
  at += extension.size();
  section(public_metadata, 0);
  section(private_metadata, 0);
  section(bitcode, 0);
  for (const Buffer* part : {&list, &extension, &public_metadata, &private_metadata, &bitcode})
    file.append(*part);
  file.put_at(16, uint64_t(file.size()));
  return std::move(file.bytes);
}

}  // namespace mfa::air
