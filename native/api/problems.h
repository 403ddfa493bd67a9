// SPDX-License-Identifier: MIT
// Descriptors of mfa.h -> problems of the host: every default filled in, every number checked.
#pragma once

#include "api/operands.h"
#include "host/problem.h"

namespace mfa::api {

Outcome<host::Gemm> problem_of(const mfa_gemm_desc* desc, uint32_t type, bool bias);
Outcome<host::Qgemm> problem_of(const mfa_qgemm_desc* desc, bool bias);
Outcome<host::Attention> problem_of(const mfa_attention_desc* desc, bool lse);
/// Which of dq, dk and dv are wanted is left to the caller.
Outcome<host::AttentionBackward> problem_of(const mfa_attention_backward_desc* desc, bool dbias);
Outcome<host::Decode> problem_of(const mfa_decode_desc* desc, bool lse);
Outcome<host::Merge> problem_of(const mfa_merge_desc* desc, bool lse);
Outcome<host::Cast> problem_of(const mfa_cast_desc* desc);
Outcome<host::Convolution> problem_of(const mfa_convolution_desc* desc, bool bias);

/// A stride: 0 takes `packed`, MFA_BROADCAST is 0 for inputs.
Status stride(const char* name, int64_t given, uint64_t count, uint64_t packed, Use use,
              uint64_t& result);
/// The strides of a tensor of attention, `name` in its descriptor.
Status tensor(const char* name, const mfa_tensor_strides& given, mfa_layout layout, uint64_t B,
              uint64_t H, uint64_t rows, uint64_t columns, Use use, host::Strides& result);

}  // namespace mfa::api
