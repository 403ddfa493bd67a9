// SPDX-License-Identifier: MIT
// mfa_library_*, mfa_pipeline_*.
#include "api/handles.h"
#include "api/structs.h"
#include "host/embedded.h"

using namespace mfa;
using namespace mfa::api;

namespace {

mfa_argument argument_of(const host::Argument& from) {
  mfa_argument argument = {};
  argument.name = from.name.c_str();
  argument.kind = static_cast<mfa_argument_kind>(from.kind);
  argument.slot = from.slot;
  argument.access = static_cast<mfa_access>(from.access);
  argument.type = static_cast<mfa_type>(from.type);
  argument.type_size = from.type_size;
  argument.type_alignment = from.type_alignment;
  argument.used = from.used;
  return argument;
}

Status publish_library(const Outcome<std::shared_ptr<host::Library>>& opened, mfa_library* handle) {
  if (!opened.ok()) return opened.status();
  auto library = std::make_shared<Library>();
  library->host = *opened;
  publish(std::move(library), handle);
  return {};
}

/// The arrays that describe a function; made on first use, kept with the library.
const Library::Arrays& arrays_of(Library& library, const host::Function& function) {
  std::lock_guard lock(library.mutex);
  auto [found, made] = library.arrays.try_emplace(&function);
  if (made) {
    for (const host::Argument& argument : function.arguments)
      found->second.arguments.push_back(argument_of(argument));
    for (const host::FunctionConstant& constant : function.constants)
      found->second.constants.push_back({constant.name.c_str(), constant.index,
                                         static_cast<mfa_type>(constant.type), constant.required});
  }
  return found->second;
}

}  // namespace

mfa_status mfa_library_default(mfa_device device, mfa_library* library) {
  return call("mfa_library_default", [&]() -> Status {
    auto on = use(device, "device");
    if (!on.ok()) return on.status();
    MFA_TRY(require(library, "library"));
    return publish_library((*on)->default_library(), library);
  });
}

mfa_status mfa_library_embedded(const void** bytes, size_t* length) {
  return call("mfa_library_embedded", [&]() -> Status {
    MFA_TRY(require(bytes, "bytes"));
    MFA_TRY(require(length, "length"));
    if (!host::embedded_sources().empty())
      return failure(
          Code::unsupported,
          "this libmfa embeds Metal sources, expected a metallib: it was built without one");
    *bytes = mfa_embedded_metallib;
    *length = static_cast<size_t>(mfa_embedded_metallib_end - mfa_embedded_metallib);
    return {};
  });
}

mfa_status mfa_library_open(mfa_device device, const void* bytes, size_t length,
                            mfa_library* library) {
  return call("mfa_library_open", [&]() -> Status {
    auto on = use(device, "device");
    if (!on.ok()) return on.status();
    MFA_TRY(require(bytes, "bytes"));
    MFA_TRY(require(library, "library"));
    return publish_library(host::Library::from_bytes(*on, bytes, length), library);
  });
}

mfa_status mfa_library_open_file(mfa_device device, const char* path, mfa_library* library) {
  return call("mfa_library_open_file", [&]() -> Status {
    auto on = use(device, "device");
    if (!on.ok()) return on.status();
    MFA_TRY(require(path, "path"));
    MFA_TRY(require(library, "library"));
    return publish_library(host::Library::from_file(*on, path), library);
  });
}

mfa_status mfa_library_from_source(mfa_device device, const char* source,
                                   const mfa_compile_options* options, mfa_library* library) {
  return call("mfa_library_from_source", [&]() -> Status {
    auto on = use(device, "device");
    if (!on.ok()) return on.status();
    MFA_TRY(require(source, "source"));
    MFA_TRY(require(library, "library"));
    mfa_compile_options given = {};
    if (options) MFA_TRY(MFA_READ(options, given, mfa_compile_options));
    return publish_library(host::Library::from_source(*on, source, given.precise_math), library);
  });
}

mfa_status mfa_library_function_count(mfa_library library, size_t* count) {
  return call("mfa_library_function_count", [&]() -> Status {
    auto found = use(library, "library");
    if (!found.ok()) return found.status();
    MFA_TRY(require(count, "count"));
    *count = (*found)->host->names().size();
    return {};
  });
}

mfa_status mfa_library_function_name(mfa_library library, size_t index, const char** name) {
  return call("mfa_library_function_name", [&]() -> Status {
    auto found = use(library, "library");
    if (!found.ok()) return found.status();
    MFA_TRY(require(name, "name"));
    const auto& names = (*found)->host->names();
    if (index >= names.size())
      return failure(Code::not_found, "index is %zu, the library has %zu functions", index,
                     names.size());
    *name = names[index].c_str();
    return {};
  });
}

mfa_status mfa_library_function_info(mfa_library library, const char* function,
                                     mfa_function_info* info) {
  return call("mfa_library_function_info", [&]() -> Status {
    auto found = use(library, "library");
    if (!found.ok()) return found.status();
    MFA_TRY(require(function, "function"));
    auto known = (*found)->host->function(function);
    if (!known.ok()) return known.status();
    const host::Function& from = **known;
    const Library::Arrays& arrays = arrays_of(**found, from);
    mfa_function_info filled = {};
    filled.name = from.name.c_str();
    filled.argument_count = arrays.arguments.size();
    filled.arguments = arrays.arguments.data();
    filled.constant_count = arrays.constants.size();
    filled.constants = arrays.constants.data();
    filled.is_kernel = from.is_kernel;
    filled.has_arguments = from.has_arguments;
    for (int i = 0; i < 2; ++i) {
      filled.air_version[i] = from.versions[i];
      filled.language_version[i] = from.versions[2 + i];
    }
    return MFA_WRITE(info, filled, mfa_function_info);
  });
}

mfa_status mfa_library_retain(mfa_library library) {
  return retain_handle("mfa_library_retain", library);
}

mfa_status mfa_library_release(mfa_library library) {
  return release_handle("mfa_library_release", library);
}

mfa_status mfa_pipeline_new(mfa_library library, const char* function,
                            const mfa_constant_value* constants, size_t count,
                            mfa_pipeline* pipeline) {
  return call("mfa_pipeline_new", [&]() -> Status {
    auto found = use(library, "library");
    if (!found.ok()) return found.status();
    MFA_TRY(require(function, "function"));
    if (count != 0) MFA_TRY(require(constants, "constants"));
    MFA_TRY(require(pipeline, "pipeline"));
    std::vector<host::ConstantValue> values;
    for (size_t i = 0; i < count; ++i) {
      const mfa_constant_value& given = constants[i];
      size_t size = host::constant_size(given.type);
      if (size == 0)
        return failure(Code::invalid_type,
                       "constants[%zu].type is %u, expected the number of a scalar or vector type",
                       i, static_cast<unsigned>(given.type));
      if (!given.value) return failure(Code::invalid_argument, "constants[%zu].value is NULL", i);
      values.push_back({given.name ? given.name : "", given.index,
                        static_cast<uint32_t>(given.type),
                        std::string(static_cast<const char*>(given.value), size)});
    }
    auto made = (*found)->host->pipeline(function, values);
    if (!made.ok()) return made.status();
    auto object = std::make_shared<Pipeline>();
    object->host = *made;
    for (const host::Argument& argument : object->host->arguments)
      object->arguments.push_back(argument_of(argument));
    publish(std::move(object), pipeline);
    return {};
  });
}

mfa_status mfa_pipeline_get_info(mfa_pipeline pipeline, mfa_pipeline_info* info) {
  return call("mfa_pipeline_get_info", [&]() -> Status {
    auto found = use(pipeline, "pipeline");
    if (!found.ok()) return found.status();
    const Pipeline& from = **found;
    mfa_pipeline_info filled = {};
    filled.function = from.host->function.c_str();
    filled.max_threads_per_threadgroup = from.host->max_threads;
    filled.simd_width = from.host->simd_width;
    filled.static_threadgroup_memory = from.host->static_threadgroup_memory;
    filled.argument_count = from.arguments.size();
    filled.arguments = from.arguments.data();
    filled.code_bytes = from.host->code_bytes;
    return MFA_WRITE(info, filled, mfa_pipeline_info);
  });
}

mfa_status mfa_pipeline_retain(mfa_pipeline pipeline) {
  return retain_handle("mfa_pipeline_retain", pipeline);
}

mfa_status mfa_pipeline_release(mfa_pipeline pipeline) {
  return release_handle("mfa_pipeline_release", pipeline);
}
