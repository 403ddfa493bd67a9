// SPDX-License-Identifier: MIT
// mfa-metalc: Metal Shading Language in, a metallib out.
#include <cstdio>
#include <cstring>
#include <set>
#include <string>

#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Process.h"
#include "llvm/Support/raw_ostream.h"
#include "metalc/attributes.h"
#include "metalc/check_bitcode.h"
#include "metalc/emit.h"
#include "metalc/frontend.h"
#include "metalc/lower.h"

using namespace mfa;
using namespace mfa::metalc;

namespace {

constexpr char kUsage[] =
    "usage: mfa-metalc [-std=metal3.1] [-I DIR] [-DNAME=VALUE] [-ffast-math|-fno-fast-math]\n"
    "                  [--emit-llvm] [--name NAME] -o OUT FILE.metal...\n"
    "  \"-\" reads standard input, which diagnostics call NAME.\n"
    "usage: mfa-metalc --check-bitcode: whether LLVM can read standard input\n";

bool complain(const std::string& text) {
  llvm::errs() << "mfa-metalc: error: " << text << '\n';
  return false;
}

bool read_arguments(int argc, char** argv, Options& options) {
  for (int i = 1; i < argc; ++i) {
    std::string argument = argv[i];
    auto value = [&](const char* flag, std::string& out) {
      size_t length = std::strlen(flag);
      if (argument.compare(0, length, flag) != 0) return false;
      if (argument.size() > length) {
        out = argument.substr(length);
      } else if (i + 1 < argc) {
        out = argv[++i];
      } else {
        return false;
      }
      return true;
    };
    std::string text;
    if (argument == "-ffast-math")
      options.fast_math = true;
    else if (argument == "-fno-fast-math")
      options.fast_math = false;
    else if (argument == "--emit-llvm")
      options.emit_llvm = true;
    else if (argument.compare(0, 5, "-std=") == 0) {
      static const std::set<std::string> known = {"metal3.0", "metal3.1", "macos-metal2.4",
                                                  "macos-metal2.3", "metal3.2"};
      if (!known.count(argument.substr(5)))
        return complain("unknown language version '" + argument.substr(5) + "'");
    } else if (value("--name", options.stdin_name))
      continue;
    else if (value("-I", text))
      options.include.push_back(text);
    else if (value("-D", text))
      options.defines.push_back(text);
    else if (value("-o", options.output))
      continue;
    else if (argument == "-" || argument[0] != '-')
      options.inputs.push_back(argument);
    else
      return complain("unknown option '" + argument + "'");
  }
  if (options.inputs.empty() || options.output.empty()) {
    llvm::errs() << kUsage;
    return false;
  }
  return true;
}

bool write(const Options& options, const Emitted& all) {
  std::error_code problem;
  llvm::raw_fd_ostream out(options.output, problem);
  if (!problem) {
    if (options.emit_llvm) {
      out << all.text;
    } else {
      std::vector<uint8_t> bytes = air::write(all.functions);
      out.write(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    }
    out.close();
    problem = out.error();
  }
  if (!problem) return true;
  return complain("cannot write '" + options.output + "': " + problem.message());
}

bool compile(const Options& options, Emitted& all, std::set<std::string>& names,
             const std::string& input) {
  auto unit = parse(options, input);
  if (!unit || !lower(*unit)) return false;
  auto emitted = emit(*unit);
  if (!emitted) return false;
  for (air::FunctionDescription& function : emitted->functions) {
    if (!names.insert(function.name).second)
      return complain(input + ": a kernel named '" + function.name + "' exists already");
    all.functions.push_back(std::move(function));
  }
  all.text += emitted->text;
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 2 && std::strcmp(argv[1], "--check-bitcode") == 0) return check_bitcode();
  Options options;
  if (!read_arguments(argc, argv, options)) return 2;
  options.colour = llvm::sys::Process::StandardErrHasColors();
  register_attributes();
  Emitted all;
  std::set<std::string> names;
  bool good = true;
  for (const std::string& input : options.inputs)
    good = compile(options, all, names, input) && good;
  return good && write(options, all) ? 0 : 1;
}
