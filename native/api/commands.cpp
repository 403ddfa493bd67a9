// SPDX-License-Identifier: MIT
// mfa_commands_*.
#include <cmath>

#include "api/handles.h"
#include "api/structs.h"

using namespace mfa;
using namespace mfa::api;

namespace {

void publish_commands(std::shared_ptr<host::Commands> host, mfa_commands* handle) {
  auto commands = std::make_shared<Commands>();
  commands->host = std::move(host);
  publish(std::move(commands), handle);
}

Status begin_commands(mfa_device device, bool concurrent, mfa_commands* commands) {
  auto on = use(device, "device");
  if (!on.ok()) return on.status();
  MFA_TRY(require(commands, "commands"));
  auto begun = host::Commands::begin(*on, concurrent);
  if (!begun.ok()) return begun.status();
  publish_commands(*begun, commands);
  return {};
}

}  // namespace

mfa_status mfa_commands_begin(mfa_device device, mfa_commands* commands) {
  return call("mfa_commands_begin", [&] { return begin_commands(device, false, commands); });
}

mfa_status mfa_commands_begin_concurrent(mfa_device device, mfa_commands* commands) {
  return call("mfa_commands_begin_concurrent",
              [&] { return begin_commands(device, true, commands); });
}

mfa_status mfa_commands_wrap(mfa_device device, void* encoder, mfa_commands* commands) {
  return call("mfa_commands_wrap", [&]() -> Status {
    auto on = use(device, "device");
    if (!on.ok()) return on.status();
    MFA_TRY(require(encoder, "encoder"));
    MFA_TRY(require(commands, "commands"));
    auto wrapped = host::Commands::wrap(*on, encoder);
    if (!wrapped.ok()) return wrapped.status();
    publish_commands(*wrapped, commands);
    return {};
  });
}

mfa_status mfa_commands_set_label(mfa_commands commands, const char* label) {
  return call("mfa_commands_set_label", [&]() -> Status {
    auto found = use(commands, "commands");
    if (!found.ok()) return found.status();
    MFA_TRY(require(label, "label"));
    return (*found)->host->set_label(label);
  });
}

mfa_status mfa_commands_set_operation_label(mfa_commands commands, const char* label) {
  return call("mfa_commands_set_operation_label", [&]() -> Status {
    auto found = use(commands, "commands");
    if (!found.ok()) return found.status();
    return (*found)->host->set_operation_label(label ? label : "");
  });
}

mfa_status mfa_commands_on_completed(mfa_commands commands, mfa_completion callback,
                                     void* context) {
  return call("mfa_commands_on_completed", [&]() -> Status {
    auto found = use(commands, "commands");
    if (!found.ok()) return found.status();
    MFA_TRY(require(reinterpret_cast<const void*>(callback), "callback"));
    return (*found)->host->on_completed([callback, context](const Status& status) {
      callback(context, static_cast<mfa_status>(status.code), status.message.c_str());
    });
  });
}

mfa_status mfa_commands_commit(mfa_commands commands) {
  return call("mfa_commands_commit", [&]() -> Status {
    auto found = use(commands, "commands");
    if (!found.ok()) return found.status();
    (*found)->recent.clear();
    return (*found)->host->commit();
  });
}

mfa_status mfa_commands_run(mfa_commands commands) {
  return call("mfa_commands_run", [&]() -> Status {
    auto found = use(commands, "commands");
    if (!found.ok()) return found.status();
    (*found)->recent.clear();
    return (*found)->host->run();
  });
}

mfa_status mfa_commands_wait(mfa_commands commands, double seconds) {
  return call("mfa_commands_wait", [&]() -> Status {
    auto found = use(commands, "commands");
    if (!found.ok()) return found.status();
    if (std::isnan(seconds)) return failure(Code::invalid_argument, "seconds is not a number");
    return (*found)->host->wait(seconds);
  });
}

mfa_status mfa_commands_get_info(mfa_commands commands, mfa_commands_info* info) {
  return call("mfa_commands_get_info", [&]() -> Status {
    auto found = use(commands, "commands");
    if (!found.ok()) return found.status();
    Commands& from = **found;
    mfa_commands_info filled = {};
    filled.state = static_cast<mfa_commands_state>(from.host->state());
    filled.operations = from.host->operations();
    filled.command_buffers = from.host->command_buffers();
    filled.workspace = from.host->workspace_bytes();
    filled.gpu_start_time = from.host->gpu_start_time();
    filled.gpu_end_time = from.host->gpu_end_time();
    // The message is set once, with the state, and does not change while someone reads it.
    std::lock_guard lock(from.mutex);
    if (from.error.empty()) from.error = from.host->error();
    filled.error = from.error.c_str();
    return MFA_WRITE(info, filled, mfa_commands_info);
  });
}

mfa_status mfa_commands_metal(mfa_commands commands, void** encoder) {
  return call("mfa_commands_metal", [&]() -> Status {
    auto found = use(commands, "commands");
    if (!found.ok()) return found.status();
    MFA_TRY(require(encoder, "encoder"));
    auto open = (*found)->host->lend_encoder();
    if (!open.ok()) return open.status();
    *encoder = *open;
    return {};
  });
}

mfa_status mfa_commands_retain(mfa_commands commands) {
  return retain_handle("mfa_commands_retain", commands);
}

mfa_status mfa_commands_release(mfa_commands commands) {
  return release_handle("mfa_commands_release", commands);
}
