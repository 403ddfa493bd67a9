// SPDX-License-Identifier: MIT
// Operands of an operation -> buffers that are large enough, on one device, and do not overlap.
#pragma once

#include <type_traits>

#include "api/footprint.h"
#include "api/handles.h"
#include "host/problem.h"

namespace mfa::api {

enum class Use { read, write };

/// Axes of an operand of attention.
struct Extent {
  uint64_t batches, heads, rows, columns;
};

/// The operands of one call, checked one after the other.
class Operands {
 public:
  /// `recent`: of the commands they are for, or null.
  explicit Operands(RecentBuffers* recent) : recent_(recent) {}
  /// `name` is that of the header, e.g. "c". `footprint` gets its address. An operand without
  /// elements may be absent and stays so.
  Status take(const char* name, const mfa_operand& given, Footprint footprint,
              uint64_t element_size, Use use, host::Operand& operand);
  /// The same for an operand of attention, whose axes have these strides.
  Status take(const char* name, const mfa_operand& given, const Extent& extent,
              const host::Strides& strides, uint64_t element_size, Use use, host::Operand& operand);
  /// Call when all are taken: outputs must be distinct and away from everything else.
  Status check_overlap() const;
  /// Tells the commands which memory the operation that is to be encoded reads and writes.
  void announce(host::Commands& commands) const;
  /// The device all of them belong to; null if there was none.
  const std::shared_ptr<host::Device>& device() const { return device_ ? *device_ : none_; }

 private:
  struct Taken {
    const char* name;
    Footprint footprint;
    Use use;
  };
  Status find(mfa_buffer handle, const char* name, std::shared_ptr<host::Buffer>& buffer);
  const Taken* begin() const { return reinterpret_cast<const Taken*>(memory_); }
  const Taken* end() const { return begin() + count_; }

  // Attention's gradients have the most operands; no vector, which would allocate for each call.
  static constexpr size_t most = 20;
  static_assert(std::is_trivially_destructible_v<Taken>);
  alignas(Taken) unsigned char memory_[most * sizeof(Taken)];
  size_t count_ = 0;
  RecentBuffers* const recent_;
  // Of the first buffer, which its operand keeps, or `without_elements_`.
  const std::shared_ptr<host::Device>* device_ = nullptr;
  std::shared_ptr<host::Device> none_;
  std::shared_ptr<host::Buffer> without_elements_;
};

/// Fails if the operand is given; `why` says what of the descriptor excludes it.
Status unexpected(const char* name, const mfa_operand& operand, const char* why);

/// Where an operation is encoded: the caller's commands, or some that end with the call.
class Target {
 public:
  /// `function`: of mfa.h, for a trace.
  explicit Target(const char* function);
  ~Target();
  Target(const Target&) = delete;
  Target& operator=(const Target&) = delete;

  /// Before anything else is looked at: commands that cannot take operations are refused first.
  Status open(mfa_commands commands);
  /// Of the caller's commands, if there are some that will let go of them at their commit.
  RecentBuffers* recent() { return given_ && !commands_->wrapped() ? &given_->recent : nullptr; }
  /// The commands to encode into; `device` is that of the operands.
  Outcome<host::Commands*> on(const std::shared_ptr<host::Device>& device);
  /// Commits and waits if the commands were made by `on`.
  Status close();
  /// All of these: once every operand is checked, `encode` puts the operation into the commands.
  template <class Encode>
  Status run(const Operands& all, const Encode& encode) {
    MFA_TRY(all.check_overlap());
    if (!all.device()) return {};  // nothing has elements
    auto commands = on(all.device());
    if (!commands.ok()) return commands.status();
    all.announce(**commands);
    MFA_TRY(encode(**commands));
    encoded_ = true;
    return close();
  }

 private:
  const char* const function_;
  double start_ = 0;  // of a trace
  std::shared_ptr<Commands> given_;
  std::shared_ptr<host::Commands> own_;
  host::Commands* commands_ = nullptr;  // one of these
  bool encoded_ = false;
};

/// `value` or, if that is 0, `fallback`.
inline uint64_t or_default(uint64_t value, uint64_t fallback) { return value ? value : fallback; }

bool is_float_type(uint32_t type);
Status check_float_type(uint32_t type, const char* name);
uint64_t element_size(uint32_t type);

}  // namespace mfa::api
