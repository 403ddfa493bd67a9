// SPDX-License-Identifier: MIT
// Objects <-> the typed handles of mfa.h. A handle is a number: one that was released is
// recognised.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "api/error.h"
#include "api/recent_buffers.h"
#include "host/buffer.h"
#include "host/commands.h"
#include "host/library.h"

namespace mfa::api {

/// What lies behind mfa_library: with the arrays that were handed out.
struct Library {
  struct Arrays {
    std::vector<mfa_argument> arguments;
    std::vector<mfa_function_constant> constants;
  };
  std::shared_ptr<host::Library> host;
  std::mutex mutex;
  std::map<const host::Function*, Arrays> arrays;
};

/// What lies behind mfa_pipeline.
struct Pipeline {
  std::shared_ptr<host::Pipeline> host;
  std::vector<mfa_argument> arguments;
};

/// What lies behind mfa_commands.
struct Commands {
  std::shared_ptr<host::Commands> host;
  RecentBuffers recent;  // while they are filled
  std::mutex mutex;
  std::string error;  // as handed out
};

enum class Kind : uint8_t { none, device, buffer, library, pipeline, commands };

/// Untyped forms. `kind` is also the word for messages.
uintptr_t publish(Kind kind, std::shared_ptr<void> object);
/// `name` and `member` together say in messages which handle it is.
/// `copy` makes a typed copy at `to`: each reference more is paid for in every call.
using Copy = void (*)(const std::shared_ptr<void>& from, void* to);
Status use(Kind kind, uintptr_t handle, const char* name, const char* member, Copy copy, void* to);
Status retain(Kind kind, uintptr_t handle);
/// Returns the object if that was the last reference, for the caller to let go of.
Outcome<std::shared_ptr<void>> release(Kind kind, uintptr_t handle);
/// How many handles have ended so far.
uint64_t releases();

template <class Handle>
struct HandleTraits;
template <>
struct HandleTraits<mfa_device> {
  using Object = host::Device;
  static constexpr Kind kind = Kind::device;
};
template <>
struct HandleTraits<mfa_buffer> {
  using Object = host::Buffer;
  static constexpr Kind kind = Kind::buffer;
};
template <>
struct HandleTraits<mfa_library> {
  using Object = Library;
  static constexpr Kind kind = Kind::library;
};
template <>
struct HandleTraits<mfa_pipeline> {
  using Object = Pipeline;
  static constexpr Kind kind = Kind::pipeline;
};
template <>
struct HandleTraits<mfa_commands> {
  using Object = Commands;
  static constexpr Kind kind = Kind::commands;
};

template <class Handle>
using ObjectOf = typename HandleTraits<Handle>::Object;

/// A new handle with one reference.
template <class Handle>
void publish(std::shared_ptr<ObjectOf<Handle>> object, Handle* handle) {
  *handle = reinterpret_cast<Handle>(publish(HandleTraits<Handle>::kind, std::move(object)));
}

/// The object stays alive while the result does, even if the handle is released meanwhile.
template <class Handle>
Outcome<std::shared_ptr<ObjectOf<Handle>>> use(Handle handle, const char* name,
                                               const char* member = "") {
  std::shared_ptr<ObjectOf<Handle>> object;
  const Copy copy = [](const std::shared_ptr<void>& from, void* to) {
    *static_cast<std::shared_ptr<ObjectOf<Handle>>*>(to) =
        std::static_pointer_cast<ObjectOf<Handle>>(from);
  };
  MFA_TRY(use(HandleTraits<Handle>::kind, reinterpret_cast<uintptr_t>(handle), name, member, copy,
              &object));
  return object;
}

template <class Handle>
mfa_status retain_handle(const char* function, Handle handle) {
  return call(function, [&] {
    return retain(HandleTraits<Handle>::kind, reinterpret_cast<uintptr_t>(handle));
  });
}

template <class Handle>
mfa_status release_handle(const char* function, Handle handle) {
  return call(function, [&]() -> Status {
    if (!handle) return {};
    auto last = release(HandleTraits<Handle>::kind, reinterpret_cast<uintptr_t>(handle));
    return last.ok() ? Status() : last.status();
  });
}

}  // namespace mfa::api
