// SPDX-License-Identifier: MIT
// Metal's list of devices -> ours, with names and limits.
#include "host/device.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <mutex>
#include <sstream>

#include "host/compiled.h"
#include "host/embedded.h"
#include "host/library.h"
#include "host/metal_objects.h"
#include "host/pipelines.h"
#include "host/tile_tables.h"
#include "host/workspace.h"

namespace mfa::host {

struct Device::Default {
  std::mutex mutex;
  std::shared_ptr<Library> library;
  std::vector<std::shared_ptr<Library>> parts;  // where sources are embedded
  std::vector<std::unique_ptr<TileTables>> tables;
};

Device::Device(Object object, unsigned index)
    : metal(std::move(object)), default_(std::make_unique<Default>()) {
  id<MTLDevice> device = as<id<MTLDevice>>(metal);
  queue = adopt([device newCommandQueue]);
  description = text([device name]);
  if ([device respondsToSelector:@selector(mfaDeviceName)]) {
    id<MFADeviceExtras> extras = (id<MFADeviceExtras>)device;
    name = text([extras mfaDeviceName]);
    backend = name == "reference" ? Backend::reference : Backend::cpu;
    workers = (uint32_t)[extras mfaWorkers];
    if (uint64_t told = [extras mfaCacheSize]) cache_size = told;
  } else {
    name = "metal:" + std::to_string(index);
  }
  max_threads = (uint32_t)[device maxThreadsPerThreadgroup].width;
  max_threadgroup_memory = [device maxThreadgroupMemoryLength];
  max_buffer_length = [device maxBufferLength];
  page_size = (uint64_t)sysconf(_SC_PAGESIZE);
  unified_memory = [device hasUnifiedMemory];
  pipelines_ = std::make_unique<PipelineCache>(*this);
  plans_ = std::make_unique<PlanCache>();
  workspaces_ = std::make_unique<WorkspacePool>();
  // Until something was measured.
  rate_ = backend == Backend::metal ? 1e12 : 5e10 * std::max(workers, 1u);
  read_tiles();
}

void Device::read_tiles() {
  const char* path = getenv("MFA_TILES");
  if (!path || !*path) return;
  std::ifstream file(path);
  std::stringstream text;
  if (!file || !(text << file.rdbuf())) {
    tiles_error = failure(Code::not_found, "MFA_TILES: cannot read \"%s\"", path);
    return;
  }
  auto tables = read_tile_tables(text.str());
  if (tables.ok())
    set_tiles(std::move(*tables));
  else
    tiles_error = {tables.status().code,
                   "MFA_TILES: " + std::string(path) + ": " + tables.status().message};
}

void Device::set_tiles(std::unique_ptr<TileTables> tables) {
  std::lock_guard lock(default_->mutex);
  tiles_.store(tables.get(), std::memory_order_release);
  if (tables) default_->tables.push_back(std::move(tables));
}

Device::~Device() = default;

void Device::measured(double operations, double seconds) {
  if (!(seconds > 1e-4)) return;  // mostly the time it takes to start
  double found = operations / seconds, known = rate();
  rate_.store(known + (found - known) / 4, std::memory_order_relaxed);
}

const std::vector<std::shared_ptr<Device>>& Device::all() {
  // Never destroyed: handles and completion callbacks may outlive static destructors.
  static const auto* devices = [] {
    auto* list = new std::vector<std::shared_ptr<Device>>;
    @autoreleasepool {
      NSArray* found = MTLCopyAllDevices();
      for (NSUInteger i = 0; i < [found count]; ++i)
        list->push_back(
            std::make_shared<Device>(Object::retain((void*)[found objectAtIndex:i]), (unsigned)i));
      [found release];
    }
    return list;
  }();
  return *devices;
}

/// The device that checks kernels, where there is one. Not listed: it is as slow as it is careful.
static std::shared_ptr<Device> validating() {
  static const auto* made = [] {
    auto* device = new std::shared_ptr<Device>;
    @autoreleasepool {
      id<MTLDevice> first = as<id<MTLDevice>>(Device::all().front()->metal);
      if ([first respondsToSelector:@selector(mfaValidatingDevice)])
        *device = std::make_shared<Device>(
            Object::retain((void*)[(id<MFADeviceExtras>)first mfaValidatingDevice]), 0u);
    }
    return device;
  }();
  return *made;
}

Outcome<std::shared_ptr<Device>> Device::open(const char* name) {
  const auto& devices = all();
  std::string names;
  for (const auto& device : devices) {
    if (name == nullptr || strcmp(name, "default") == 0 || device->name == name) return device;
    names += (names.empty() ? "" : ", ") + device->name;
  }
  if (strcmp(name, "validate") == 0)
    if (auto device = validating()) return device;
  return failure(Code::not_found, "there is no device \"%s\", only: %s", name ? name : "default",
                 names.empty() ? "none" : names.c_str());
}

Outcome<std::shared_ptr<Device>> Device::of_metal(void* metal) {
  id object = (id)metal;
  if (![object respondsToSelector:@selector(registryID)] ||
      ![object respondsToSelector:@selector(newCommandQueue)])
    return failure(Code::invalid_argument, "metal is no id<MTLDevice>");
  for (const auto& device : all())
    if ([as<id<MTLDevice>>(device->metal) registryID] == [(id<MTLDevice>)object registryID])
      return device;
  if (auto device = validating(); device && device->metal.get() == metal) return device;
  return failure(Code::not_found, "metal is none of the devices that MTLCopyAllDevices lists");
}

Outcome<std::shared_ptr<Library>> Device::default_library(const std::string& kernel) {
  std::lock_guard lock(default_->mutex);
  if (default_->library) return default_->library;
  const auto* bytes = reinterpret_cast<const char*>(mfa_embedded_metallib);
  const auto* end = reinterpret_cast<const char*>(mfa_embedded_metallib_end);
  if (embedded_sources().empty()) {
    auto library = Library::from_bytes(shared_from_this(), bytes, (size_t)(end - bytes));
    if (!library.ok()) return library;
    return default_->library = *library;
  }
  std::vector<std::shared_ptr<Library>>& parts = default_->parts;
  parts.resize(embedded_sources().size());
  std::vector<Object> all;
  for (size_t i = 0; i < parts.size(); ++i) {
    const EmbeddedSource& source = embedded_sources()[i];
    const bool wanted = source.kernels.find(" " + kernel + " ") != std::string::npos;
    if (!wanted && !kernel.empty()) continue;
    if (!parts[i]) {
      // Scores use large finite numbers instead of infinities, but NaN has to travel.
      auto library = Library::from_source(shared_from_this(), source.text, true);
      if (!library.ok()) return library;
      parts[i] = *library;
    }
    if (wanted) return parts[i];
    all.push_back(Object::retain(parts[i]->part("")));
  }
  return default_->library = std::make_shared<Library>(shared_from_this(), std::move(all));
}

}  // namespace mfa::host
