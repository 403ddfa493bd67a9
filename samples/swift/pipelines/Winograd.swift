// SPDX-License-Identifier: MIT
// An FP32 image -> four 3x3 convolutions by Winograd with weights of 6 bits -> FP32 features, in
// one command buffer. Weights are decoded where they are transformed and results written to their
// place: neither dense weights nor a transformed image ever exist.
//
//   swiftc Winograd.swift Sample.swift -I <prefix>/include -L <prefix>/lib -o winograd
import MFA

@main
struct Winograd {
  static let side = 12, channels = 32, layers = 4, bits = 6
  static let pixels = side * side, weights = channels * 9 * channels

  struct Layer {
    let numbers, palette, bias: mfa_operand
  }

  static func main() {
    let sample = Sample()
    let x = sample.floats(pixels * channels, seed: 1, scale: 1)
    let y = sample.tensor(bytes: pixels * channels * 4)
    let half = (0..<3).map { _ in sample.tensor(bytes: pixels * channels * 2) }
    let network = (0..<layers).map { i in
      Layer(
        numbers: pack(sample, seed: 2 + i),
        palette: sample.halves(1 << bits, seed: 6 + i, scale: 0.125),
        bias: sample.halves(channels, seed: 10 + i, scale: 0.1))
    }

    let same = sample.compare(y, count: pixels * channels) { commands in
      cast(commands, x, MFA_TYPE_FLOAT, half[0], MFA_TYPE_HALF, count: pixels * channels)
      convolve(commands, network[0], half[0], half[1])
      convolve(commands, network[1], half[1], half[2])
      convolve(commands, network[2], half[2], half[1])
      convolve(commands, network[3], half[1], half[2])
      cast(commands, half[2], MFA_TYPE_HALF, y, MFA_TYPE_FLOAT, count: pixels * channels)
    }
    precondition(same)
  }

  /// Number i is `bits` bits long and begins with bit i * bits, the lowest bits of a byte first.
  static func pack(_ sample: Sample, seed: Int) -> mfa_operand {
    let count = (weights * bits + 7) / 8
    let packed = sample.tensor(bytes: count)
    let bytes = sample.memory(packed, as: UInt8.self, count: count)
    for i in 0..<weights {
      let number = (i * 7919 + seed * 104729) % 1009 % (1 << bits)
      let (byte, bit) = (i * bits).quotientAndRemainder(dividingBy: 8)
      bytes[byte] |= UInt8(truncatingIfNeeded: number << bit)
      if bit + bits > 8 { bytes[byte + 1] |= UInt8(number >> (8 - bit)) }
    }
    return packed
  }

  /// result = relu(convolution(data) + bias), as large as `data`
  static func convolve(
    _ commands: mfa_commands?, _ layer: Layer, _ data: mfa_operand, _ result: mfa_operand
  ) {
    var desc = mfa_convolution_desc()
    desc.size = MemoryLayout<mfa_convolution_desc>.size
    (desc.N, desc.C, desc.K) = (1, UInt64(channels), UInt64(channels))
    desc.dimensions = 2
    desc.input = (UInt64(side), UInt64(side), 0)
    desc.window = (3, 3, 0)
    desc.padding_mode = MFA_PADDING_SAME
    desc.algorithm = MFA_ALGORITHM_WINOGRAD
    desc.activation = MFA_ACTIVATION_RELU
    desc.weights = MFA_WEIGHTS_PALETTIZED
    desc.palette_bits = UInt32(bits)
    var operands = mfa_convolution_operands()
    operands.size = MemoryLayout<mfa_convolution_operands>.size
    (operands.data, operands.weights, operands.palette) = (data, layer.numbers, layer.palette)
    (operands.bias, operands.result) = (layer.bias, result)
    check(mfa_convolution(commands, &desc, &operands))
  }
}
