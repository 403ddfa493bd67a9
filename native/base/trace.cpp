// SPDX-License-Identifier: MIT
// Events of all threads -> one JSON file.
#include "base/trace.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <map>
#include <mutex>
#include <utility>
#include <vector>

namespace mfa::trace {
namespace {

// About 200 MB; what comes later is counted and dropped.
constexpr size_t most_events = 1 << 20;

struct Event {
  char phase;  // X: a slice; b, e: begin and end; M: the name of a row
  const char* category;
  uint32_t row;
  double start, duration;
  uint64_t id;
  std::string name, arguments;
};

/// Never destroyed: threads may still be running when the process ends.
struct State {
  std::mutex mutex;
  std::vector<Event> events;
  uint64_t dropped = 0;
  std::map<std::string, uint32_t> rows;
  std::string path, error;
  pid_t process = 0;
};

State& state() {
  static State* made = new State;
  return *made;
}

std::atomic<uint32_t> next_row{1};

void keep(Event event) {
  State& all = state();
  std::lock_guard lock(all.mutex);
  if (all.events.size() < most_events)
    all.events.push_back(std::move(event));
  else
    ++all.dropped;
}

uint32_t name_row(uint32_t row, const std::string& name) {
  keep({'M', "__metadata", row, 0, 0, 0, "thread_name", Arguments().add("name", name).text()});
  return row;
}

/// The row of this thread, whose name is told once.
uint32_t own_row() {
  thread_local uint32_t row = 0;
  if (row == 0) {
    char name[64] = "";
    pthread_getname_np(pthread_self(), name, sizeof name);
    row = next_row++;
    name_row(row, std::string(name) + " #" + std::to_string(row));
  }
  return row;
}

uint32_t row_called(const std::string& name) {
  State& all = state();
  uint32_t row = 0;
  {
    std::lock_guard lock(all.mutex);
    uint32_t& known = all.rows[name];
    if (known != 0) return known;
    known = row = next_row++;
  }
  return name_row(row, name);
}

/// How many bytes of valid UTF-8 begin here; 0 if none do.
size_t utf8_length(const char* at, size_t left) {
  const auto byte = [at](size_t i) { return static_cast<unsigned char>(at[i]); };
  const size_t length = byte(0) < 0x80   ? 1
                        : byte(0) < 0xC2 ? 0
                        : byte(0) < 0xE0 ? 2
                        : byte(0) < 0xF0 ? 3
                        : byte(0) < 0xF5 ? 4
                                         : 0;
  if (length > left) return 0;
  for (size_t i = 1; i < length; ++i)
    if ((byte(i) & 0xC0) != 0x80) return 0;
  return length;
}

std::string quoted(const std::string& text) {
  std::string result = "\"";
  for (size_t i = 0; i < text.size();) {
    const size_t length = utf8_length(&text[i], text.size() - i);
    const auto byte = static_cast<unsigned char>(text[i]);
    if (length == 0) {
      result += "\\ufffd";
    } else if (byte < 0x20) {
      char escaped[8];
      snprintf(escaped, sizeof escaped, "\\u%04x", byte);
      result += escaped;
    } else {
      if (byte == '"' || byte == '\\') result += '\\';
      result.append(text, i, length);
    }
    i += length ? length : 1;
  }
  return result + '"';
}

/// Microseconds with three decimals, with a point whatever the program's locale says.
std::string microseconds(double seconds) {
  const long long nanoseconds = std::llround(seconds * 1e9);
  char text[32];
  snprintf(text, sizeof text, "%lld.%03lld", nanoseconds / 1000, nanoseconds % 1000);
  return text;
}

void write_event(FILE* file, const Event& event, int process) {
  fprintf(file, "{\"ph\":\"%c\",\"cat\":\"%s\",\"name\":%s,\"pid\":%d,\"tid\":%u", event.phase,
          event.category, quoted(event.name).c_str(), process, event.row);
  if (event.phase != 'M') fprintf(file, ",\"ts\":%s", microseconds(event.start).c_str());
  if (event.phase == 'X') fprintf(file, ",\"dur\":%s", microseconds(event.duration).c_str());
  if (event.id != 0) fprintf(file, ",\"id\":\"0x%llx\"", static_cast<unsigned long long>(event.id));
  fprintf(file, ",\"args\":{%s}}", event.arguments.c_str());
}

/// %p in the name is the process.
std::string path_of(const std::string& given, pid_t process) {
  std::string path = given;
  const size_t place = path.find("%p");
  if (place != std::string::npos) path.replace(place, 2, std::to_string(process));
  return path;
}

void write_all() {
  State& all = state();
  std::lock_guard lock(all.mutex);
  if (!all.error.empty()) return;
  const std::string temporary = all.path + "." + std::to_string(getpid()) + ".tmp";
  FILE* file = fopen(temporary.c_str(), "w");
  if (!file) return;
  fprintf(file, "{\"displayTimeUnit\":\"ns\",\"otherData\":{\"dropped\":\"%llu\"},\n",
          static_cast<unsigned long long>(all.dropped));
  fputs("\"traceEvents\":[", file);
  const char* between = "\n";
  for (const Event& event : all.events) {
    fputs(between, file);
    write_event(file, event, all.process);
    between = ",\n";
  }
  fputs("\n]}\n", file);
  const bool written = !ferror(file);
  if (fclose(file) == 0 && written && rename(temporary.c_str(), all.path.c_str()) == 0) return;
  unlink(temporary.c_str());
}

const char* setting() {
#ifdef __GLIBC__
  return secure_getenv("MFA_TRACE");
#else
  return getenv("MFA_TRACE");
#endif
}

bool start() {
  const char* given = setting();
  if (!given || !*given) return false;
  State& all = state();
  all.process = getpid();
  all.path = path_of(given, all.process);
  // Who cannot write is told before the work, not after it.
  const std::string temporary = all.path + "." + std::to_string(all.process) + ".tmp";
  if (FILE* file = fopen(temporary.c_str(), "w")) {
    fclose(file);
    unlink(temporary.c_str());
  } else {
    all.error = "MFA_TRACE: cannot write \"" + all.path + "\": " + strerror(errno);
  }
  atexit(write_all);
  pthread_atfork([] { state().mutex.lock(); }, [] { state().mutex.unlock(); },
                 [] {
                   State& all = state();
                   all.events.clear();
                   all.dropped = 0;
                   all.process = getpid();
                   const char* again = setting();
                   const bool own = again && strstr(again, "%p");
                   all.path = own ? path_of(again, all.process)
                                  : all.path + "." + std::to_string(all.process);
                   all.mutex.unlock();
                 });
  return true;
}

}  // namespace

const bool enabled = start();

const std::string& error() { return state().error; }

double now() {
#ifdef CLOCK_UPTIME_RAW
  const clockid_t clock = CLOCK_UPTIME_RAW;
#else
  const clockid_t clock = CLOCK_MONOTONIC;
#endif
  timespec time;
  clock_gettime(clock, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

Arguments& Arguments::add(const char* name, const std::string& text) {
  if (!text_.empty()) text_ += ',';
  text_ += quoted(name) + ':' + quoted(text);
  return *this;
}

Arguments& Arguments::add(const char* name, uint64_t number) {
  if (!text_.empty()) text_ += ',';
  text_ += quoted(name) + ':' + std::to_string(number);
  return *this;
}

void slice(const char* category, std::string name, double start, double end,
           const Arguments& arguments) {
  if (!on()) return;
  keep({'X', category, own_row(), start, end - start, 0, std::move(name), arguments.text()});
}

void slice_on(const std::string& row, const char* category, std::string name, double start,
              double end, const Arguments& arguments) {
  if (!on()) return;
  keep({'X', category, row_called(row), start, end - start, 0, std::move(name), arguments.text()});
}

void begin(const char* category, const std::string& name, uint64_t id, const Arguments& arguments) {
  if (!on()) return;
  keep({'b', category, own_row(), now(), 0, id, name, arguments.text()});
}

void end(const char* category, const std::string& name, uint64_t id, const Arguments& arguments) {
  if (!on()) return;
  keep({'e', category, own_row(), now(), 0, id, name, arguments.text()});
}

uint64_t next_id() {
  static std::atomic<uint64_t> next{1};
  return next++;
}

}  // namespace mfa::trace
