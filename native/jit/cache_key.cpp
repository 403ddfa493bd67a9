// SPDX-License-Identifier: MIT
// All that a pipeline variant's code, or a metallib, depends on -> the name of its cache entry.
#include "jit/cache_key.h"

#include <link.h>
#include <sys/stat.h>

#include <cstring>
#include <type_traits>

#include "air/sha256.h"
#include "jit/target.h"
#include "llvm/Config/llvm-config.h"

namespace mfa::jit {
namespace {

/// Every text is preceded by its length: no two lists of fields give the same bytes.
class Fields {
 public:
  void add(const void* data, size_t size) {
    number(uint64_t(size));
    bytes_.append(static_cast<const char*>(data), size);
  }
  void add(const std::string& text) { add(text.data(), text.size()); }
  template <class T>
  void number(T value) {
    static_assert(std::is_arithmetic_v<T> || std::is_enum_v<T>);
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof value);
  }
  void add(const air::ConstantValue& value) {
    number(value.type);
    add(value.bytes.data(), value.bytes.size());
  }
  CacheKey digest() const {
    return air::sha256(reinterpret_cast<const uint8_t*>(bytes_.data()), bytes_.size());
  }

 private:
  std::string bytes_;
};

constexpr char here = 0;  // an address inside the file this code was loaded from

/// The GNU build id among the notes of a segment, or nothing.
std::string build_id(const uint8_t* notes, size_t size) {
  auto padded = [](size_t n) { return (n + 3) / 4 * 4; };
  while (size >= sizeof(ElfW(Nhdr))) {
    ElfW(Nhdr) note;
    memcpy(&note, notes, sizeof note);
    size_t name = sizeof note, description = name + padded(note.n_namesz);
    size_t end = description + padded(note.n_descsz);
    if (end > size) break;
    if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 &&
        memcmp(notes + name, "GNU", 4) == 0 && note.n_descsz != 0)
      return std::string(reinterpret_cast<const char*>(notes + description), note.n_descsz);
    notes += end;
    size -= end;
  }
  return {};
}

std::string file_identity(const char* name) {
  struct stat status;
  if (stat(name, &status) != 0) return {};
  Fields fields;
  fields.add(std::string(name));
  fields.number(uint64_t(status.st_dev));
  fields.number(uint64_t(status.st_ino));
  fields.number(int64_t(status.st_size));
  fields.number(int64_t(status.st_mtim.tv_sec));
  fields.number(int64_t(status.st_mtim.tv_nsec));
  CacheKey digest = fields.digest();
  return std::string(digest.begin(), digest.end());
}

/// Stops, by returning 1, at the loaded file that holds `here`.
int visit_loaded_file(dl_phdr_info* info, size_t, void* identity) {
  auto address = reinterpret_cast<ElfW(Addr)>(&here);
  bool ours = false;
  std::string id;
  for (int i = 0; i < info->dlpi_phnum; ++i) {
    const ElfW(Phdr)& segment = info->dlpi_phdr[i];
    ElfW(Addr) start = info->dlpi_addr + segment.p_vaddr;
    if (segment.p_type == PT_LOAD) ours |= address - start < segment.p_memsz;
    if (segment.p_type == PT_NOTE && id.empty())
      id = build_id(reinterpret_cast<const uint8_t*>(start), segment.p_memsz);
  }
  if (!ours) return 0;
  // The program itself has no name.
  const char* name = info->dlpi_name && *info->dlpi_name ? info->dlpi_name : "/proc/self/exe";
  *static_cast<std::string*>(identity) = id.empty() ? file_identity(name) : id;
  return 1;
}

}  // namespace

const std::string& build_identity() {
  static const std::string identity = [] {
    std::string found;
    dl_iterate_phdr(&visit_loaded_file, &found);
    return found;
  }();
  return identity;
}

std::optional<CacheKey> cache_key(const air::FunctionRecord& record,
                                  const air::ConstantValues& values,
                                  const air::LinkedFunctions& linked, Path path,
                                  exec::Shape shape) {
  const std::string target = target_identity();
  if (target.empty() || build_identity().empty()) return std::nullopt;
  Fields fields;
  fields.add(build_identity());
  fields.add(LLVM_VERSION_STRING);
  fields.add(target);
  fields.number(path);
  fields.number(shape);
  fields.add(record.name);
  fields.number(record.type);
  fields.add(record.hash.data(), record.hash.size());
  for (uint16_t version :
       {record.air_major, record.air_minor, record.language_major, record.language_minor})
    fields.number(version);
  fields.number(uint64_t(record.constants.size()));
  for (const air::ConstantRecord& constant : record.constants) {
    fields.add(constant.name);
    fields.number(constant.type);
    fields.number(constant.index);
    fields.number(constant.required);
  }
  fields.number(uint64_t(values.by_index.size()));
  for (const auto& [index, value] : values.by_index) {
    fields.number(index);
    fields.add(value);
  }
  fields.number(uint64_t(values.by_name.size()));
  for (const auto& [name, value] : values.by_name) {
    fields.add(name);
    fields.add(value);
  }
  fields.number(uint64_t(linked.size()));
  for (const air::LinkedFunction& function : linked)
    fields.add(function.record->hash.data(), function.record->hash.size());
  return fields.digest();
}

std::optional<CacheKey> source_key(const std::string& compiler,
                                   const std::vector<std::string>& arguments,
                                   const std::string& source) {
  const std::string identity = file_identity(compiler.c_str());
  if (identity.empty()) return std::nullopt;
  Fields fields;
  fields.add("metal source");
  fields.add(identity);
  fields.number(uint64_t(arguments.size()));
  for (const std::string& argument : arguments) fields.add(argument);
  fields.add(source);
  return fields.digest();
}

}  // namespace mfa::jit
