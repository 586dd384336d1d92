#include "target/remote_control.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <future>
#include <utility>

#include "target/net/socket_address.h"
#include "target/reactor/log.h"
#include "target/utc_text.h"

namespace target {
namespace {

constexpr std::chrono::hours warning_time{21 * 24};

}  // namespace

RemoteControl::RemoteControl(std::string tokens_file, const engine::Clock& clock,
                             control::TokenGate::Tell tell)
    : tokens_(std::make_shared<control::TokenStore>(std::move(tokens_file))),
      gate_(std::make_shared<control::TokenGate>(*tokens_, clock, std::move(tell))),
      token_changes_(tokens_) {
  if (const auto loaded = tokens_->load(); !loaded) log_error("control: {}", loaded.error());
}

void RemoteControl::serve(control::ControlServer& server, std::vector<control::Route> routes) {
  server_ = &server;
  routes_ = std::move(routes);
}

void RemoteControl::take(const config::Control& wanted,
                         std::shared_ptr<const control::TlsIdentity> identity) {
  const bool is_other = (identity_ == nullptr) != (identity == nullptr) ||
                        (identity_ && identity_->fingerprint() != identity->fingerprint());
  identity_ = std::move(identity);
  if (identity_ && is_other) {
    log_info("control certificate sha256={} expires={}", identity_->fingerprint(),
             utc_text(static_cast<std::uint64_t>(identity_->expires_at()) * 1000));
  }
  std::erase_if(ports_, [&](const Port& port) {
    return port.has_tls != wanted.has_tls ||
           std::ranges::none_of(wanted.listen, [&](const auto& endpoint) {
             return endpoint.value == port.endpoint;
           });
  });
  for (const Port& port : ports_) port.port->take(port.has_tls ? identity_ : nullptr);
  for (const auto& endpoint : wanted.listen) {
    if (std::ranges::find(ports_, endpoint.value, &Port::endpoint) != ports_.end()) continue;
    open(endpoint.value, wanted.has_tls);
  }
}

void RemoteControl::open(const config::IpEndpoint& endpoint, bool has_tls) {
  const auto address = SocketAddress::parse(endpoint.address.text, endpoint.port);
  if (!address || (has_tls && !identity_)) {
    return log_warn("control: {} is not up, or no address of this machine; correct it",
                    endpoint.text);
  }
  ports_.push_back({.endpoint = endpoint,
                    .has_tls = has_tls,
                    .port = control::HttpPort::open(
                        server_->context(),
                        {.name = has_tls ? "control over TLS" : "control without TLS",
                         .address = *address,
                         .most_clients = most_clients,
                         .most_of_network = most_of_network,
                         .gatekeeper = gate_,
                         .identity = has_tls ? identity_ : nullptr},
                        routes_)});
}

void RemoteControl::end_revoked() {
  if (ports_.empty()) return;
  const std::vector<control::Token> valid = tokens_->all();
  for (const Port& port : ports_) {
    port.port->end_clients([&valid](const control::Caller& caller) {
      return !caller.token.empty() &&
             std::ranges::find(valid, caller.token, &control::Token::name) == valid.end();
    });
  }
}

void RemoteControl::finish() {
  if (server_ != nullptr) {
    std::promise<void> closed;
    server_->post([&] {
      ports_.clear();
      closed.set_value();
    });
    closed.get_future().wait();
  }
  token_changes_.finish();
}

std::optional<std::int64_t> RemoteControl::expires_at() const {
  return identity_ ? std::optional(identity_->expires_at()) : std::nullopt;
}

std::optional<std::string> RemoteControl::expiring() const {
  if (!identity_) return std::nullopt;
  const std::chrono::system_clock::time_point end{std::chrono::seconds(identity_->expires_at())};
  const auto now = std::chrono::system_clock::now();
  if (end - now > warning_time) return std::nullopt;
  return fmt::format(
      "control.certificate: {} on {}; put a new one in its place, then: forebayctl reload",
      end <= now ? "it ended" : "it ends",
      utc_text(static_cast<std::uint64_t>(identity_->expires_at()) * 1000));
}

}  // namespace target
