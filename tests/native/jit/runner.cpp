// SPDX-License-Identifier: MIT
// LLVM IR text of a kernel `k`, buffers and a grid -> the kernel has run on one of the two paths.
#include "runner.h"

#include "exec/dispatch.h"
#include "kernel.h"

std::string run_kernel(Path path, const std::string& text, std::vector<Bytes>& buffers,
                       const Grid& grid, const std::vector<std::string>& visible) {
  mfa::jit::Options options;
  options.path = path;
  auto library = library_of(text, visible);
  for (size_t i = 0; i < visible.size(); ++i)
    options.linked.push_back({library, library->find("f" + std::to_string(i))});
  auto pipeline = mfa::jit::make_pipeline(library, "k", {}, options);
  if (!pipeline) return pipeline.error();
  mfa::exec::Dispatch dispatch;
  for (size_t slot = 0; slot < buffers.size(); ++slot)
    dispatch.launch.buffers[slot] = buffers[slot].data();
  mfa::exec::set_threads(dispatch, grid.threads.data(), grid.group.data());
  uint32_t lengths[MFA_MAX_BUFFERS] = {grid.threadgroup_bytes};
  mfa::exec::set_threadgroup_memory(dispatch, (*pipeline)->reflection().static_threadgroup_bytes,
                                    lengths);
  const mfa::exec::Code* codes[2] = {};
  mfa::exec::Shapes needed = mfa::exec::shapes(dispatch);
  for (auto shape : {mfa::exec::Shape::linear, mfa::exec::Shape::general}) {
    if (!(shape == mfa::exec::Shape::linear ? needed.linear : needed.general)) continue;
    auto code = (*pipeline)->code(shape);
    if (!code) return code.error();
    codes[int(shape)] = *code;
  }
  mfa::exec::Caller caller;
  auto done = mfa::exec::run(dispatch, needed, codes[0], codes[1], caller);
  return done ? "" : done.error();
}

std::string buffer_argument(int index, int slot, int address_space) {
  return "!{i32 " + std::to_string(index) + ", !\"air.buffer\", !\"air.location_index\", i32 " +
         std::to_string(slot) + ", i32 1, !\"air.read_write\", !\"air.address_space\", i32 " +
         std::to_string(address_space) +
         ", !\"air.arg_type_size\", i32 4, !\"air.arg_type_align_size\", i32 4, "
         "!\"air.arg_type_name\", !\"int\", !\"air.arg_name\", !\"b" +
         std::to_string(index) + "\"}";
}

std::string table_argument(int index, int slot) {
  return "!{i32 " + std::to_string(index) +
         ", !\"air.visible_function_table\", !\"air.location_index\", i32 " + std::to_string(slot) +
         ", i32 1, !\"air.read\", !\"air.arg_type_name\", !\"visible_function_table\", "
         "!\"air.arg_name\", !\"table\"}";
}

std::string builtin_argument(int index, const std::string& name) {
  return "!{i32 " + std::to_string(index) + ", !\"air." + name +
         "\", !\"air.arg_type_name\", !\"uint\", !\"air.arg_name\", !\"v" + std::to_string(index) +
         "\"}";
}

std::string kernel_metadata(const std::vector<std::string>& arguments) {
  std::string text = "\n!air.kernel = !{!0}\n!0 = !{ptr @k, !1, !2}\n!1 = !{}\n!2 = !{";
  for (size_t i = 0; i < arguments.size(); ++i) text += (i ? ", !" : "!") + std::to_string(i + 3);
  text += "}\n";
  for (size_t i = 0; i < arguments.size(); ++i)
    text += "!" + std::to_string(i + 3) + " = " + arguments[i] + "\n";
  return text;
}
