// SPDX-License-Identifier: MIT
// Compiled kernels on disk -> found again whole, replaced where they are not, never in the way.
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <thread>

#include "check.h"
#include "jit/cache.h"
#include "jit/cache_entry.h"
#include "kernel.h"
#include "runner.h"

namespace {

using namespace mfa;
using exec::Shape;

std::string new_folder() {
  std::string path = "/tmp/mfa-test-cache-XXXXXX";
  REQUIRE(mkdtemp(path.data()) != nullptr);
  return path;
}

std::vector<std::string> names_in(const std::string& folder) {
  std::vector<std::string> names;
  DIR* listing = opendir(folder.c_str());
  if (!listing) return names;
  while (dirent* item = readdir(listing))
    if (strcmp(item->d_name, ".") != 0 && strcmp(item->d_name, "..") != 0)
      names.push_back(item->d_name);
  closedir(listing);
  return names;
}

/// One test's folder: what MFA_CACHE names until it is removed.
struct Cache {
  Cache() { setenv("MFA_CACHE", folder.c_str(), 1); }
  ~Cache() {
    for (const std::string& name : names_in(folder)) unlink((folder + "/" + name).c_str());
    rmdir(folder.c_str());
    unsetenv("MFA_CACHE");
  }
  std::string path(const std::string& name) const { return folder + "/" + name; }
  std::string only_entry() const {
    auto names = names_in(folder);
    REQUIRE(names.size() == 1);
    return path(names[0]);
  }
  std::string folder = new_folder();
};

std::vector<uint8_t> contents(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void write(const std::string& path, const std::vector<uint8_t>& bytes) {
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes.data()), std::streamsize(bytes.size()));
}

/// A kernel that stores `value`.
std::string storing(int value) {
  return "define void @k(ptr addrspace(1) %p) {\n  store i32 " + std::to_string(value) +
         ", ptr addrspace(1) %p\n  ret void\n}\n" + kernel_metadata({buffer_argument(0, 0, 1)});
}

int stored_by(const std::string& text) {
  std::vector<Bytes> buffers = {Bytes(4)};
  std::string error = run_kernel(Path::vector, text, buffers, Grid{{32, 1, 1}, {32, 1, 1}});
  if (!error.empty()) fprintf(stderr, "%s\n", error.c_str());
  CHECK(error.empty());
  return values_of<int>(buffers[0])[0];
}

jit::CacheKey key_of(const air::Metallib& library, const air::ConstantValues& values = {},
                     Shape shape = Shape::linear) {
  auto key = jit::cache_key(*library.find("k"), values, {}, Path::vector, shape);
  REQUIRE(bool(key));
  return *key;
}

jit::CompiledObject compiled(const std::string& text) {
  auto library = library_of(text);
  auto object = jit::compile(*library->find("k"), {}, {}, Path::vector, Shape::linear);
  REQUIRE(bool(object));
  return std::move(*object);
}

void second_pipeline_comes_from_the_file() {
  Cache cache;
  CHECK(stored_by(storing(1)) == 1);
  CHECK(names_in(cache.folder).size() == 1);
  // Another kernel's code under this kernel's key shows who is asked.
  jit::store_cached(key_of(*library_of(storing(1))), compiled(storing(2)));
  CHECK(stored_by(storing(1)) == 2);
  CHECK(stored_by(storing(3)) == 3);
  // Those who look at the stages of the compilation want one.
  setenv("MFA_DUMP", cache.folder.c_str(), 1);
  CHECK(stored_by(storing(1)) == 1);
  unsetenv("MFA_DUMP");
  CHECK(stored_by(storing(1)) == 1);
}

void entries_keep_everything() {
  Cache cache;
  jit::CompiledObject before;
  for (int i = 0; i < 1000; ++i) before.bytes.push_back(char(i * 7));
  before.symbol = "entry";
  before.code.scratch_bytes = 123;
  before.code.stack_bytes = 456789;
  before.code.barriers = true;
  air::Argument argument;
  argument.kind = air::Argument::Kind::builtin;
  argument.access = air::Argument::Access::read;
  argument.parameter = 1, argument.slot = 2, argument.address_space = 3;
  argument.type_size = 4, argument.type_align = 5, argument.buffer_size = 6;
  argument.unused = true, argument.active = false, argument.indirect = true;
  argument.table = true;
  argument.name = "n", argument.type_name = "t", argument.builtin = "b", argument.predicate = "p";
  before.reflection.name = std::string("name\0of it", 10);
  before.reflection.arguments = {argument, air::Argument{}};
  before.reflection.constants = {air::Constant{"c", "uint", 7, false}};
  before.reflection.max_total_threads = 256;
  before.reflection.static_threadgroup_bytes = 4096;
  const jit::CacheKey key = {1, 2, 3};
  jit::store_cached(key, before);
  auto after = jit::load_cached(key);
  REQUIRE(bool(after));
  // All that is not an address is in these bytes.
  CHECK(jit::write_entry(key, *after) == jit::write_entry(key, before));
  CHECK(after->bytes == before.bytes && after->symbol == "entry");
  CHECK(after->code.scratch_bytes == 123 && after->code.stack_bytes == 456789);
  CHECK(after->code.barriers && !after->code.entry && !after->code.thread);
  REQUIRE(after->reflection.arguments.size() == 2 && after->reflection.constants.size() == 1);
  const air::Argument& read = after->reflection.arguments[0];
  CHECK(read.kind == argument.kind && read.access == argument.access && read.slot == 2);
  CHECK(read.unused && !read.active && read.indirect && read.table && read.predicate == "p");
  CHECK(after->reflection.name == before.reflection.name);
  CHECK(after->reflection.static_threadgroup_bytes == 4096);
  CHECK(!after->reflection.constants[0].required);
  CHECK(!jit::load_cached({1, 2, 4}));
}

void metallibs_are_entries_of_their_own() {
  Cache cache;
  const std::string compiler = cache.path("compiler");
  write(compiler, {1, 2, 3});
  const jit::CacheKey key = *jit::source_key(compiler, {"-a", "-b"}, "text");
  CHECK(key == *jit::source_key(compiler, {"-a", "-b"}, "text"));
  CHECK(key != *jit::source_key(compiler, {"-a", "-b"}, "texts"));
  CHECK(key != *jit::source_key(compiler, {"-a-b"}, "text"));
  CHECK(!jit::source_key(cache.path("none"), {"-a", "-b"}, "text"));
  write(compiler, {1, 2, 3, 4});
  CHECK(key != *jit::source_key(compiler, {"-a", "-b"}, "text"));
  unlink(compiler.c_str());

  const std::vector<uint8_t> metallib = {5, 0, 7};
  CHECK(!jit::load_cached_metallib(key));
  jit::store_cached_metallib(key, metallib);
  CHECK(jit::load_cached_metallib(key) == metallib);
  CHECK(!jit::load_cached(key));
  const auto good = contents(cache.only_entry());
  for (size_t size = 0; size < good.size(); ++size) {
    std::vector<uint8_t> part(good.begin(), good.begin() + std::ptrdiff_t(size));
    CHECK(!jit::read_metallib_entry(key, part.data(), part.size()));
    part = good;
    part[size] ^= uint8_t(1 << size % 8);
    CHECK(!jit::read_metallib_entry(key, part.data(), part.size()));
  }
  jit::store_cached(key, compiled(storing(1)));
  CHECK(!jit::load_cached_metallib(key));
}

void keys_differ_in_whatever_matters() {
  auto one = library_of(storing(1)), two = library_of(storing(2));
  std::vector<jit::CacheKey> keys = {key_of(*one), key_of(*two), key_of(*one, {}, Shape::general)};
  air::ConstantValues values;
  values.by_index[1].type = 29;
  keys.push_back(key_of(*one, values));
  values.by_index[1].bytes[31] = 1;
  keys.push_back(key_of(*one, values));
  values.by_index[1].type = 33;
  keys.push_back(key_of(*one, values));
  values.by_index[2] = values.by_index[1];
  keys.push_back(key_of(*one, values));
  values.by_name["a"] = values.by_index[1];
  keys.push_back(key_of(*one, values));
  values.by_index.erase(2);
  keys.push_back(key_of(*one, values));
  auto record = *one->find("k");
  record.constants.push_back({"a", 29, 0, true});
  keys.push_back(*jit::cache_key(record, {}, {}, Path::vector, Shape::linear));
  keys.push_back(*jit::cache_key(*one->find("k"), {}, {}, Path::reference, Shape::linear));
  for (const auto& library : {one, two})
    keys.push_back(*jit::cache_key(*one->find("k"), {}, {{library, library->find("k")}},
                                   Path::vector, Shape::linear));
  for (size_t i = 0; i < keys.size(); ++i)
    for (size_t j = 0; j < i; ++j) CHECK(keys[i] != keys[j]);
  CHECK(key_of(*one) == key_of(*library_of(storing(1))));
  CHECK(!jit::build_identity().empty());
}

void damaged_entries_are_ignored_and_replaced() {
  Cache cache;
  const jit::CacheKey key = key_of(*library_of(storing(1)));
  CHECK(stored_by(storing(1)) == 1);
  const std::string path = cache.only_entry();
  const auto good = contents(path);
  CHECK(bool(jit::read_entry(key, good.data(), good.size())));
  for (size_t size = 0; size < good.size(); ++size) {
    // In memory of that size, so that a sanitizer sees reads beyond it.
    std::vector<uint8_t> part(good.begin(), good.begin() + std::ptrdiff_t(size));
    CHECK(!jit::read_entry(key, part.data(), part.size()));
  }
  for (size_t at = 0; at < good.size(); ++at) {
    auto bad = good;
    bad[at] ^= uint8_t(1 << at % 8);
    CHECK(!jit::read_entry(key, bad.data(), bad.size()));
  }
  auto longer = good, bad = good;
  longer.push_back(0);
  bad[good.size() / 2] ^= 1;
  for (const auto& bytes : {std::vector<uint8_t>(), longer, bad}) {
    write(path, bytes);
    CHECK(stored_by(storing(1)) == 1);
    CHECK(contents(path) == good);
  }
  // Another kernel's entry under this name.
  write(path, jit::write_entry(key_of(*library_of(storing(2))), compiled(storing(2))));
  CHECK(stored_by(storing(1)) == 1);
  // A sound entry whose code cannot be linked.
  jit::CompiledObject empty = compiled(storing(1));
  empty.bytes.assign(100, 'x');
  jit::store_cached(key, empty);
  CHECK(stored_by(storing(1)) == 1);
  CHECK(contents(path) == good);
  // A pipe would keep its reader waiting.
  unlink(path.c_str());
  CHECK(mkfifo(path.c_str(), 0600) == 0);
  CHECK(stored_by(storing(1)) == 1);
}

void others_cannot_write_what_is_run() {
  Cache cache;
  const jit::CacheKey key = key_of(*library_of(storing(1)));
  jit::store_cached(key, compiled(storing(2)));
  const std::string path = cache.only_entry();
  struct stat status;
  CHECK(stat(path.c_str(), &status) == 0 && (status.st_mode & 0777) == 0600);
  CHECK(bool(jit::load_cached(key)));
  chmod(path.c_str(), 0666);
  CHECK(!jit::load_cached(key));
  chmod(path.c_str(), 0600);
  chmod(cache.folder.c_str(), 0777);
  CHECK(!jit::load_cached(key));
  CHECK(stored_by(storing(1)) == 1);
  chmod(cache.folder.c_str(), 0700);
  if (geteuid() == 0) {  // only root can give files away
    CHECK(chown(path.c_str(), 65534, gid_t(-1)) == 0);
    CHECK(!jit::load_cached(key));
    CHECK(chown(path.c_str(), 0, gid_t(-1)) == 0);
  }
  const std::string moved = cache.path("elsewhere");
  CHECK(rename(path.c_str(), moved.c_str()) == 0 && symlink(moved.c_str(), path.c_str()) == 0);
  CHECK(!jit::load_cached(key));
}

void folders_follow_the_environment() {
  const char* home = getenv("HOME");
  const std::string kept = home ? home : "";
  unsetenv("XDG_CACHE_HOME");
  setenv("HOME", "/users/me", 1);
  CHECK(jit::cache_folder() == "/users/me/.cache/pymfa/objects");
  setenv("XDG_CACHE_HOME", "relative", 1);
  CHECK(jit::cache_folder() == "/users/me/.cache/pymfa/objects");
  setenv("XDG_CACHE_HOME", "/var/me", 1);
  CHECK(jit::cache_folder() == "/var/me/pymfa/objects");
  setenv("MFA_CACHE", "/mine", 1);
  CHECK(jit::cache_folder() == "/mine");
  setenv("MFA_CACHE", "off", 1);
  CHECK(jit::cache_folder().empty());
  CHECK(stored_by(storing(1)) == 1);
  setenv("MFA_CACHE", "", 1);
  CHECK(jit::cache_folder() == "/var/me/pymfa/objects");
  unsetenv("MFA_CACHE");
  unsetenv("XDG_CACHE_HOME");
  unsetenv("HOME");
  CHECK(jit::cache_folder().empty());
  CHECK(stored_by(storing(1)) == 1);
  setenv("HOME", kept.c_str(), 1);

  Cache cache;
  const std::string inner = cache.path("a"), folder = inner + "/b";
  setenv("MFA_CACHE", folder.c_str(), 1);
  CHECK(stored_by(storing(1)) == 1);
  CHECK(names_in(folder).size() == 1);
  struct stat status;
  CHECK(stat(folder.c_str(), &status) == 0 && (status.st_mode & 0777) == 0700);
  unlink((folder + "/" + names_in(folder)[0]).c_str());
  rmdir(folder.c_str());
  rmdir(inner.c_str());
  // Places where nothing can be made: below a file, below a system folder, a name too long.
  write(cache.path("file"), {1});
  for (const std::string& nowhere : {cache.path("file"), cache.path("file/x"),
                                     std::string("/proc/none"), std::string(5000, 'x')}) {
    setenv("MFA_CACHE", nowhere.c_str(), 1);
    CHECK(stored_by(storing(1)) == 1);
  }
}

void oldest_entries_go_first() {
  Cache cache;
  auto make = [&](const std::string& name, int minutes_ago, size_t size) {
    write(cache.path(name), std::vector<uint8_t>(size));
    timespec times[2] = {};
    times[0].tv_sec = times[1].tv_sec = time(nullptr) - 60 * minutes_ago;
    CHECK(utimensat(AT_FDCWD, cache.path(name).c_str(), times, 0) == 0);
  };
  auto entry = [](char digit) { return std::string(64, digit) + ".object"; };
  auto exists = [&](const std::string& name) {
    return access(cache.path(name).c_str(), F_OK) == 0;
  };
  for (int i = 0; i < 8; ++i) make(entry(char('0' + i)), 10 * (9 - i), 1000);
  make("notes.txt", 1000, 100000);
  make(".unfinished-1-2-3-4", 1000, 1000);
  make(".unfinished-1-2-3-5", 1, 1000);
  jit::trim_cache(cache.folder, 8000);
  CHECK(exists(entry('0')) && exists("notes.txt"));
  CHECK(!exists(".unfinished-1-2-3-4") && exists(".unfinished-1-2-3-5"));
  jit::trim_cache(cache.folder, 6000);  // down to three quarters of that
  for (int i = 0; i < 8; ++i) CHECK(exists(entry(char('0' + i))) == (i >= 4));
  CHECK(exists("notes.txt"));

  // Use makes an entry young.
  const jit::CacheKey key = {};
  jit::store_cached(key, jit::CompiledObject{});
  const auto bytes = contents(cache.path(entry('0')));
  make(entry('0'), 10000, 0);
  write(cache.path(entry('0')), bytes);
  make(entry('9'), 100, 100);
  timespec old[2] = {};
  CHECK(utimensat(AT_FDCWD, cache.path(entry('0')).c_str(), old, 0) == 0);
  CHECK(bool(jit::load_cached(key)));
  jit::trim_cache(cache.folder, 4200);
  CHECK(exists(entry('0')) && !exists(entry('9')));
}

void threads_and_processes_share_a_folder() {
  Cache cache;
  auto work = [] {
    for (int i = 0; i < 3; ++i) CHECK(stored_by(storing(i)) == i);
  };
  std::vector<pid_t> children;
  for (int i = 0; i < 3; ++i) {
    pid_t child = fork();
    if (child == 0) {
      work();
      _exit(report());
    }
    children.push_back(child);
  }
  for (pid_t child : children) {
    int status = 1;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
  }
  CHECK(names_in(cache.folder).size() == 3);
  auto library = library_of(storing(5));
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&] {
      for (int n = 0; n < 4; ++n) CHECK(bool(jit::make_pipeline(library, "k", {}, {})));
    });
  for (std::thread& thread : threads) thread.join();
  CHECK(names_in(cache.folder).size() == 4);
}

}  // namespace

int main() {
  unsetenv("MFA_DUMP");
  unsetenv("MFA_CACHE");
  threads_and_processes_share_a_folder();  // first: forks before the executor has threads
  second_pipeline_comes_from_the_file();
  entries_keep_everything();
  metallibs_are_entries_of_their_own();
  keys_differ_in_whatever_matters();
  damaged_entries_are_ignored_and_replaced();
  others_cannot_write_what_is_run();
  folders_follow_the_environment();
  oldest_entries_go_first();
  return report();
}
