// SPDX-License-Identifier: MIT
// What the loader found out about a kernel's arguments -> MTLComputePipelineReflection.
#pragma once

#import <Metal/Metal.h>

#include "air/reflection.h"

/// Autoreleased.
MTLComputePipelineReflection* MFAReflection(const mfa::air::Reflection& reflection);
