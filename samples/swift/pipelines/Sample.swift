// SPDX-License-Identifier: MIT
// A pipeline of operations -> run as one command buffer and as one for each operation: results
// compared bit for bit, both timed. What the pipelines of this folder share.
import MFA

/// Every call of libmfa says whether it worked; the thread's last error says what was wrong.
func check(_ status: mfa_status) {
  guard status == MFA_OK else {
    fatalError(String(cString: mfa_status_name(status)) + ": " + String(cString: mfa_last_error()))
  }
}

/// A device, and the buffers that were made on it.
final class Sample {
  private(set) var device: mfa_device!
  private var buffers: [mfa_buffer] = []

  init(_ name: String = "default") {
    check(mfa_device_open(name, &device))
  }

  deinit {
    for buffer in buffers { check(mfa_buffer_release(buffer)) }
    check(mfa_device_release(device))
  }

  /// A new buffer as an operand that begins where the buffer does.
  func tensor(bytes: Int) -> mfa_operand {
    var buffer: mfa_buffer?
    check(mfa_buffer_new(device, bytes, MFA_STORAGE_SHARED, &buffer))
    buffers.append(buffer!)
    return mfa_operand(buffer: buffer, offset: 0)
  }

  /// Numbers between -scale and scale, the same in every language.
  func floats(_ count: Int, seed: Int, scale: Float) -> mfa_operand {
    let operand = tensor(bytes: count * 4)
    let values = memory(operand, as: Float.self, count: count)
    for i in 0..<count {
      values[i] = (Float((i * 7919 + seed * 104729) % 1009) / 504 - 1) * scale
    }
    return operand
  }

  /// The same numbers in FP16.
  func halves(_ count: Int, seed: Int, scale: Float) -> mfa_operand {
    let operand = tensor(bytes: count * 2)
    let values = floats(count, seed: seed, scale: scale)
    cast(nil, values, MFA_TYPE_FLOAT, operand, MFA_TYPE_HALF, count: count)
    return operand
  }

  func memory<T>(
    _ operand: mfa_operand, as type: T.Type, count: Int
  ) -> UnsafeMutableBufferPointer<T> {
    var contents: UnsafeMutableRawPointer?
    check(mfa_buffer_contents(operand.buffer, &contents))
    return .init(start: contents!.bindMemory(to: type, capacity: count), count: count)
  }

  /// Runs the pipeline in one command buffer.
  @discardableResult
  func runBatched(_ encode: (mfa_commands?) -> Void) -> mfa_commands_info {
    var commands: mfa_commands?
    check(mfa_commands_begin(device, &commands))
    encode(commands)
    check(mfa_commands_run(commands))  // commits and waits
    var info = mfa_commands_info()
    info.size = MemoryLayout<mfa_commands_info>.size
    check(mfa_commands_get_info(commands, &info))
    check(mfa_commands_release(commands))
    return info
  }

  /// Prints the comparison of the result's floats, and the times. False if they differ. `encode`
  /// puts one operation after another; without commands each runs in a command buffer of its own.
  func compare(_ result: mfa_operand, count: Int, encode: (mfa_commands?) -> Void) -> Bool {
    let bits = memory(result, as: UInt32.self, count: count)
    let info = runBatched(encode)
    let batched = Array(bits)
    bits.update(repeating: .max)
    encode(nil)
    let same = batched.elementsEqual(bits)
    let sum = String(bits.reduce(0, &+), radix: 16)
    print("\(info.operations) operations in \(info.command_buffers) command buffer")
    print("result " + String(repeating: "0", count: 8 - sum.count) + sum + ", unbatched",
          same ? "the same" : "DIFFERENT")

    let clock = ContinuousClock()
    var best = [Duration.seconds(1e9), Duration.seconds(1e9)]
    for _ in 0..<15 {
      for way in 0..<2 {
        let taken = clock.measure {
          for _ in 0..<10 {
            if way == 0 { runBatched(encode) } else { encode(nil) }
          }
        }
        best[way] = min(best[way], taken / 10)
      }
    }
    print("batched \(best[0]), unbatched \(best[1]): \(best[1] / best[0]) times as fast")
    return same && info.command_buffers == 1
  }
}

/// Elements of one type as those of another.
func cast(
  _ commands: mfa_commands?, _ source: mfa_operand, _ sourceType: mfa_type,
  _ destination: mfa_operand, _ destinationType: mfa_type, count: Int
) {
  var desc = mfa_cast_desc()
  desc.size = MemoryLayout<mfa_cast_desc>.size
  desc.count = UInt64(count)
  desc.source_type = sourceType
  desc.destination_type = destinationType
  var operands = mfa_cast_operands()
  operands.size = MemoryLayout<mfa_cast_operands>.size
  operands.source = source
  operands.destination = destination
  check(mfa_cast(commands, &desc, &operands))
}
