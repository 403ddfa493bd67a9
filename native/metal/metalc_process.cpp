// SPDX-License-Identifier: MIT
// Arguments and bytes -> what the mfa-metalc program makes of them.
//
// The three streams are anonymous files, not pipes: nothing can block, no SIGPIPE can be raised and
// no name is left behind in a file system.
#include "metal/metalc_process.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <features.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

extern char** environ;

namespace mfa::metal {
namespace {

/// An anonymous file, closed at the end and never inherited under its own number.
class Stream {
 public:
  Stream() {
    const int file = memfd_create("mfa-metalc", MFD_CLOEXEC);
    if (file < 0) return;
    // Away from 0 to 2: the child's own streams are copied there one by one.
    file_ = fcntl(file, F_DUPFD_CLOEXEC, 3);
    close(file);
  }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  ~Stream() {
    if (file_ >= 0) close(file_);
  }

  explicit operator bool() const { return file_ >= 0; }
  int file() const { return file_; }

  bool fill(const void* bytes, size_t size) {
    size_t done = 0;
    while (done < size) {
      const ssize_t count = write(file_, static_cast<const char*>(bytes) + done, size - done);
      if (count < 0 && errno != EINTR) return false;
      if (count > 0) done += static_cast<size_t>(count);
    }
    return lseek(file_, 0, SEEK_SET) == 0;
  }

  template <class Bytes>
  Bytes content() const {
    const off_t size = lseek(file_, 0, SEEK_END);
    Bytes bytes(size > 0 ? static_cast<size_t>(size) : 0, 0);
    size_t done = 0;
    while (done < bytes.size()) {
      const ssize_t count =
          pread(file_, &bytes[done], bytes.size() - done, static_cast<off_t>(done));
      if (count < 0 && errno == EINTR) continue;
      if (count <= 0) break;
      done += static_cast<size_t>(count);
    }
    bytes.resize(done);
    return bytes;
  }

 private:
  int file_ = -1;
};

bool runnable(const std::string& path) { return access(path.c_str(), X_OK) == 0; }

/// The folder of the library or program this code is in, with the slash.
std::string own_folder() {
  Dl_info info{};
  if (!dladdr(reinterpret_cast<const void*>(&run_metalc), &info) || !info.dli_fname) return "";
  const std::string path = info.dli_fname;
  return path.substr(0, path.rfind('/') + 1);
}

/// The actions and attributes of one posix_spawn.
struct Plan {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;

  Plan(int in, int out, int diagnostics) {
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, in, STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, diagnostics, STDERR_FILENO);
#if __GLIBC_PREREQ(2, 34)
    posix_spawn_file_actions_addclosefrom_np(&actions, 3);
#endif
    // The child starts with nothing blocked and nothing ignored, whatever the host process does.
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  }
  Plan(const Plan&) = delete;
  Plan& operator=(const Plan&) = delete;
  ~Plan() {
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
  }
};

/// The exit status; 0 if a host process that ignores its children has swallowed it.
int wait_for(pid_t child) {
  int status = 0;
  while (waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) return 0;
  }
  return status;
}

}  // namespace

// The installed one is first seen from the library, whose tree may have been moved as a whole.
Result<std::string> metalc_path() {
  std::vector<std::string> paths = {own_folder() + "mfa-metalc",
                                    own_folder() + MFA_LIBEXEC_FROM_LIB "/mfa-metalc",
                                    MFA_LIBEXEC "/mfa-metalc"};
  if (const char* chosen = getenv("MFA_METALC"); chosen && *chosen) paths = {chosen};
  int reason = 0;
  for (const std::string& path : paths) {
    if (runnable(path)) return path;
    if (reason == 0) reason = errno;
  }
  return Error{"the Metal compiler is not installed: " + paths[0] + ": " + strerror(reason) +
               " (the environment variable MFA_METALC names another one)"};
}

Result<MetalcRun> run_metalc(std::vector<std::string> arguments, const void* input, size_t bytes) {
  auto path = metalc_path();
  if (!path) return path.take_error();
  Stream in, out, diagnostics;
  if (!in || !out || !diagnostics || !in.fill(input, bytes)) {
    return Error{std::string("no anonymous file for the Metal compiler: ") + strerror(errno)};
  }
  arguments.insert(arguments.begin(), *path);
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  Plan plan(in.file(), out.file(), diagnostics.file());
  pid_t child = 0;
  const int failure =
      posix_spawn(&child, path->c_str(), &plan.actions, &plan.attributes, argv.data(), environ);
  if (failure) {
    return Error{"the Metal compiler " + *path + " does not start: " + strerror(failure)};
  }
  const int status = wait_for(child);
  MetalcRun run;
  run.path = *path;
  run.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
  run.exit_status = WEXITSTATUS(status);
  run.output = out.content<std::vector<uint8_t>>();
  run.diagnostics = diagnostics.content<std::string>();
  return run;
}

}  // namespace mfa::metal
