// SPDX-License-Identifier: MIT
// A compiled kernel, or a metallib <-> the bytes of one cache entry.
#include "jit/cache_entry.h"

#include <cstring>
#include <type_traits>

#include "air/sha256.h"

namespace mfa::jit {
namespace {

// A change of what `visit` lists is a change of the library, which has other keys then. The digit
// at the end counts the changes of what encloses it.
constexpr char code_magic[] = "MFAcode1", metallib_magic[] = "MFAmlib1";
constexpr size_t magic_size = 8, head = magic_size + sizeof(CacheKey);

class Writer {
 public:
  template <class... T>
  void operator()(const T&... values) {
    (put(values), ...);
  }
  void raw(const void* data, size_t size) {
    auto* first = static_cast<const uint8_t*>(data);
    bytes.insert(bytes.end(), first, first + size);
  }

  std::vector<uint8_t> bytes;

 private:
  template <class T>
  std::enable_if_t<std::is_arithmetic_v<T> || std::is_enum_v<T>> put(T value) {
    raw(&value, sizeof value);
  }
  void put(const std::string& text) {
    put(uint64_t(text.size()));
    raw(text.data(), text.size());
  }
  void put(const ObjectBytes& object) {
    put(uint64_t(object.size()));
    raw(object.data(), object.size());
  }
  template <class T>
  std::enable_if_t<std::is_class_v<T>> put(const std::vector<T>& items) {
    put(uint64_t(items.size()));
    for (const T& item : items) visit(*this, item);
  }
};

class Reader {
 public:
  Reader(const uint8_t* data, size_t size) : next_(data), left_(size) {}

  template <class... T>
  void operator()(T&... values) {
    (get(values), ...);
  }
  /// Whether nothing was missing and nothing is left.
  bool complete() const { return good_ && left_ == 0; }

 private:
  bool take(void* to, size_t size) {
    good_ &= size <= left_;
    if (!good_) return false;
    if (size) memcpy(to, next_, size);
    next_ += size;
    left_ -= size;
    return true;
  }
  /// The number of items that follow, each of them of at least one byte.
  size_t count() {
    uint64_t value = 0;
    take(&value, sizeof value);
    good_ &= value <= left_;
    return good_ ? size_t(value) : 0;
  }
  template <class T>
  std::enable_if_t<std::is_arithmetic_v<T> || std::is_enum_v<T>> get(T& value) {
    take(&value, sizeof value);
  }
  void get(bool& value) {
    uint8_t byte = 0;
    take(&byte, 1);
    good_ &= byte <= 1;
    value = byte == 1;
  }
  void get(std::string& text) {
    text.resize(count());
    take(text.data(), text.size());
  }
  void get(ObjectBytes& object) {
    object.resize(count());
    take(object.data(), object.size());
  }
  template <class T>
  std::enable_if_t<std::is_class_v<T>> get(std::vector<T>& items) {
    for (size_t n = count(); n != 0 && good_; --n) visit(*this, items.emplace_back());
  }

  const uint8_t* next_;
  size_t left_;
  bool good_ = true;
};

// Taken apart by structured bindings: a new member does not compile until it is listed here.
// `T` is one of these types, const or not.

template <class Archive, class T, class Type>
using If = std::enable_if_t<std::is_same_v<std::remove_const_t<T>, Type>>;

template <class Archive, class T>
If<Archive, T, air::Argument> visit(Archive& archive, T& argument) {
  auto& [kind, access, parameter, slot, address_space, type_size, type_align, buffer_size, unused,
         active, indirect, table, name, type_name, builtin, predicate] = argument;
  archive(kind, access, parameter, slot, address_space, type_size, type_align, buffer_size, unused,
          active, indirect, table, name, type_name, builtin, predicate);
}

template <class Archive, class T>
If<Archive, T, air::Constant> visit(Archive& archive, T& constant) {
  auto& [name, type, index, required] = constant;
  archive(name, type, index, required);
}

template <class Archive, class T>
If<Archive, T, air::Reflection> visit(Archive& archive, T& reflection) {
  auto& [name, arguments, constants, max_total_threads, static_threadgroup_bytes] = reflection;
  archive(name, arguments, constants, max_total_threads, static_threadgroup_bytes);
}

template <class Archive, class T>
If<Archive, T, exec::Code> visit(Archive& archive, T& code) {
  // Addresses and times mean nothing to another process.
  auto& [entry, thread, scratch_bytes, stack_bytes, barriers, flush_subnormals, group_nanoseconds] =
      code;
  archive(scratch_bytes, stack_bytes, barriers, flush_subnormals);
}

template <class Archive, class T>
If<Archive, T, CompiledObject> visit(Archive& archive, T& object) {
  auto& [bytes, symbol, code, reflection] = object;
  archive(symbol);
  visit(archive, code);
  visit(archive, reflection);
  archive(bytes);
}

Writer begin(const char* magic, const CacheKey& key, size_t room) {
  Writer writer;
  writer.bytes.reserve(room + 4096);
  writer.raw(magic, magic_size);
  writer.raw(key.data(), key.size());
  return writer;
}

std::vector<uint8_t> end(Writer writer) {
  auto digest = air::sha256(writer.bytes.data(), writer.bytes.size());
  writer.raw(digest.data(), digest.size());
  return std::move(writer.bytes);
}

/// How many bytes of `data` come before the digest; 0 unless all is as `end` returned it.
size_t checked(const char* magic, const CacheKey& key, const uint8_t* data, size_t size) {
  std::array<uint8_t, 32> digest;
  if (size < head + digest.size()) return 0;
  size -= digest.size();
  if (memcmp(data, magic, magic_size) != 0) return 0;
  if (memcmp(data + magic_size, key.data(), key.size()) != 0) return 0;
  digest = air::sha256(data, size);
  return memcmp(data + size, digest.data(), digest.size()) == 0 ? size : 0;
}

}  // namespace

std::vector<uint8_t> write_entry(const CacheKey& key, const CompiledObject& object) {
  Writer writer = begin(code_magic, key, object.bytes.size());
  visit(writer, object);
  return end(std::move(writer));
}

std::optional<CompiledObject> read_entry(const CacheKey& key, const uint8_t* data, size_t size) {
  size = checked(code_magic, key, data, size);
  if (size == 0) return std::nullopt;
  CompiledObject object;
  Reader reader(data + head, size - head);
  visit(reader, object);
  if (!reader.complete()) return std::nullopt;
  return object;
}

std::vector<uint8_t> write_metallib_entry(const CacheKey& key,
                                          const std::vector<uint8_t>& metallib) {
  Writer writer = begin(metallib_magic, key, metallib.size());
  writer.raw(metallib.data(), metallib.size());
  return end(std::move(writer));
}

std::optional<std::vector<uint8_t>> read_metallib_entry(const CacheKey& key, const uint8_t* data,
                                                        size_t size) {
  size = checked(metallib_magic, key, data, size);
  if (size == 0) return std::nullopt;
  return std::vector<uint8_t>(data + head, data + size);
}

}  // namespace mfa::jit
