// SPDX-License-Identifier: MIT
// C = A * B through the module map of libmfa -> prints what was computed.
//
//   swiftc main.swift -I <prefix>/include -L <prefix>/lib -o product
import MFA

let n = 64

func check(_ status: mfa_status) {
  guard status == MFA_OK else {
    fatalError(String(cString: mfa_status_name(status)) + ": " + String(cString: mfa_last_error()))
  }
}

var device: mfa_device?
check(mfa_device_open("default", &device))

func matrix() -> (mfa_buffer?, UnsafeMutablePointer<Float>) {
  var buffer: mfa_buffer?
  var contents: UnsafeMutableRawPointer?
  check(mfa_buffer_new(device, n * n * MemoryLayout<Float>.stride, MFA_STORAGE_SHARED, &buffer))
  check(mfa_buffer_contents(buffer, &contents))
  return (buffer, contents!.bindMemory(to: Float.self, capacity: n * n))
}

let (a, aValues) = matrix()
let (b, bValues) = matrix()
let (c, cValues) = matrix()
for i in 0..<n {
  for j in 0..<n { aValues[i * n + j] = Float((i + 2 * j) % 7) }
  bValues[i * n + i] = 2
}

var product = mfa_gemm_desc()
product.size = MemoryLayout<mfa_gemm_desc>.size
(product.M, product.N, product.K) = (UInt64(n), UInt64(n), UInt64(n))
var operands = mfa_gemm_operands()
operands.size = MemoryLayout<mfa_gemm_operands>.size
(operands.a.buffer, operands.b.buffer, operands.c.buffer) = (a, b, c)
check(mfa_sgemm(nil, &product, &operands))

let wrong = (0..<n * n).filter { cValues[$0] != 2 * aValues[$0] }.count
print("\(wrong) of \(n * n) elements wrong")
for buffer in [a, b, c] { check(mfa_buffer_release(buffer)) }
check(mfa_device_release(device))
precondition(wrong == 0)
