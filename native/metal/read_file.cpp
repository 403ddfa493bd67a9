// SPDX-License-Identifier: MIT
// A path -> the file's bytes.
#include "metal/read_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

namespace mfa::metal {

Result<std::vector<uint8_t>> read_file(const std::string& path) {
  const auto failure = [&](int reason) { return Error{path + ": " + strerror(reason)}; };
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return failure(errno);
  struct stat status;
  int reason = fstat(file, &status) == 0 ? 0 : errno;
  if (!reason && !S_ISREG(status.st_mode)) reason = S_ISDIR(status.st_mode) ? EISDIR : EINVAL;

  std::vector<uint8_t> bytes(reason ? 0 : static_cast<size_t>(status.st_size));
  size_t done = 0;
  while (!reason && done < bytes.size()) {
    const ssize_t count = read(file, bytes.data() + done, bytes.size() - done);
    if (count == 0) break;  // it has become shorter
    if (count > 0) done += static_cast<size_t>(count);
    if (count < 0 && errno != EINTR) reason = errno;
  }
  close(file);
  if (reason) return failure(reason);
  bytes.resize(done);
  return bytes;
}

}  // namespace mfa::metal
