// SPDX-License-Identifier: MIT
// The metallib of metal/*.metal inside this library's read-only data (embedded.S).
#pragma once

extern "C" {
extern const unsigned char mfa_embedded_metallib[] __attribute__((visibility("hidden")));
extern const unsigned char mfa_embedded_metallib_end[] __attribute__((visibility("hidden")));
}
