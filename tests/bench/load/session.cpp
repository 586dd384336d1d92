#include "tests/bench/load/session.h"

#include <fmt/format.h>

#include <algorithm>

#include "tests/client/tls_key.h"

namespace bench {
namespace {

using client::Error;
using client::ErrorKind;
using client::Result;

Error at_step(const Error& error, std::string what) {
  return {error.kind, fmt::format("{}: {}", what, error.text)};
}

// Judges the namespace against what is asked for.
Result<void> check_namespace(const client::NamespaceData& space, const LoadOptions& options,
                             const client::ControllerData& controller) {
  if (space.block_bytes == 0 || space.blocks == 0) {
    return Error{ErrorKind::misuse, fmt::format("namespace {} is not there", options.nsid)};
  }
  if (space.metadata_bytes != 0) {
    return Error{ErrorKind::misuse, "namespaces with metadata are not supported"};
  }
  if (options.block_bytes % space.block_bytes != 0) {
    return Error{ErrorKind::misuse,
                 fmt::format("--block-size {} is no multiple of the namespace's blocks of {} bytes",
                             options.block_bytes, space.block_bytes)};
  }
  if (options.block_bytes > controller.largest_transfer_bytes() ||
      options.block_bytes / space.block_bytes > 65536) {
    return Error{ErrorKind::misuse,
                 fmt::format("--block-size {} is more than the target transfers at once (MDTS: {})",
                             options.block_bytes, controller.largest_transfer_bytes())};
  }
  return engine::success();
}

Result<client::AttachOptions> attach_options(const LoadOptions& options) {
  // Not as one initializer: g++ 12 then takes its last members for uninitialized.
  client::AttachOptions attach;
  attach.endpoint = {.host = options.address, .port = options.port};
  attach.transport.header_digest = options.header_digest;
  attach.transport.data_digest = options.data_digest;
  attach.subsystem_nqn = options.subsystem_nqn;
  attach.host_nqn = options.host_nqn;
  attach.keep_alive_ms = static_cast<std::uint32_t>(options.keep_alive_s * 1000);
  if (!options.tls_key.empty()) {
    TRY(auto tls, client::tls_options_of(options.tls_key, options.host_nqn, options.subsystem_nqn));
    attach.transport.tls = std::make_shared<const client::TlsOptions>(std::move(tls));
  }
  if (!options.dhchap_key.empty()) {
    client::DhchapOptions dhchap;
    dhchap.secret = options.dhchap_key;
    dhchap.groups = {options.dhchap_group};
    attach.dhchap = std::make_shared<const client::DhchapOptions>(std::move(dhchap));
  }
  return attach;
}

// Of a queue whose TLS is spoken by its new owner from here on.
void hand_over(client::Queue& queue, ConnectionSettings& settings) {
  if (queue.raw().tunnel() == nullptr) {
    settings.socket = queue.raw().release();
    return;
  }
  const auto direct = queue.raw().tunnel()->take_over();
  settings.socket = direct.socket;
  settings.tls = direct.tls;
}

}  // namespace

Result<std::unique_ptr<Session>> Session::open(const LoadOptions& options) {
  std::unique_ptr<Session> session(new Session);
  TRY(const auto attach, attach_options(options));
  for (std::uint32_t i = 0; i < options.connections; ++i) {
    auto controller = client::Controller::attach(attach);
    if (!controller) {
      return at_step(controller.error(), fmt::format("attach {} of {} to {}", i + 1,
                                                     options.connections, attach.endpoint.text()));
    }
    client::Controller& attached = *controller.value();
    if (i == 0 && !options.idle) {
      auto space = attached.identify_namespace(options.nsid);
      if (!space) return at_step(space.error(), fmt::format("Identify namespace {}", options.nsid));
      session->space_ = space.value();
      TRY(check_namespace(session->space_, options, attached.data()));
    }
    const std::uint64_t largest_entries = (attached.capabilities() & 0xffff) + 1;
    if (options.depth >= largest_entries) {
      return Error{
          ErrorKind::misuse,
          fmt::format("--depth {}: the target's queues have {} entries, of which one stays "
                      "free",
                      options.depth, largest_entries)};
    }
    TRY(const auto queues, attached.request_io_queues(static_cast<std::uint16_t>(options.queues)));
    if (queues < options.queues) {
      return Error{ErrorKind::misuse,
                   fmt::format("--queues {}: the target grants {}", options.queues, queues)};
    }
    for (std::uint32_t id = 1; id <= options.queues; ++id) {
      auto queue = attached.open_io_queue(static_cast<std::uint16_t>(id),
                                          static_cast<std::uint16_t>(options.depth + 1));
      if (!queue) return at_step(queue.error(), fmt::format("I/O queue {}", id));
      if (options.idle) {
        session->idle_queues_.push_back(std::move(queue.value()));
        continue;
      }
      client::Queue& opened = *queue.value();
      session->connections_.push_back({.outgoing = opened.raw().outgoing,
                                       .incoming = opened.raw().incoming,
                                       .maxh2cdata = opened.negotiated().maxh2cdata,
                                       .in_capsule_bytes = attached.data().in_capsule_bytes(),
                                       .nsid = options.nsid,
                                       .lba_bytes = session->space_.block_bytes,
                                       .unit_bytes = options.block_bytes,
                                       .depth = options.depth,
                                       .keep_data = options.verify});
      hand_over(opened, session->connections_.back());
    }
    session->controllers_.push_back(std::move(controller.value()));
  }
  session->keep_alive_every_ = std::chrono::milliseconds{attach.keep_alive_ms / 3};
  session->keep_alive_last_ = std::chrono::steady_clock::now();
  return session;
}

Result<std::chrono::nanoseconds> Session::set_up_and_part(const LoadOptions& options) {
  TRY(const auto attach, attach_options(options));
  const auto start = std::chrono::steady_clock::now();
  for (std::uint32_t i = 0; i < options.setups; ++i) {
    const auto controller = client::Controller::attach(attach);
    if (!controller) {
      return at_step(controller.error(), fmt::format("attach {} of {} to {}", i + 1, options.setups,
                                                     attach.endpoint.text()));
    }
  }
  return std::chrono::steady_clock::now() - start;
}

Result<void> Session::keep_alive(std::chrono::steady_clock::time_point now) {
  if (keep_alive_every_.count() == 0 || now - keep_alive_last_ < keep_alive_every_) {
    return engine::success();
  }
  keep_alive_last_ = now;
  for (const auto& controller : controllers_) {
    TRY(controller->keep_alive());
  }
  return engine::success();
}

void Session::close() {
  idle_queues_.clear();
  for (const auto& controller : controllers_) (void)controller->shut_down();
  controllers_.clear();
}

}  // namespace bench
