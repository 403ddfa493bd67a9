// SPDX-License-Identifier: MIT
// Tokens -> a whole attention layer -> tokens, in one encoder: projections with biases, causal
// attention with two heads to each head of keys, the output projection.
//
//   swiftc AttentionLayer.swift Sample.swift -I <prefix>/include -L <prefix>/lib -o attention_layer
import MFA

@main
struct AttentionLayer {
  static let batch = 2, tokens = 48, heads = 4, kvHeads = 2, d = 32
  static let rows = batch * tokens, width = heads * d, kvWidth = kvHeads * d

  static func main() {
    let sample = Sample()
    let x = sample.floats(rows * width, seed: 1, scale: 1)
    let y = sample.tensor(bytes: rows * width * 4)
    // Weights are stored N x K. In this order: queries, keys, values, output.
    let widths = [width, kvWidth, kvWidth, width]
    let w = widths.enumerated().map {
      sample.halves($0.element * width, seed: 2 + $0.offset, scale: 0.25)
    }
    let b = widths.enumerated().map {
      sample.halves($0.element, seed: 6 + $0.offset, scale: 0.1)
    }
    let half = (0..<2).map { _ in sample.tensor(bytes: rows * width * 2) }
    let qkvo = widths.map { sample.tensor(bytes: rows * $0 * 2) }

    let same = sample.compare(y, count: rows * width) { commands in
      cast(commands, x, MFA_TYPE_FLOAT, half[0], MFA_TYPE_HALF, count: rows * width)
      for i in 0..<3 { project(commands, half[0], w[i], b[i], widths[i], qkvo[i]) }
      attend(commands, qkvo[0], qkvo[1], qkvo[2], qkvo[3])
      project(commands, qkvo[3], w[3], b[3], width, half[1])
      cast(commands, half[1], MFA_TYPE_HALF, y, MFA_TYPE_FLOAT, count: rows * width)
    }
    precondition(same)
  }

  /// result = source * weights^T + bias
  static func project(
    _ commands: mfa_commands?, _ source: mfa_operand, _ weights: mfa_operand, _ bias: mfa_operand,
    _ columns: Int, _ result: mfa_operand
  ) {
    var desc = mfa_gemm_desc()
    desc.size = MemoryLayout<mfa_gemm_desc>.size
    (desc.M, desc.N, desc.K) = (UInt64(rows), UInt64(columns), UInt64(width))
    desc.trans_b = true
    var operands = mfa_gemm_operands()
    operands.size = MemoryLayout<mfa_gemm_operands>.size
    (operands.a, operands.b, operands.c, operands.bias) = (source, weights, result, bias)
    check(mfa_hgemm(commands, &desc, &operands))
  }

  static func attend(
    _ commands: mfa_commands?, _ q: mfa_operand, _ k: mfa_operand, _ v: mfa_operand,
    _ o: mfa_operand
  ) {
    var desc = mfa_attention_desc()
    desc.size = MemoryLayout<mfa_attention_desc>.size
    (desc.B, desc.H, desc.Hkv) = (UInt64(batch), UInt64(heads), UInt64(kvHeads))
    (desc.R, desc.C, desc.D) = (UInt64(tokens), UInt64(tokens), UInt64(d))
    desc.layout = MFA_LAYOUT_BNHD  // as the projections leave them: nothing is moved
    desc.causal = MFA_CAUSAL_LOWER_RIGHT
    var operands = mfa_attention_operands()
    operands.size = MemoryLayout<mfa_attention_operands>.size
    (operands.q, operands.k, operands.v, operands.o) = (q, k, v, o)
    check(mfa_attention(commands, &desc, &operands))
  }
}
