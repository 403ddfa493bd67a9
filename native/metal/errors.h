// SPDX-License-Identifier: MIT
// Messages -> NSError.
#pragma once

#import <Metal/Metal.h>

#include <string>

/// Not nil; UTF-8 that is broken becomes Latin-1, so that no message is ever lost.
NSString* MFAString(const std::string& text);
std::string MFAText(NSString* string);

NSError* MFALibraryFailure(MTLLibraryError code, const std::string& message);
NSError* MFACommandBufferFailure(MTLCommandBufferError code, const std::string& message);

/// Stores the error where the caller wants it. Returns nil, to end a method with.
id MFARefuse(NSError** where, NSError* error);
