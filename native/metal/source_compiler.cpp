// SPDX-License-Identifier: MIT
// Source -> a child process's standard input; its standard output -> metallib.
#include "metal/source_compiler.h"

#include <cstring>
#include <optional>
#include <utility>

#include "jit/cache.h"
#include "metal/metalc_process.h"

namespace mfa::metal {
namespace {

std::vector<std::string> arguments(const SourceOptions& options) {
  std::vector<std::string> list = {"-", "-o", "-"};
  list.push_back(options.fast_math ? "-ffast-math" : "-fno-fast-math");
  if (!options.standard.empty()) list.push_back("-std=" + options.standard);
  for (const std::string& macro : options.macros) list.push_back("-D" + macro);
  return list;
}

/// The source with its lines joined where a backslash ends them.
std::string joined(const std::string& source) {
  std::string text;
  for (size_t at = 0; at < source.size(); ++at) {
    if (source[at] == '\\') {
      const size_t next = source.find_first_not_of(" \t\r", at + 1);
      if (next != source.npos && source[next] == '\n') {
        at = next;
        continue;
      }
    }
    text += source[at];
  }
  return text;
}

/// Whether nothing of the result can come from a file: every #include names one of the compiler's
/// own headers. What is in doubt does not stand alone.
bool stands_alone(const std::string& source) {
  const std::string text = joined(source);
  if (text.find("%:") != text.npos) return false;
  for (const char* word : {"embed", "import", "include"}) {
    for (size_t at = text.find(word); at != text.npos; at = text.find(word, at + 1)) {
      const size_t before = text.find_last_not_of(" \t", at - 1);
      if (at == 0 || before == text.npos || !strchr("#_/", text[before])) continue;
      if (text[before] == '/' && (before == 0 || text[before - 1] != '*')) continue;
      const size_t name = text.find_first_not_of(" \t", at + strlen(word));
      const std::string line =
          name == text.npos ? "" : text.substr(name, text.find('\n', name) - name);
      const bool own = line.compare(0, 1, "<") == 0 && line.compare(1, 1, "/") != 0 &&
                       line.find("..") == line.npos;
      if (text[before] != '#' || !own) return false;
    }
  }
  return true;
}

}  // namespace

Result<CompiledSource> compile_source(const std::string& source, const SourceOptions& options) {
  std::optional<jit::CacheKey> key;
  if (!jit::cache_folder().empty() && stands_alone(source)) {
    if (auto path = metalc_path()) key = jit::source_key(*path, arguments(options), source);
    if (key)
      if (auto metallib = jit::load_cached_metallib(*key)) return CompiledSource{*metallib, ""};
  }
  auto run = run_metalc(arguments(options), source.data(), source.size());
  if (!run) return run.take_error();
  if (run->signal) {
    return Error{"the Metal compiler " + run->path + " was ended by signal " +
                 std::to_string(run->signal) + "\n" + run->diagnostics};
  }
  CompiledSource result;
  result.diagnostics = std::move(run->diagnostics);
  if (run->exit_status == 0) result.metallib = std::move(run->output);
  if (result.metallib.empty() && result.diagnostics.empty()) {
    return Error{"the Metal compiler " + run->path + " wrote nothing; exit status " +
                 std::to_string(run->exit_status)};
  }
  if (key && !result.metallib.empty()) jit::store_cached_metallib(*key, result.metallib);
  return result;
}

}  // namespace mfa::metal
