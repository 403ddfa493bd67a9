// SPDX-License-Identifier: MIT
// Structs of callers compiled against any version of mfa.h -> the struct as it is now, and back.
#pragma once

#include <algorithm>
#include <cstring>

#include "api/error.h"

namespace mfa::api {

/// Sizes beyond this are taken for an uninitialised struct.
constexpr size_t largest_struct = 4096;

/// `smallest`: the struct's size in the first version that had it.
template <class T>
Status check_size(size_t size, size_t smallest, const char* name, const char* type) {
  if (size >= smallest && size <= largest_struct) return {};
  return failure(Code::invalid_argument, "%s->size is %zu, expected sizeof(%s) = %zu", name, size,
                 type, sizeof(T));
}

/// Copies a struct in; fields the caller does not know become 0. What this version does not know
/// must be 0.
template <class T>
Status read_struct(const T* in, T& out, size_t smallest, const char* name, const char* type) {
  MFA_TRY(require(in, name));
  MFA_TRY(check_size<T>(in->size, smallest, name, type));
  const size_t known = std::min(in->size, sizeof out);
  memcpy(static_cast<void*>(&out), in, known);
  if (known < sizeof out) memset(reinterpret_cast<char*>(&out) + known, 0, sizeof out - known);
  const char* bytes = reinterpret_cast<const char*>(in);
  for (size_t i = sizeof out; i < in->size; ++i)
    if (bytes[i] != 0)
      return failure(Code::unsupported, "%s has fields that this version (%s) does not know", name,
                     mfa_version());
  return {};
}

/// Copies a struct out, as much of it as the caller has room for.
template <class T>
Status write_struct(T* out, T filled, size_t smallest, const char* name, const char* type) {
  MFA_TRY(require(out, name));
  MFA_TRY(check_size<T>(out->size, smallest, name, type));
  filled.size = out->size;
  memcpy(static_cast<void*>(out), &filled, std::min(out->size, sizeof filled));
  return {};
}

#define MFA_READ(in, out, type) read_struct(in, out, sizeof(type), #in, #type)
#define MFA_WRITE(out, filled, type) write_struct(out, filled, sizeof(type), #out, #type)

}  // namespace mfa::api
