#include "tests/end_to_end/harness/attacker.h"

#include <gtest/gtest.h>

#include "tests/end_to_end/harness/daemon.h"

namespace end_to_end {

ConfigText attack_config() {
  ConfigText config = memory_config();
  config.volumes.push_back({.name = "prey", .size = "16MiB", .block_size = 4096});
  config.subsystems.push_back(
      {.nqn = prey_subsystem, .namespaces = {{.nsid = 1, .volume = "prey"}}});
  return config;
}

Attacker::Attacker(const client::Endpoint& endpoint, Stage stage,
                   const client::TransportOptions& transport) {
  if (stage == Stage::fresh) {
    auto connection = client::RawConnection::connect(endpoint);
    EXPECT_GOOD(connection);
    if (connection) raw_owner_ = std::move(connection.value());
    raw_ = raw_owner_.get();
    return;
  }
  if (stage == Stage::negotiated) {
    auto opened = client::Queue::open(endpoint, transport);
    EXPECT_GOOD(opened);
    if (opened) queue_owner_ = std::move(opened.value());
    queue_ = queue_owner_.get();
  } else {
    controller_ = attach(endpoint, {.transport = transport, .subsystem = prey_subsystem});
    if (controller_ == nullptr) return;
    if (stage == Stage::io) queue_owner_ = open_queue(*controller_, 1, 32);
    queue_ = stage == Stage::io ? queue_owner_.get() : &controller_->admin();
  }
  if (queue_ != nullptr) raw_ = &queue_->raw();
}

std::optional<client::Termination> Attacker::await_termination(Milliseconds time_out) {
  std::vector<client::ReceivedPdu> before;
  const auto end = raw_->await_end(time_out, &before);
  EXPECT_GOOD(end);
  for (const client::ReceivedPdu& pdu : before) {
    if (!pdu.is(client::PduType::c2h_terminate)) continue;
    EXPECT_LE(pdu.plen(), 152U);
    auto taken = client::parse_termination(pdu);
    EXPECT_GOOD(taken);
    if (taken) return std::move(taken.value());
  }
  ADD_FAILURE() << "the connection ended without C2HTermReq";
  return std::nullopt;
}

void Attacker::await_end(Milliseconds time_out) {
  const auto end = raw_->await_end(time_out);
  EXPECT_GOOD(end);
}

}  // namespace end_to_end
