// SPDX-License-Identifier: MIT
// mfa_buffer_*.
#include "api/handles.h"
#include "api/structs.h"

using namespace mfa;
using namespace mfa::api;

mfa_status mfa_buffer_new(mfa_device device, size_t length, mfa_storage storage,
                          mfa_buffer* buffer) {
  return call("mfa_buffer_new", [&]() -> Status {
    auto on = use(device, "device");
    if (!on.ok()) return on.status();
    MFA_TRY(require(buffer, "buffer"));
    if (static_cast<unsigned>(storage) > MFA_STORAGE_PRIVATE)
      return failure(Code::invalid_argument,
                     "storage is %u, expected MFA_STORAGE_SHARED or _PRIVATE",
                     static_cast<unsigned>(storage));
    auto made = host::Buffer::make(
        *on, length,
        storage == MFA_STORAGE_PRIVATE ? host::Storage::private_ : host::Storage::shared);
    if (!made.ok()) return made.status();
    publish(*made, buffer);
    return {};
  });
}

mfa_status mfa_buffer_wrap(mfa_device device, void* memory, size_t length, uint32_t flags,
                           mfa_deallocator deallocate, void* context, mfa_buffer* buffer) {
  return call("mfa_buffer_wrap", [&]() -> Status {
    auto on = use(device, "device");
    if (!on.ok()) return on.status();
    if (length != 0) MFA_TRY(require(memory, "memory"));
    MFA_TRY(require(buffer, "buffer"));
    if (flags & ~static_cast<uint32_t>(MFA_WRAP_READ_ONLY))
      return failure(Code::invalid_argument, "flags is 0x%x, expected MFA_WRAP_* only", flags);
    auto made = host::Buffer::wrap(*on, memory, length, (flags & MFA_WRAP_READ_ONLY) != 0,
                                   deallocate, context);
    if (!made.ok()) return made.status();
    publish(*made, buffer);
    return {};
  });
}

mfa_status mfa_buffer_wrap_metal(mfa_device device, void* metal, mfa_buffer* buffer) {
  return call("mfa_buffer_wrap_metal", [&]() -> Status {
    auto on = use(device, "device");
    if (!on.ok()) return on.status();
    MFA_TRY(require(metal, "metal"));
    MFA_TRY(require(buffer, "buffer"));
    auto made = host::Buffer::wrap_metal(*on, metal);
    if (!made.ok()) return made.status();
    publish(*made, buffer);
    return {};
  });
}

mfa_status mfa_buffer_get_info(mfa_buffer buffer, mfa_buffer_info* info) {
  return call("mfa_buffer_get_info", [&]() -> Status {
    auto found = use(buffer, "buffer");
    if (!found.ok()) return found.status();
    const host::Buffer& from = **found;
    mfa_buffer_info filled = {};
    filled.contents = from.contents;
    filled.length = from.length;
    filled.storage = static_cast<mfa_storage>(from.storage);
    filled.is_copy = from.is_copy;
    filled.read_only = from.read_only;
    return MFA_WRITE(info, filled, mfa_buffer_info);
  });
}

mfa_status mfa_buffer_contents(mfa_buffer buffer, void** contents) {
  return call("mfa_buffer_contents", [&]() -> Status {
    auto found = use(buffer, "buffer");
    if (!found.ok()) return found.status();
    MFA_TRY(require(contents, "contents"));
    *contents = (*found)->contents;
    return {};
  });
}

mfa_status mfa_buffer_length(mfa_buffer buffer, uint64_t* length) {
  return call("mfa_buffer_length", [&]() -> Status {
    auto found = use(buffer, "buffer");
    if (!found.ok()) return found.status();
    MFA_TRY(require(length, "length"));
    *length = (*found)->length;
    return {};
  });
}

mfa_status mfa_buffer_metal(mfa_buffer buffer, void** metal) {
  return call("mfa_buffer_metal", [&]() -> Status {
    auto found = use(buffer, "buffer");
    if (!found.ok()) return found.status();
    MFA_TRY(require(metal, "metal"));
    *metal = (*found)->metal.get();
    return {};
  });
}

mfa_status mfa_buffer_retain(mfa_buffer buffer) {
  return retain_handle("mfa_buffer_retain", buffer);
}

mfa_status mfa_buffer_release(mfa_buffer buffer) {
  return release_handle("mfa_buffer_release", buffer);
}
