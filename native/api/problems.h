// SPDX-License-Identifier: MIT
// Descriptors of mfa.h -> problems of the host: every default filled in, every number checked.
#pragma once

#include "api/error.h"
#include "host/problem.h"

namespace mfa::api {

Outcome<host::Gemm> problem_of(const mfa_gemm_desc* desc, uint32_t type, bool bias);
Outcome<host::Qgemm> problem_of(const mfa_qgemm_desc* desc, bool bias);
Outcome<host::Attention> problem_of(const mfa_attention_desc* desc, bool lse);
/// Which of dq, dk and dv are wanted is left to the caller.
Outcome<host::AttentionBackward> problem_of(const mfa_attention_backward_desc* desc, bool dbias);
Outcome<host::Cast> problem_of(const mfa_cast_desc* desc);
Outcome<host::Convolution> problem_of(const mfa_convolution_desc* desc, bool bias);

}  // namespace mfa::api
