// SPDX-License-Identifier: MIT
// Accesses to private arrays with an index known at run time only -> accesses that stay inside.
#pragma once

namespace llvm {
class Function;
}

namespace mfa::jit {

/// Stores outside are dropped, loads outside read something. Kernels meant for GPUs index outside
/// in threads that have nothing to do, which is harmless there; here lies the machine's stack.
void bound_private_accesses(llvm::Function& thread);

/// Loads and stores of vectors expect no more than their elements' alignment: callers bind buffers
/// at any offset their elements allow.
void relax_vector_alignment(llvm::Function& thread);

}  // namespace mfa::jit
