// SPDX-License-Identifier: MIT
// Compiled kernels and metallibs <-> files that later processes find them in.
#include "jit/cache.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <vector>

#include "jit/cache_entry.h"

namespace mfa::jit {
namespace {

constexpr char suffix[] = ".object";
constexpr char unfinished[] = ".unfinished-";
constexpr time_t touch_seconds = 60 * 60;      // a hit renews the time of an entry this old
constexpr time_t abandoned_seconds = 60 * 60;  // no process takes that long to write a file

struct Descriptor {
  explicit Descriptor(int number) : number(number) {}
  Descriptor(const Descriptor&) = delete;
  ~Descriptor() {
    if (number >= 0) close(number);
  }
  int number;
};

/// Only this user can have written it.
bool is_ours(const struct stat& status) {
  return status.st_uid == geteuid() && !(status.st_mode & (S_IWGRP | S_IWOTH));
}

/// A descriptor of the folder, or -1 if it is not there or others may write to it. Opened anew for
/// each use: programs that turn into daemons close what they do not know.
int open_folder(const std::string& path) {
  int folder = open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  struct stat status;
  if (folder < 0 || (fstat(folder, &status) == 0 && is_ours(status))) return folder;
  close(folder);
  return -1;
}

/// Makes the folders on the way that do not exist.
void make_folders(const std::string& path) {
  for (size_t end = path.find('/', 1); end != std::string::npos; end = path.find('/', end + 1))
    mkdir(path.substr(0, end).c_str(), 0700);
  mkdir(path.c_str(), 0700);
}

std::string name_of(const CacheKey& key) {
  std::string name;
  for (uint8_t byte : key)
    for (int digit : {byte >> 4, byte & 15}) name += "0123456789abcdef"[digit];
  return name + suffix;
}

bool is_entry(const std::string& name) {
  constexpr size_t digits = 2 * sizeof(CacheKey);
  return name.size() == digits + strlen(suffix) && name.compare(digits, name.npos, suffix) == 0 &&
         name.find_first_not_of("0123456789abcdef") == digits;
}

bool read_all(int file, uint8_t* to, size_t size) {
  while (size) {
    ssize_t n = read(file, to, size);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    to += n;
    size -= size_t(n);
  }
  return true;
}

bool write_all(int file, const uint8_t* from, size_t size) {
  while (size) {
    ssize_t n = write(file, from, size);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    from += n;
    size -= size_t(n);
  }
  return true;
}

/// A name that no other thread or process uses at this time.
std::string unfinished_name() {
  static std::atomic<unsigned> count{0};
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  return unfinished + std::to_string(getpid()) + "-" + std::to_string(now.tv_sec) + "-" +
         std::to_string(now.tv_nsec) + "-" + std::to_string(count++);
}

/// The environment is not asked in a program that runs with more rights than its caller.
const char* setting(const char* name) {
  const char* text = secure_getenv(name);
  return text && *text ? text : nullptr;
}

}  // namespace

std::string cache_folder() {
  if (const char* chosen = setting("MFA_CACHE"))
    return strcmp(chosen, "off") == 0 ? "" : std::string(chosen);
  // A relative path in either of the two is to be ignored, says the XDG specification.
  const char* caches = setting("XDG_CACHE_HOME");
  if (caches && *caches == '/') return std::string(caches) + "/pymfa/objects";
  const char* home = setting("HOME");
  if (home && *home == '/') return std::string(home) + "/.cache/pymfa/objects";
  return {};
}

namespace {

/// What `read` makes of the bytes of the file; nothing if there is none that can be trusted.
template <class T>
std::optional<T> load(const CacheKey& key,
                      std::optional<T> (*read)(const CacheKey&, const uint8_t*, size_t)) {
  const std::string path = cache_folder();
  if (path.empty()) return std::nullopt;
  Descriptor folder(open_folder(path));
  if (folder.number < 0) return std::nullopt;
  Descriptor file(
      openat(folder.number, name_of(key).c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  struct stat status;
  if (file.number < 0 || fstat(file.number, &status) != 0) return std::nullopt;
  if (!S_ISREG(status.st_mode) || !is_ours(status) || uint64_t(status.st_size) > cache_limit_bytes)
    return std::nullopt;
  std::vector<uint8_t> bytes(size_t(status.st_size));
  if (!read_all(file.number, bytes.data(), bytes.size())) return std::nullopt;
  auto content = read(key, bytes.data(), bytes.size());
  // Entries age by the time of their last use, to the hour: a hit writes to the disk seldom.
  if (content && time(nullptr) - status.st_mtime > touch_seconds) futimens(file.number, nullptr);
  return content;
}

void store(const CacheKey& key, const std::vector<uint8_t>& bytes) {
  const std::string path = cache_folder();
  if (path.empty()) return;
  make_folders(path);
  {
    Descriptor folder(open_folder(path));
    if (folder.number < 0) return;
    const std::string temporary = unfinished_name();
    Descriptor file(openat(folder.number, temporary.c_str(),
                           O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (file.number < 0) return;
    // Renaming replaces the entry at once. Whoever has the old one open reads it to its end.
    if (!write_all(file.number, bytes.data(), bytes.size()) ||
        renameat(folder.number, temporary.c_str(), folder.number, name_of(key).c_str()) != 0)
      unlinkat(folder.number, temporary.c_str(), 0);
  }
  // Listing the folder costs little beside a compilation, but not nothing.
  static std::atomic<unsigned> stores{0};
  if (stores++ % 32 == 0) trim_cache(path, cache_limit_bytes);
}

}  // namespace

std::optional<CompiledObject> load_cached(const CacheKey& key) { return load(key, &read_entry); }

void store_cached(const CacheKey& key, const CompiledObject& object) {
  store(key, write_entry(key, object));
}

std::optional<std::vector<uint8_t>> load_cached_metallib(const CacheKey& key) {
  return load(key, &read_metallib_entry);
}

void store_cached_metallib(const CacheKey& key, const std::vector<uint8_t>& metallib) {
  store(key, write_metallib_entry(key, metallib));
}

void trim_cache(const std::string& folder, uint64_t limit) {
  struct Entry {
    std::string name;
    timespec used;
    uint64_t size;
  };
  int number = open_folder(folder);
  if (number < 0) return;
  DIR* listing = fdopendir(number);  // closes `number` in the end
  if (!listing) {
    close(number);
    return;
  }
  std::vector<Entry> entries;
  uint64_t total = 0;
  time_t now = time(nullptr);
  while (dirent* item = readdir(listing)) {
    const std::string name = item->d_name;
    const bool is_unfinished = name.rfind(unfinished, 0) == 0;
    struct stat status;
    if (!is_entry(name) && !is_unfinished) continue;
    if (fstatat(number, item->d_name, &status, AT_SYMLINK_NOFOLLOW) != 0) continue;
    if (!S_ISREG(status.st_mode)) continue;
    if (!is_unfinished) {
      entries.push_back({name, status.st_mtim, uint64_t(status.st_size)});
      total += uint64_t(status.st_size);
    } else if (now - status.st_mtime > abandoned_seconds) {
      unlinkat(number, item->d_name, 0);
    }
  }
  if (total > limit) {
    std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
      if (a.used.tv_sec != b.used.tv_sec) return a.used.tv_sec < b.used.tv_sec;
      return a.used.tv_nsec < b.used.tv_nsec;
    });
    // A quarter more than need be, so that the next store need not do it again.
    for (size_t i = 0; i < entries.size() && total > limit - limit / 4; ++i) {
      unlinkat(number, entries[i].name.c_str(), 0);
      total -= entries[i].size;
    }
  }
  closedir(listing);
}

}  // namespace mfa::jit
