// SPDX-License-Identifier: MIT
// What happened when -> the file that MFA_TRACE names, in Chrome's trace format.
//
// Events are kept in memory and written when the process ends, under a temporary name first. A
// forked child begins anew and writes to a name of its own: that with .PID behind it.
#pragma once

#include <cstdint>
#include <string>

namespace mfa::trace {

extern const bool enabled;

/// Is anybody interested? Everything below does nothing otherwise.
inline bool on() { return enabled; }
/// Why nothing can be written, "" if something can.
const std::string& error();

/// Seconds of the clock that Metal's times are in: since the machine started.
double now();

/// Members of an event's "args", with what stands in them quoted.
class Arguments {
 public:
  Arguments& add(const char* name, const std::string& text);
  Arguments& add(const char* name, uint64_t number);
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

/// Something that took from `start` to `end` on this thread.
void slice(const char* category, std::string name, double start, double end,
           const Arguments& arguments = {});
/// The same on a row that is no thread's, such as a device.
void slice_on(const std::string& row, const char* category, std::string name, double start,
              double end, const Arguments& arguments = {});
/// Something that begins here and ends elsewhere: both have the name and a number from next_id().
void begin(const char* category, const std::string& name, uint64_t id,
           const Arguments& arguments = {});
void end(const char* category, const std::string& name, uint64_t id,
         const Arguments& arguments = {});
uint64_t next_id();

/// A slice from here to the end of the block.
class Span {
 public:
  Span(const char* category, std::string name)
      : category_(category), start_(on() ? now() : 0), name_(on() ? std::move(name) : "") {}
  Span(const Span&) = delete;
  Span& operator=(const Span&) = delete;
  ~Span() {
    if (on()) slice(category_, std::move(name_), start_, now(), arguments);
  }
  Arguments arguments;

 private:
  const char* category_;
  double start_;
  std::string name_;
};

}  // namespace mfa::trace
