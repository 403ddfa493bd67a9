// SPDX-License-Identifier: MIT
// Kernels that cannot run -> an error that names the construct, never a crash.
#include <cstdlib>
#include <thread>

#include "check.h"
#include "kernel.h"
#include "runner.h"

namespace {

void refuses(const std::string& text, const char* named) {
  for (Path path : both_paths) {
    std::vector<Bytes> buffers = {Bytes(4096)};
    std::string error = run_kernel(path, text, buffers, Grid{{32, 1, 1}, {32, 1, 1}});
    bool found = error.find(named) != std::string::npos;
    if (!found)
      fprintf(stderr, "%s: expected \"%s\" in \"%s\"\n", name_of(path), named, error.c_str());
    CHECK(found);
  }
}

std::string call_of(const std::string& declaration, const std::string& call) {
  return "define void @k(ptr addrspace(1) %p) {\n  " + call + "\n  ret void\n}\n" + declaration +
         "\n" + kernel_metadata({buffer_argument(0, 0, 1)});
}

void unknown_functions() {
  refuses(call_of("declare void @air.no_such_thing(ptr addrspace(1)) convergent",
                  "call void @air.no_such_thing(ptr addrspace(1) %p)"),
          "air.no_such_thing");
  refuses(call_of("declare void @launch_missiles(ptr addrspace(1))",
                  "call void @launch_missiles(ptr addrspace(1) %p)"),
          "launch_missiles");
  refuses(
      call_of(
          "declare i32 @air.simd_sum.u.i32(i32, i32) convergent",
          "%x = call i32 @air.simd_sum.u.i32(i32 1, i32 2)\n  store i32 %x, ptr addrspace(1) %p"),
      "air.simd_sum.u.i32");
}

void unknown_arguments() {
  refuses(
      "define void @k(ptr addrspace(1) %p, i32 %x) {\n  store i32 %x, ptr addrspace(1) %p\n  ret "
      "void\n}\n" +
          kernel_metadata({buffer_argument(0, 0, 1), builtin_argument(1, "phase_of_moon")}),
      "phase_of_moon");
}

/// A kernel with one argument more, of this kind, whose pointer it stores.
std::string object_kernel(const std::string& kind, const std::string& more,
                          const std::string& type) {
  return "define void @k(ptr addrspace(1) %p, ptr addrspace(1) %x) {\n"
         "  store ptr addrspace(1) %x, ptr addrspace(1) %p\n  ret void\n}\n" +
         kernel_metadata({buffer_argument(0, 0, 1),
                          "!{i32 1, !\"air." + kind + "\", !\"air.location_index\", i32 0, i32 1" +
                              more + ", !\"air.arg_type_name\", !\"" + type +
                              "\", !\"air.arg_name\", !\"thing\"}"});
}

void objects() {
  refuses(object_kernel("texture", ", !\"air.sample\"", "texture2d<half, sample>"),
          "argument 'thing' is a texture (texture2d<half, sample>)");
  refuses(object_kernel("sampler", "", "sampler"), "argument 'thing' is a sampler");
  refuses(object_kernel("visible_function_table", ", !\"air.read\"", "visible_function_table"),
          "argument 'thing' is a function table");
  refuses(call_of("declare <4 x half> @air.sample_texture_2d.v4f16(ptr addrspace(1)) convergent",
                  "%x = call <4 x half> @air.sample_texture_2d.v4f16(ptr addrspace(1) %p)\n"
                  "  store <4 x half> %x, ptr addrspace(1) %p"),
          "air.sample_texture_2d");
  refuses(call_of("declare i16 @air.get_descriptor_size_tensor(i16, i16)",
                  "%x = call i16 @air.get_descriptor_size_tensor(i16 2, i16 0)\n"
                  "  store i16 %x, ptr addrspace(1) %p"),
          "air.get_descriptor_size_tensor");
}

void missing_functions() {
  auto library = library_of("define void @k() {\n  ret void\n}\n" + kernel_metadata({}));
  auto pipeline = mfa::jit::make_pipeline(library, "other", {}, {});
  CHECK(!pipeline && pipeline.error().find("other") != std::string::npos);
}

void pipelines_are_made_at_once() {
  auto library = library_of("define void @k() {\n  ret void\n}\n" + kernel_metadata({}));
  std::vector<std::thread> threads;
  for (int i = 0; i < 6; ++i)
    threads.emplace_back([&] {
      for (int n = 0; n < 5; ++n) {
        auto pipeline = mfa::jit::make_pipeline(library, "k", {}, {});
        CHECK(bool(pipeline) && (*pipeline)->code_bytes() > 0);
      }
    });
  for (std::thread& thread : threads) thread.join();
}

}  // namespace

int main(int argc, char**) {
  if (argc > 1) {
    // With MFA_CPU or MFA_CPU_FEATURES set to nonsense.
    auto library = library_of("define void @k() {\n  ret void\n}\n" + kernel_metadata({}));
    auto pipeline = mfa::jit::make_pipeline(library, "k", {}, {});
    CHECK(!pipeline && pipeline.error().find("MFA_CPU") != std::string::npos);
    return report();
  }
  unknown_functions();
  unknown_arguments();
  objects();
  missing_functions();
  pipelines_are_made_at_once();
  return report();
}
