// SPDX-License-Identifier: MIT
// A function record and constant values -> machine code, kept per thread-shape variant.
#include "jit/pipeline.h"

#include <atomic>
#include <mutex>
#include <optional>

#include "jit/cache.h"
#include "jit/compile.h"
#include "jit/dump.h"
#include "jit/object.h"

namespace mfa::jit {
namespace {

/// Code in memory that can be run.
struct Variant {
  exec::Code code;
  std::unique_ptr<LoadedObject> object;
};

class CompiledPipeline final : public Pipeline {
 public:
  CompiledPipeline(std::shared_ptr<const air::Metallib> library, const air::FunctionRecord& record,
                   const air::ConstantValues& values, const Options& options)
      : library_(std::move(library)), record_(record), values_(values), options_(options) {}

  const air::Reflection& reflection() const override { return reflection_; }

  Result<const exec::Code*> code(exec::Shape shape) override {
    // A thread of the reference path works its position out from its index.
    if (options_.path != Path::vector) shape = exec::Shape::linear;
    std::lock_guard<std::mutex> lock(mutex_);
    auto& variant = variants_[size_t(shape)];
    if (!variant) variant.emplace(make(shape));
    if (!*variant) return Error{variant->error()};
    return &(*variant)->code;
  }

  size_t code_bytes() const override { return code_bytes_; }

 private:
  Result<Variant> make(exec::Shape shape) {
    // What the vector path is tested against is always compiled.
    std::optional<CacheKey> key;
    if (options_.path == Path::vector && !cache_folder().empty())
      key = cache_key(record_, values_, options_.linked, options_.path, shape);
    if (key && !dumps()) {
      if (auto cached = load_cached(*key))
        if (auto variant = load(*cached)) return variant;
    }
    auto compiled = compile(record_, values_, options_.linked, options_.path, shape);
    if (!compiled) return compiled.take_error();
    if (key) store_cached(*key, *compiled);
    return load(*compiled);
  }

  Result<Variant> load(CompiledObject& compiled) {
    auto object = load_object(compiled.bytes);
    if (!object) return Error{record_.name + ": " + object.error()};
    void* entry = (*object)->find(compiled.symbol);
    if (!entry) return Error{record_.name + ": the compiled kernel has no entry"};
    Variant variant;
    variant.code = compiled.code;
    if (options_.path != Path::vector)
      variant.code.thread = reinterpret_cast<mfa_thread_entry>(entry);
    else
      variant.code.entry = reinterpret_cast<mfa_simdgroup_entry>(entry);
    variant.object = std::move(*object);
    code_bytes_ += variant.object->bytes();
    // The first variant is made before anybody else sees the pipeline; all reflect the same.
    if (reflection_.name.empty()) reflection_ = std::move(compiled.reflection);
    return variant;
  }

  std::shared_ptr<const air::Metallib> library_;
  const air::FunctionRecord& record_;  // inside library_
  air::ConstantValues values_;
  Options options_;
  air::Reflection reflection_;
  std::atomic<size_t> code_bytes_{0};
  std::mutex mutex_;                            // guards variants_
  std::optional<Result<Variant>> variants_[3];  // by exec::Shape
};

}  // namespace

Result<std::shared_ptr<Pipeline>> make_pipeline(std::shared_ptr<const air::Metallib> library,
                                                const std::string& function,
                                                const air::ConstantValues& values,
                                                const Options& options) {
  const air::FunctionRecord* record = library->find(function);
  if (!record) return Error{"the library has no function " + function};
  if (record->type != air::FunctionType::kernel)
    return Error{"the function " + function + " is not a compute kernel"};
  auto pipeline = std::make_shared<CompiledPipeline>(library, *record, values, options);
  auto code = pipeline->code(options.first);
  if (!code) return code.take_error();
  return std::shared_ptr<Pipeline>(std::move(pipeline));
}

}  // namespace mfa::jit
