// SPDX-License-Identifier: MIT
// A function record, constant values and a thread shape -> an object file and what runs it.
#pragma once

#include "air/specialize.h"
#include "exec/code.h"
#include "jit/object.h"
#include "jit/pipeline.h"

namespace mfa::jit {

/// All that a pipeline variant consists of, independent of addresses: fit to be kept on disk.
struct CompiledObject {
  ObjectBytes bytes;
  std::string symbol;  // the entry, of type mfa_simdgroup_entry or mfa_thread_entry
  exec::Code code;     // all but the entry
  air::Reflection reflection;
};

/// Thread-safe. Shape does not matter on the reference path.
Result<CompiledObject> compile(const air::FunctionRecord& record, const air::ConstantValues& values,
                               const air::LinkedFunctions& linked, Path path, exec::Shape shape);

}  // namespace mfa::jit
