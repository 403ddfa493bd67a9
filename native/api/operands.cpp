// SPDX-License-Identifier: MIT
// Operands of an operation -> buffers that are large enough, on one device, and do not overlap.
#include "api/operands.h"

#include <cinttypes>

#include "base/trace.h"

namespace mfa::api {

Status Operands::find(mfa_buffer handle, const char* name, std::shared_ptr<host::Buffer>& buffer) {
  if (recent_) return recent_->use(handle, name, buffer);
  auto found = api::use(handle, name, ".buffer");
  if (!found.ok()) return found.status();
  buffer = std::move(*found);
  return {};
}

Status Operands::take(const char* name, const mfa_operand& given, Footprint footprint,
                      uint64_t element_size, Use use, host::Operand& operand) {
  uint64_t needed = footprint.bytes();
  if (!given.buffer) {
    if (needed == 0) return {};
    return failure(Code::invalid_argument, "%s.buffer is NULL, %" PRIu64 " bytes are needed", name,
                   needed);
  }
  std::shared_ptr<host::Buffer> found;
  MFA_TRY(find(given.buffer, name, found));
  const host::Buffer* buffer = found.get();
  if (device_ && buffer->device != *device_)
    return failure(Code::invalid_argument,
                   "%s.buffer belongs to device \"%s\", the operands before it to \"%s\"", name,
                   buffer->device->name.c_str(), (*device_)->name.c_str());
  const bool first = !device_;
  if (first) device_ = &buffer->device;
  if (given.offset > buffer->length || needed > buffer->length - given.offset)
    return failure(Code::out_of_bounds,
                   "%s needs %" PRIu64 " bytes from offset %" PRIu64 ", its buffer has %" PRIu64
                   " bytes",
                   name, needed, given.offset, buffer->length);
  if (needed != 0 && (buffer->address + given.offset) % element_size != 0)
    return failure(Code::invalid_argument,
                   "%s begins at offset %" PRIu64
                   ", which is not aligned to its elements of %" PRIu64 " bytes",
                   name, given.offset, element_size);
  if (needed != 0 && use == Use::write && buffer->read_only)
    return failure(Code::read_only, "%s lies in a buffer that was wrapped as read-only", name);
  if (needed == 0) {
    if (first) without_elements_ = std::move(found);
    return {};
  }
  footprint.place(buffer->address + given.offset);
  operand.buffer = std::move(found);
  operand.offset = given.offset;
  if (count_ == most) return failure(Code::internal, "more than %zu operands", most);
  new (memory_ + count_++ * sizeof(Taken)) Taken{name, footprint, use};
  return {};
}

Status Operands::take(const char* name, const mfa_operand& given, const Extent& extent,
                      const host::Strides& strides, uint64_t element_size, Use use,
                      host::Operand& operand) {
  Footprint where(element_size);
  bool fits = where.add(extent.columns, strides.column) && where.add(extent.rows, strides.row) &&
              where.add(extent.heads, strides.head) && where.add(extent.batches, strides.batch);
  if (!fits) return failure(Code::invalid_argument, "%s is larger than any memory", name);
  return take(name, given, where, element_size, use, operand);
}

Status unexpected(const char* name, const mfa_operand& operand, const char* why) {
  if (!operand.buffer) return {};
  return failure(Code::invalid_argument, "%s is given but %s", name, why);
}

Status Operands::check_overlap() const {
  for (const Taken& output : *this) {
    if (output.use != Use::write) continue;
    if (!output.footprint.distinct())
      return failure(Code::overlap, "the strides of %s make its own elements overlap", output.name);
    for (const Taken& other : *this)
      if (&other != &output && output.footprint.meets(other.footprint))
        return failure(Code::overlap, "%s overlaps %s", output.name, other.name);
  }
  return {};
}

void Operands::announce(host::Commands& commands) const {
  if (!commands.concurrent()) return;
  std::vector<host::Use> uses;
  for (const Taken& taken : *this) {
    uint64_t begin = taken.footprint.address();
    uses.push_back({begin, begin + taken.footprint.bytes(), taken.use == Use::write});
  }
  commands.will_use(uses.data(), uses.size());
}

Target::Target(const char* function) : function_(function) {
  if (trace::on()) start_ = trace::now();
}

Target::~Target() {
  // What nothing was encoded with may be gone as soon as its owner lets go.
  if (given_ && !encoded_) given_->recent.clear();
  if (!trace::on()) return;
  bool named = commands_ && !commands_->operation_label().empty();
  trace::slice("encode", named ? commands_->operation_label() : function_, start_, trace::now(),
               trace::Arguments().add("function", function_));
}

Status Target::open(mfa_commands handle) {
  if (!handle) return {};
  auto commands = api::use(handle, "commands");
  if (!commands.ok()) return commands.status();
  given_ = std::move(*commands);
  commands_ = given_->host.get();
  if (!commands_->operation_label().empty()) about(commands_->operation_label());
  given_->recent.begin();
  auto encoder = commands_->encoder();
  return encoder.ok() ? Status() : encoder.status();
}

Outcome<host::Commands*> Target::on(const std::shared_ptr<host::Device>& device) {
  if (commands_) {
    if (commands_->device() != device)
      return failure(Code::invalid_argument, "commands belong to device \"%s\", the rest to \"%s\"",
                     commands_->device()->name.c_str(), device->name.c_str());
    return commands_;
  }
  auto begun = host::Commands::begin(device);
  if (!begun.ok()) return begun.status();
  own_ = std::move(*begun);
  return commands_ = own_.get();
}

Status Target::close() {
  if (!own_) return {};
  return commands_->run();
}

bool is_float_type(uint32_t type) {
  return type == MFA_TYPE_FLOAT || type == MFA_TYPE_HALF || type == MFA_TYPE_BFLOAT;
}

Status check_float_type(uint32_t type, const char* name) {
  if (is_float_type(type)) return {};
  return failure(Code::invalid_type, "%s is %s, expected half, bfloat or float", name,
                 host::type_name(type).c_str());
}

uint64_t element_size(uint32_t type) { return type == MFA_TYPE_FLOAT ? 4 : 2; }

}  // namespace mfa::api
