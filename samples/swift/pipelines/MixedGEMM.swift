// SPDX-License-Identifier: MIT
// FP32 rows -> a perceptron of three layers that multiplies in FP16 -> FP32 rows, in one command
// buffer: casts, matrix products with activations, a cast.
//
//   swiftc MixedGEMM.swift Sample.swift -I <prefix>/include -L <prefix>/lib -o mixed_gemm
import MFA

@main
struct MixedGEMM {
  static let rows = 32, width = 128, layers = 3

  static func main() {
    let sample = Sample()
    let x = sample.floats(rows * width, seed: 1, scale: 1)
    let w = (0..<layers).map { sample.floats(width * width, seed: 2 + $0, scale: 0.25) }
    let y = sample.tensor(bytes: rows * width * 4)
    let wHalf = w.map { _ in sample.tensor(bytes: width * width * 2) }
    let half = (0..<4).map { _ in sample.tensor(bytes: rows * width * 2) }

    let same = sample.compare(y, count: rows * width) { commands in
      cast(commands, x, MFA_TYPE_FLOAT, half[0], MFA_TYPE_HALF, count: rows * width)
      for (given, made) in zip(w, wHalf) {
        cast(commands, given, MFA_TYPE_FLOAT, made, MFA_TYPE_HALF, count: width * width)
      }
      layer(commands, half[0], wHalf[0], half[1], MFA_ACTIVATION_GELU)
      layer(commands, half[1], wHalf[1], half[2], MFA_ACTIVATION_GELU)
      layer(commands, half[2], wHalf[2], half[3], MFA_ACTIVATION_NONE)
      cast(commands, half[3], MFA_TYPE_HALF, y, MFA_TYPE_FLOAT, count: rows * width)
    }
    precondition(same)
  }

  /// result = activation(source * weights^T)
  static func layer(
    _ commands: mfa_commands?, _ source: mfa_operand, _ weights: mfa_operand,
    _ result: mfa_operand, _ activation: mfa_activation
  ) {
    var desc = mfa_gemm_desc()
    desc.size = MemoryLayout<mfa_gemm_desc>.size
    (desc.M, desc.N, desc.K) = (UInt64(rows), UInt64(width), UInt64(width))
    desc.trans_b = true
    desc.activation = activation
    var operands = mfa_gemm_operands()
    operands.size = MemoryLayout<mfa_gemm_operands>.size
    (operands.a, operands.b, operands.c) = (source, weights, result)
    check(mfa_hgemm(commands, &desc, &operands))
  }
}
