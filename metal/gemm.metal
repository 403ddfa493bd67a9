// SPDX-License-Identifier: MIT
// The GEMM kernels, by BLAS name: one instantiation per storage type.
#include "gemm.h"

template [[host_name("hgemm")]] [[kernel]] decltype(gemm<half>) gemm<half>;
template [[host_name("sgemm")]] [[kernel]] decltype(gemm<float>) gemm<float>;
template [[host_name("bgemm")]] [[kernel]] decltype(gemm<bfloat>) gemm<bfloat>;
