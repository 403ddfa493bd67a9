// SPDX-License-Identifier: MIT
// mfa_device_*.
#include "api/handles.h"
#include "api/structs.h"
#include "host/tile_tables.h"

using namespace mfa;
using namespace mfa::api;

mfa_status mfa_device_count(size_t* count) {
  return call("mfa_device_count", [&]() -> Status {
    MFA_TRY(require(count, "count"));
    *count = host::Device::all().size();
    return {};
  });
}

mfa_status mfa_device_at(size_t index, mfa_device* device) {
  return call("mfa_device_at", [&]() -> Status {
    MFA_TRY(require(device, "device"));
    const auto& all = host::Device::all();
    if (index >= all.size())
      return failure(Code::not_found, "index is %zu, there are %zu devices", index, all.size());
    publish(all[index], device);
    return {};
  });
}

mfa_status mfa_device_open(const char* name, mfa_device* device) {
  return call("mfa_device_open", [&]() -> Status {
    MFA_TRY(require(device, "device"));
    auto opened = host::Device::open(name);
    if (!opened.ok()) return opened.status();
    publish(*opened, device);
    return {};
  });
}

mfa_status mfa_device_get_info(mfa_device device, mfa_device_info* info) {
  return call("mfa_device_get_info", [&]() -> Status {
    auto found = use(device, "device");
    if (!found.ok()) return found.status();
    const host::Device& from = **found;
    mfa_device_info filled = {};
    filled.name = from.name.c_str();
    filled.description = from.description.c_str();
    filled.backend = static_cast<mfa_backend>(from.backend);
    filled.simd_width = from.simd_width;
    filled.max_threads_per_threadgroup = from.max_threads;
    filled.workers = from.workers;
    filled.max_threadgroup_memory = from.max_threadgroup_memory;
    filled.max_buffer_length = from.max_buffer_length;
    filled.page_size = from.page_size;
    filled.unified_memory = from.unified_memory;
    filled.cache_size = from.cache_size;
    return MFA_WRITE(info, filled, mfa_device_info);
  });
}

mfa_status mfa_device_set_tiles(mfa_device device, const char* rows) {
  return call("mfa_device_set_tiles", [&]() -> Status {
    auto found = use(device, "device");
    if (!found.ok()) return found.status();
    std::unique_ptr<host::TileTables> tables;
    if (rows) {
      auto read = host::read_tile_tables(rows);
      if (!read.ok()) return read.status();
      tables = std::move(*read);
    }
    (*found)->set_tiles(std::move(tables));
    return {};
  });
}

mfa_status mfa_device_metal(mfa_device device, void** metal) {
  return call("mfa_device_metal", [&]() -> Status {
    auto found = use(device, "device");
    if (!found.ok()) return found.status();
    MFA_TRY(require(metal, "metal"));
    *metal = (*found)->metal.get();
    return {};
  });
}

mfa_status mfa_device_of_metal(void* metal, mfa_device* device) {
  return call("mfa_device_of_metal", [&]() -> Status {
    MFA_TRY(require(metal, "metal"));
    MFA_TRY(require(device, "device"));
    auto found = host::Device::of_metal(metal);
    if (!found.ok()) return found.status();
    publish(*found, device);
    return {};
  });
}

mfa_status mfa_device_retain(mfa_device device) {
  return retain_handle("mfa_device_retain", device);
}

mfa_status mfa_device_release(mfa_device device) {
  return release_handle("mfa_device_release", device);
}
