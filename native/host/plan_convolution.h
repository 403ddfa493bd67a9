// SPDX-License-Identifier: MIT
// What the algorithms of a convolution share: its kernel's constants, and when Winograd is used.
#pragma once

#include "host/plan.h"

namespace mfa::host {

/// The constants that every variant of the kernel has.
KernelDescriptor convolution_kernel(const Convolution& problem, uint32_t variant);

/// Why F(3x3, 3x3) cannot compute this.
Status winograd_applies(const Convolution& problem);
/// It applies and is expected to be the fastest.
bool winograd_pays(const Convolution& problem);
Outcome<Plan> plan_winograd(const Device& device, const Convolution& problem);

}  // namespace mfa::host
