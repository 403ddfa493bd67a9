// SPDX-License-Identifier: MIT
// Lengths and addresses -> MTLBuffers.
#include "host/buffer.h"

#include <cstring>

#include "host/metal_objects.h"

namespace mfa::host {

namespace {

// Metal has no empty buffers: one byte stands behind a length of 0.
uint64_t at_least_one(uint64_t length) { return length ? length : 1; }

Status too_long(const Device& device, uint64_t length) {
  return failure(Code::out_of_memory,
                 "length is %llu bytes, device \"%s\" allows at most %llu in one buffer",
                 (unsigned long long)length, device.name.c_str(),
                 (unsigned long long)device.max_buffer_length);
}

void describe(Buffer& buffer, id<MTLBuffer> metal) {
  buffer.storage =
      [metal storageMode] == MTLStorageModePrivate ? Storage::private_ : Storage::shared;
  buffer.address = [(id<MFAAddressed>)metal gpuAddress] + buffer.base;
  if (buffer.storage == Storage::shared)
    buffer.contents = (unsigned char*)[metal contents] + buffer.base;
}

}  // namespace

Outcome<std::shared_ptr<Buffer>> Buffer::make(std::shared_ptr<Device> device, uint64_t length,
                                              Storage storage) {
  if (length > device->max_buffer_length) return too_long(*device, length);
  @autoreleasepool {
    MTLResourceOptions options =
        storage == Storage::private_ ? MTLResourceStorageModePrivate : MTLResourceStorageModeShared;
    id<MTLBuffer> metal = [as<id<MTLDevice>>(device->metal) newBufferWithLength:at_least_one(length)
                                                                        options:options];
    if (metal == nil)
      return failure(Code::out_of_memory, "device \"%s\" could not allocate %llu bytes",
                     device->name.c_str(), (unsigned long long)length);
    auto buffer = std::make_shared<Buffer>();
    buffer->metal = adopt(metal);
    buffer->length = length;
    describe(*buffer, metal);
    buffer->device = std::move(device);
    return buffer;
  }
}

Outcome<std::shared_ptr<Buffer>> Buffer::wrap(std::shared_ptr<Device> device, void* memory,
                                              uint64_t length, bool read_only,
                                              Deallocator deallocate, void* context) {
  if (length > device->max_buffer_length) return too_long(*device, length);
  auto buffer = std::make_shared<Buffer>();
  buffer->length = length;
  buffer->read_only = read_only;
  @autoreleasepool {
    id<MTLDevice> metal_device = as<id<MTLDevice>>(device->metal);
    id<MTLBuffer> metal = nil;
    if (length != 0) {
      // A GPU maps whole pages, and those around the memory exist because it touches each of them.
      // A CPU device wants the start aligned as its widest vector type.
      bool gpu = device->backend == Backend::metal;
      uint64_t unit = gpu ? device->page_size : 16;
      auto start = (uintptr_t)memory;
      uint64_t lead = start % unit;
      uint64_t span = gpu ? (lead + length + unit - 1) / unit * unit : lead + length;
      void (^done)(void*, NSUInteger) = nil;
      if (deallocate)
        done = ^(void*, NSUInteger) {
          deallocate(context, memory, length);
        };
      metal = [metal_device newBufferWithBytesNoCopy:(void*)(start - lead)
                                              length:span
                                             options:MTLResourceStorageModeShared
                                         deallocator:done];
      buffer->base = lead;
    }
    if (metal == nil) {
      metal = [metal_device newBufferWithLength:at_least_one(length)
                                        options:MTLResourceStorageModeShared];
      if (metal == nil)
        return failure(Code::out_of_memory, "device \"%s\" could not allocate %llu bytes",
                       device->name.c_str(), (unsigned long long)length);
      buffer->base = 0;
      buffer->is_copy = length != 0;
      if (length != 0) memcpy([metal contents], memory, length);
      buffer->deallocate_ = deallocate;
      buffer->context_ = context;
      buffer->memory_ = memory;
    }
    buffer->metal = adopt(metal);
    describe(*buffer, metal);
    if (length == 0) buffer->contents = memory;
  }
  buffer->device = std::move(device);
  return buffer;
}

Outcome<std::shared_ptr<Buffer>> Buffer::wrap_metal(std::shared_ptr<Device> device, void* metal) {
  @autoreleasepool {
    id<MTLBuffer> object = (id<MTLBuffer>)metal;
    if (![(id)object respondsToSelector:@selector(contents)] ||
        ![(id)object respondsToSelector:@selector(device)])
      return failure(Code::invalid_argument, "metal is no id<MTLBuffer>");
    if ((void*)[object device] != device->metal.get())
      return failure(Code::invalid_argument, "metal belongs to another device than \"%s\"",
                     device->name.c_str());
    auto buffer = std::make_shared<Buffer>();
    buffer->metal = Object::retain(metal);
    buffer->length = [object length];
    describe(*buffer, object);
    buffer->device = std::move(device);
    return buffer;
  }
}

Buffer::~Buffer() {
  if (deallocate_) deallocate_(context_, memory_, length);
}

}  // namespace mfa::host
