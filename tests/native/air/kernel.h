// SPDX-License-Identifier: MIT
// LLVM IR text -> a metallib with one kernel, and its canonical form as callable scalar code.
#pragma once

#include <llvm/ExecutionEngine/Orc/LLJIT.h>

#include <memory>
#include <string>
#include <vector>

#include "air/specialize.h"

struct Kernel {
  std::shared_ptr<const mfa::air::Metallib> library;
  std::string error;
  mfa::air::Reflection reflection;
  std::string text;  // the canonical module
  std::unique_ptr<llvm::orc::LLJIT> jit;
  void* address = nullptr;  // the kernel as a plain function of its parameters
};

/// The bytes of a metallib with a kernel `k` and a visible function for each further text, named
/// `f0`, `f1`, ...; texts are everything above the boilerplate of Apple's compiler.
std::vector<uint8_t> metallib_of(const std::string& body,
                                 const std::vector<std::string>& visible = {});
std::shared_ptr<const mfa::air::Metallib> library_of(const std::string& body,
                                                     const std::vector<std::string>& visible = {});

/// The text of a kernel k(device void* %out, device const void* %in) with this body.
std::string two_buffers(const std::string& declarations, const std::string& body);

enum class Bfloat { native, plain };  // whether the CPU's own bfloat rounding may be used

/// Specialises kernel `k` and compiles it. On refusal only `error` is set.
Kernel compile(const std::string& body, const mfa::air::ConstantValues& values = {},
               Bfloat bfloat = Bfloat::native);
