// QueueAuthentication: what Authentication Send and Receive mean on one queue, and whether its host
// has proved who it is (NVMe Base 2.0, section 8.13).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "protocol/auth/dhchap_authenticator.h"
#include "protocol/nvme/fabrics_command.h"
#include "target/nvmf/command.h"
#include "target/nvmf/controller.h"
#include "target/reactor/timer_queue.h"

namespace target::nvmf {

class NvmfTarget;

// What a target asks of the hosts that have a key.
struct AuthenticationDemand {
  bool required = false;
  protocol::auth::ConcatenationRule concatenation{};
  engine::Duration timeout{};  // from Connect, or from a Negotiate, to the end of its transaction
};

// Reactor thread only. Lives as long as its session.
class QueueAuthentication {
 public:
  // `subsystem_nqn` as the host's Connect has it. `proved` is called when the host has proved who
  // it is for the first time.
  QueueAuthentication(NvmfTarget& target, std::shared_ptr<Controller> controller,
                      std::shared_ptr<SessionHandle> session, CommandPort& port, std::uint16_t qid,
                      std::string subsystem_nqn, AuthenticationDemand demand,
                      std::function<void()> proved);
  QueueAuthentication(const QueueAuthentication&) = delete;
  QueueAuthentication& operator=(const QueueAuthentication&) = delete;

  // Every other command may be executed.
  [[nodiscard]] bool open() const { return open_; }

  // Of an Authentication Send or Receive.
  void run(CommandPermit permit, bool data_is_ready);
  // Answers the Authentication Send whose Diffie-Hellman another thread has done.
  void finish(CommandPermit permit, protocol::auth::DhWork& work);
  void end() { timer_.disarm(); }

 private:
  void send(CommandPermit permit, const protocol::nvme::AuthenticationSend& command,
            bool data_is_ready);
  void receive(CommandPermit permit, const protocol::nvme::AuthenticationReceive& command,
               bool data_is_ready);
  void take(CommandPermit permit, std::span<const std::byte> message);
  void begin();
  void work(CommandPermit permit, std::unique_ptr<protocol::auth::DhWork> work);
  // Before the host is told that it has succeeded: it comes back with the PSK at once.
  void keep_generated_key();
  // Looks at what the last message has come to.
  void follow();
  void succeed();
  void count_failure();
  void give_up(EndReason reason);
  void refuse(CommandPermit permit, const protocol::nvme::Refusal& refusal);

  NvmfTarget& target_;
  const std::shared_ptr<Controller> controller_;
  const std::shared_ptr<SessionHandle> session_;
  CommandPort& port_;
  const std::uint16_t qid_;
  const std::string subsystem_nqn_;
  const AuthenticationDemand demand_;
  const std::function<void()> proved_;

  bool open_;
  bool under_way_ = false;  // a transaction of this queue has neither succeeded nor failed yet
  bool working_ = false;    // Diffie-Hellman is out
  bool failure_counted_ = false;
  std::optional<protocol::auth::DhchapAuthenticator> authenticator_;
  Timer timer_;
};

}  // namespace target::nvmf
