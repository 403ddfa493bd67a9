// SPDX-License-Identifier: MIT
// MTLFunctionConstantValues as the loader takes them.
#pragma once

#import <Metal/Metal.h>

#include <string>

#include "air/specialize.h"
#include "base/result.h"

/// Empty for nil.
mfa::air::ConstantValues MFAConstantValues(MTLFunctionConstantValues* values);

/// Fails if a required constant has no value or a value has another type than its constant; the
/// message names the constant. `values` may hold more than the function uses.
mfa::Result<void> MFACheckConstants(const mfa::air::FunctionRecord& function,
                                    const mfa::air::ConstantValues& values);
