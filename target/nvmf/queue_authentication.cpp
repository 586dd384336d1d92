#include "target/nvmf/queue_authentication.h"

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "engine/foundation/random.h"
#include "target/nvmf/host_data.h"
#include "target/nvmf/session.h"
#include "target/nvmf/subsystem.h"
#include "target/nvmf/target.h"

namespace target::nvmf {

namespace auth = protocol::auth;
namespace nvme = protocol::nvme;
using Proof = auth::DhchapAuthenticator::State;

namespace {

// SECP, SPSP0 and SPSP1, the same in both commands (Base 2.0, "Authentication Send command").
template <class AuthenticationCommand>
std::optional<nvme::Refusal> check_protocol(const AuthenticationCommand& command) {
  if (command.protocol != auth::nvme_security_protocol) {
    return nvme::Refusal{nvme::status::invalid_field, nvme::at_dword(10, 24)};
  }
  if (command.protocol_specific != auth::nvme_security_specific) {
    return nvme::Refusal{nvme::status::invalid_field, nvme::at_dword(10, 8)};
  }
  return std::nullopt;
}

constexpr nvme::Refusal bad_message_length{nvme::status::invalid_field, nvme::at_dword(11)};

auth::DhchapAuthenticator::Randomness fresh_randomness() {
  auth::DhchapAuthenticator::Randomness random;
  engine::system_random(random.challenge);
  engine::system_random(std::as_writable_bytes(std::span(&random.sequence, 1)));
  random.sequence = std::max<std::uint32_t>(random.sequence, 1);
  return random;
}

}  // namespace

QueueAuthentication::QueueAuthentication(NvmfTarget& target, std::shared_ptr<Controller> controller,
                                         std::shared_ptr<SessionHandle> session, CommandPort& port,
                                         std::uint16_t qid, std::string subsystem_nqn,
                                         AuthenticationDemand demand, std::function<void()> proved)
    : target_(target),
      controller_(std::move(controller)),
      session_(std::move(session)),
      port_(port),
      qid_(qid),
      subsystem_nqn_(std::move(subsystem_nqn)),
      demand_(demand),
      proved_(std::move(proved)),
      open_(!demand.required),
      timer_([this] { give_up(EndReason::authentication_timeout); }) {
  if (!open_) port_.reactor().expire_after(timer_, demand_.timeout);
}

void QueueAuthentication::run(CommandPermit permit, bool data_is_ready) {
  const auto parsed = nvme::parse_fabrics_command(permit.command().entry);
  if (!parsed) return refuse(std::move(permit), parsed.error());
  if (const auto* to_us = std::get_if<nvme::AuthenticationSend>(&parsed.value())) {
    return send(std::move(permit), *to_us, data_is_ready);
  }
  receive(std::move(permit), std::get<nvme::AuthenticationReceive>(parsed.value()), data_is_ready);
}

void QueueAuthentication::send(CommandPermit permit, const nvme::AuthenticationSend& command,
                               bool data_is_ready) {
  if (const auto refusal = check_protocol(command)) return refuse(std::move(permit), *refusal);
  if (command.transfer_bytes == 0 || command.transfer_bytes > auth::longest_auth_message_bytes) {
    return refuse(std::move(permit), bad_message_length);
  }
  const auto found =
      host_data(permit.command(), command.data, {command.transfer_bytes}, data_is_ready);
  if (!found) return refuse(std::move(permit), found.error());
  if (!found.value()) {
    return permit.receive_from_host(
        static_cast<std::uint32_t>(nvme::length_of(command.data).value));
  }
  // The one before has not been answered yet.
  if (working_) return refuse(std::move(permit), {nvme::status::command_sequence_error});
  take(std::move(permit), *found.value());
}

void QueueAuthentication::take(CommandPermit permit, std::span<const std::byte> message) {
  const auto decoded = auth::decode_host_message(message);
  const bool begins = decoded && std::holds_alternative<auth::Negotiate>(decoded.value());
  if (!authenticator_ || (begins && !authenticator_->failure())) begin();
  auto out = authenticator_->take(message, fresh_randomness(), port_.reactor().clock().wall());
  if (out) return work(std::move(permit), std::move(out));
  keep_generated_key();
  permit.respond(nvme::status::success);
  follow();
}

// With the keys as they are now.
void QueueAuthentication::begin() {
  authenticator_.emplace(target_.credentials_of(controller_->association().host_nqn),
                         controller_->association().host_nqn, subsystem_nqn_,
                         demand_.concatenation);
  // The time that Connect began is not begun anew by a Negotiate: it would have no end.
  if (!under_way_ && open_) port_.reactor().expire_after(timer_, demand_.timeout);
  under_way_ = true;
}

// Send is answered when the next message is there to be fetched.
void QueueAuthentication::work(CommandPermit permit, std::unique_ptr<auth::DhWork> work) {
  Command& parked = permit.park();
  std::shared_ptr<auth::DhWork> shared = std::move(work);
  const bool taken = target_.worker().submit([shared, &parked, session = session_] {
    shared->run();
    session->post([shared, &parked](Session* here) {
      CommandPermit answered = CommandPermit::resume(parked);
      if (here == nullptr) return answered.respond(nvme::status::aborted_queue_deleted);
      here->finish_authentication(std::move(answered), *shared);
    });
  });
  working_ = taken;
  if (taken) return;
  // As if it had not been begun: the host may try again.
  authenticator_.reset();
  CommandPermit::resume(parked).respond(nvme::status::command_interrupted);
}

void QueueAuthentication::finish(CommandPermit permit, auth::DhWork& work) {
  working_ = false;
  authenticator_->finish(work);
  permit.respond(nvme::status::success);
  follow();
}

void QueueAuthentication::receive(CommandPermit permit, const nvme::AuthenticationReceive& command,
                                  bool data_is_ready) {
  if (const auto refusal = check_protocol(command)) return refuse(std::move(permit), *refusal);
  if (!authenticator_ || authenticator_->pending().empty()) {
    return refuse(std::move(permit), {nvme::status::command_sequence_error});
  }
  const auto message = authenticator_->pending();
  if (command.allocation_bytes < message.size() ||
      command.allocation_bytes > most_admin_data_bytes) {
    return refuse(std::move(permit), bad_message_length);
  }
  if (!data_is_ready) return permit.lease_for_host(command.allocation_bytes);
  const auto buffer = permit.command().buffer.bytes().first(command.allocation_bytes);
  std::memcpy(buffer.data(), message.data(), message.size());
  std::memset(buffer.data() + message.size(), 0, buffer.size() - message.size());
  authenticator_->sent();
  keep_generated_key();
  permit.respond_with_data(command.allocation_bytes);
  follow();
}

void QueueAuthentication::keep_generated_key() {
  if (authenticator_->state() != Proof::proved || !under_way_) return;
  const auto& generated = authenticator_->proof().generated;
  if (generated) target_.key_generated(*controller_, port_.link(), subsystem_nqn_, *generated);
}

void QueueAuthentication::follow() {
  if (authenticator_->failure()) count_failure();
  if (authenticator_->state() == Proof::failed) return give_up(EndReason::authentication_failed);
  if (authenticator_->state() == Proof::proved && under_way_) succeed();
}

void QueueAuthentication::succeed() {
  under_way_ = false;
  timer_.disarm();
  target_.authenticated(*controller_, qid_, port_.link(), authenticator_->proof());
  if (std::exchange(open_, true)) return;
  proved_();
}

void QueueAuthentication::count_failure() {
  if (std::exchange(failure_counted_, true)) return;
  const std::string_view why = auth::text_of(*authenticator_->failure());
  target_.authentication_failed(*controller_, qid_, port_.link(), why,
                                authenticator_->host_gave_up());
}

// Also where the host had proved itself before: it was asked again, or asked us, for a reason.
void QueueAuthentication::give_up(EndReason reason) {
  timer_.disarm();
  if (reason == EndReason::authentication_timeout && !std::exchange(failure_counted_, true)) {
    target_.authentication_failed(*controller_, qid_, port_.link(), "no end in time", false);
  }
  port_.end(reason);
}

void QueueAuthentication::refuse(CommandPermit permit, const nvme::Refusal& refusal) {
  const nvme::SubmissionEntry& entry = permit.command().entry;
  controller_->command_failed({.qid = qid_,
                               .cid = entry.command_id,
                               .status = refusal.status,
                               .lba = 0,
                               .nsid = 0,
                               .parameter_location = refusal.location.value,
                               .opcode = entry.opcode});
  permit.respond(refusal.status.with_more(), refusal.dword0);
}

}  // namespace target::nvmf
