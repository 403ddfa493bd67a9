// SPDX-License-Identifier: MIT
// The bytes of a metallib -> checked function records that point into them.
#include "air/metallib.h"

#include <cstring>

#include "air/sha256.h"

namespace mfa::air {
namespace {

Error refuse(const std::string& what) { return Error{"metallib: " + what}; }
std::string number(uint64_t value) { return std::to_string(value); }

/// A range of the file. `take` and the readers stop at its end instead of passing it.
class Cursor {
 public:
  Cursor(const uint8_t* data, size_t size) : data_(data), size_(size) {}

  bool take(size_t count, Cursor& out) {
    if (count > size_) return false;
    out = Cursor(data_, count);
    data_ += count;
    size_ -= count;
    return true;
  }
  template <class T>
  bool read(T& value) {
    Cursor field(nullptr, 0);
    if (!take(sizeof(T), field)) return false;
    value = 0;
    for (size_t i = 0; i < sizeof(T); ++i) value = T(value | T(T(field.data_[i]) << 8 * i));
    return true;
  }
  /// A zero-terminated string.
  bool read(std::string& value) {
    const void* end = std::memchr(data_, 0, size_);
    if (size_ == 0 || !end) return false;
    const size_t length = size_t(static_cast<const uint8_t*>(end) - data_);
    value.assign(reinterpret_cast<const char*>(data_), length);
    data_ += length + 1;
    size_ -= length + 1;
    return true;
  }
  /// The next tag of a group, or an empty code at ENDT. False if the group is malformed.
  bool tag(std::string_view& code, Cursor& payload) {
    Cursor head(nullptr, 0);
    if (!take(4, head)) return false;
    code = {reinterpret_cast<const char*>(head.data_), 4};
    uint16_t length = 0;
    if (code == "ENDT") return code = {}, true;
    return read(length) && take(length, payload);
  }
  const uint8_t* data() const { return data_; }
  size_t size() const { return size_; }

 private:
  const uint8_t* data_;
  size_t size_;
};

struct Section {
  const char* name;
  uint64_t offset = 0, size = 0;
};

struct Offsets {
  uint64_t metadata = 0, private_metadata = 0, bitcode = 0, blob_size = 0;
  bool seen_offsets = false, seen_size = false, seen_hash = false, seen_version = false;
};

Result<void> read_tag(std::string_view code, Cursor payload, FunctionRecord& record,
                      Offsets& offsets) {
  bool ok = true;
  if (code == "NAME") {
    ok = payload.read(record.name) && payload.size() == 0 && !record.name.empty();
  } else if (code == "TYPE") {
    uint8_t type = 0;
    ok = payload.read(type);
    if (ok && type > 8 && type != 255)
      return refuse("TYPE " + number(type) + " of function '" + record.name + "' is not known");
    record.type = FunctionType(type);
  } else if (code == "HASH") {
    ok = payload.size() == record.hash.size();
    if (ok) std::memcpy(record.hash.data(), payload.data(), record.hash.size());
    offsets.seen_hash = ok;
  } else if (code == "OFFT") {
    ok = payload.read(offsets.metadata) && payload.read(offsets.private_metadata) &&
         payload.read(offsets.bitcode);
    offsets.seen_offsets = ok;
  } else if (code == "MDSZ") {
    ok = payload.read(offsets.blob_size);
    offsets.seen_size = ok;
  } else if (code == "VERS") {
    ok = payload.read(record.air_major) && payload.read(record.air_minor) &&
         payload.read(record.language_major) && payload.read(record.language_minor);
    offsets.seen_version = ok;
  }  // other tags describe graphics or embedded sources
  if (!ok)
    return refuse("tag " + std::string(code) + " of function '" + record.name +
                  "' has a malformed payload");
  return {};
}

Result<void> read_constants(Cursor payload, FunctionRecord& record) {
  uint16_t count = 0;
  bool ok = payload.read(count);
  for (uint16_t i = 0; ok && i < count; ++i) {
    ConstantRecord constant;
    uint8_t required = 0;
    ok = payload.read(constant.name) && payload.read(constant.type) &&
         payload.read(constant.index) && payload.read(required);
    constant.required = required != 0;
    if (ok) record.constants.push_back(std::move(constant));
  }
  if (!ok) return refuse("CNST of function '" + record.name + "' is truncated");
  return {};
}

/// The public record of one function. Its size field may or may not count itself, so it is read up
/// to ENDT.
Result<void> read_metadata(const uint8_t* file, const Section& section, uint64_t offset,
                           FunctionRecord& record) {
  if (offset > section.size || section.size - offset < 4)
    return refuse("OFFT " + number(offset) + " of function '" + record.name +
                  "' lies outside the " + number(section.size) + " bytes of " + section.name);
  Cursor cursor(file + section.offset + offset, size_t(section.size - offset));
  uint32_t size = 0;
  (void)cursor.read(size);
  for (;;) {
    std::string_view code;
    Cursor payload(nullptr, 0);
    if (!cursor.tag(code, payload))
      return refuse(std::string(section.name) + " of function '" + record.name +
                    "' does not end with ENDT");
    if (code.empty()) return {};
    if (code != "CNST") continue;
    if (auto done = read_constants(payload, record); !done) return done;
  }
}

Result<void> read_function(Cursor group, const uint8_t* file, const Section (&sections)[4],
                           FunctionRecord& record) {
  Offsets offsets;
  for (;;) {
    std::string_view code;
    Cursor payload(nullptr, 0);
    if (!group.tag(code, payload))
      return refuse("the tags of function '" + record.name + "' do not end with ENDT");
    if (code.empty()) break;
    if (auto done = read_tag(code, payload, record, offsets); !done) return done;
  }
  if (record.name.empty()) return refuse("a function has no NAME");
  const struct {
    const char* tag;
    bool seen;
  } needed[] = {{"OFFT", offsets.seen_offsets},
                {"MDSZ", offsets.seen_size},
                {"HASH", offsets.seen_hash},
                {"VERS", offsets.seen_version}};
  for (const auto& tag : needed)
    if (!tag.seen) return refuse("function '" + record.name + "' has no " + tag.tag);

  const Section& bitcode = sections[3];
  if (offsets.bitcode > bitcode.size || offsets.blob_size > bitcode.size - offsets.bitcode)
    return refuse("bitcode of function '" + record.name + "' at " + number(offsets.bitcode) +
                  " of " + number(offsets.blob_size) + " bytes lies outside the " +
                  number(bitcode.size) + " bytes of the bitcode section");
  record.bitcode = {file + bitcode.offset + offsets.bitcode, size_t(offsets.blob_size)};
  if (sha256(record.bitcode.data(), record.bitcode.size()) != record.hash)
    return refuse("HASH of function '" + record.name + "' does not match its bitcode");
  if (auto done = read_metadata(file, sections[1], offsets.metadata, record); !done) return done;
  FunctionRecord ignored;
  ignored.name = record.name;
  return read_metadata(file, sections[2], offsets.private_metadata, ignored);
}

}  // namespace

Result<std::shared_ptr<const Metallib>> Metallib::open(std::vector<uint8_t> bytes) {
  constexpr size_t kHeader = 88;
  if (bytes.size() < kHeader)
    return refuse("the file has " + number(bytes.size()) + " bytes, its header alone needs 88");
  if (std::memcmp(bytes.data(), "MTLB", 4) != 0) return refuse("the file does not begin with MTLB");

  auto library = std::make_shared<Metallib>();
  library->bytes_ = std::move(bytes);
  const uint8_t* file = library->bytes_.data();
  const size_t size = library->bytes_.size();

  Cursor header(file + 4, kHeader - 4), rest(nullptr, 0);
  uint16_t platform = 0;
  uint64_t file_size = 0;
  (void)header.read(platform);
  if ((platform & 0x7fff) != 1)
    return refuse("file format version " + number(platform & 0x7fff) + " is not known, expected 1");
  (void)header.take(10, rest);  // format version, library type, target OS
  (void)header.read(file_size);
  if (file_size != size)
    return refuse("the header says " + number(file_size) + " bytes, the file has " + number(size));

  Section sections[4] = {
      {"the function list"}, {"the public metadata"}, {"the private metadata"}, {"the bitcode"}};
  for (Section& section : sections) {
    (void)header.read(section.offset);
    (void)header.read(section.size);
    // The size of the function list leaves out the count in front of it.
    const uint64_t extra = &section == sections ? 4 : 0;
    if (section.offset < kHeader || section.offset > size || extra > size - section.offset ||
        section.size > size - section.offset - extra)
      return refuse(std::string(section.name) + " at " + number(section.offset) + " of " +
                    number(section.size) + " bytes lies outside the file");
  }

  Cursor list(file + sections[0].offset, size_t(sections[0].size) + 4);
  uint32_t count = 0;
  (void)list.read(count);
  for (uint32_t i = 0; i < count; ++i) {
    uint32_t group_size = 0;
    Cursor group(nullptr, 0);
    if (!list.read(group_size) || group_size < 4 || !list.take(group_size - 4, group))
      return refuse("the function list ends inside entry " + number(i) + " of " + number(count));
    FunctionRecord record;
    if (auto done = read_function(group, file, sections, record); !done) return done.take_error();
    library->functions_.push_back(std::move(record));
  }

  for (size_t i = 0; i < library->functions_.size(); ++i)
    if (!library->by_name_.emplace(library->functions_[i].name, i).second)
      return refuse("function '" + library->functions_[i].name + "' occurs twice");
  return std::shared_ptr<const Metallib>(std::move(library));
}

const FunctionRecord* Metallib::find(std::string_view name) const {
  const auto found = by_name_.find(name);
  return found == by_name_.end() ? nullptr : &functions_[found->second];
}

}  // namespace mfa::air
