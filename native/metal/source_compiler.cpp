// SPDX-License-Identifier: MIT
// Source -> a child process's standard input; its standard output -> metallib.
#include "metal/source_compiler.h"

#include <utility>

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

}  // namespace

Result<CompiledSource> compile_source(const std::string& source, const SourceOptions& options) {
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
  return result;
}

}  // namespace mfa::metal
