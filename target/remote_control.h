// RemoteControl: the API over TCP, with TLS and tokens, as `control.listen` asks for it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "config/config.h"
#include "engine/foundation/clock.h"
#include "target/control/audit.h"
#include "target/control/control_server.h"
#include "target/control/http_port.h"
#include "target/control/tls_identity.h"
#include "target/control/token_gate.h"
#include "target/control/token_routes.h"
#include "target/control/token_store.h"

namespace target {

// Control thread, but where something else is said.
class RemoteControl {
 public:
  // Connections in all, of one port; and from one network, which is to leave places for others.
  static constexpr std::size_t most_clients = 64;
  static constexpr std::size_t most_of_network = 24;

  // Reads the tokens. `tokens_file`: empty: there can be none. `tell`: of refusals, on the control
  // thread. Main thread, as finish().
  RemoteControl(std::string tokens_file, const engine::Clock& clock, control::TokenGate::Tell tell);
  RemoteControl(const RemoteControl&) = delete;
  RemoteControl& operator=(const RemoteControl&) = delete;

  // What belongs to tokens; any thread.
  [[nodiscard]] std::vector<control::Route> token_routes(const control::Audit& audit) {
    return token_changes_.routes(audit);
  }
  // From then on take() opens ports, which answer by `routes`. `server` runs until finish().
  void serve(control::ControlServer& server, std::vector<control::Route> routes);
  // Opens and closes ports as the configuration has them; those that stay show `identity` to
  // whoever comes from now on.
  void take(const config::Control& wanted, std::shared_ptr<const control::TlsIdentity> identity);
  // Ends the connections of tokens that are revoked.
  void end_revoked();
  // Closes all ports, and waits for a change of the tokens that is under way. Main thread, while
  // the control thread still runs.
  void finish();

  // The certificate that is shown ends in less than three weeks, or has ended: one sentence for the
  // operator.
  [[nodiscard]] std::optional<std::string> expiring() const;
  // Seconds since 1970; nullopt: no certificate is shown.
  [[nodiscard]] std::optional<std::int64_t> expires_at() const;
  [[nodiscard]] const control::GateCounts& counts() const { return gate_->counts(); }
  [[nodiscard]] std::size_t tokens() const { return tokens_->all().size(); }

 private:
  struct Port {
    config::IpEndpoint endpoint;
    bool has_tls = true;
    std::unique_ptr<control::HttpPort> port;
  };
  void open(const config::IpEndpoint& endpoint, bool has_tls);

  const std::shared_ptr<control::TokenStore> tokens_;
  const std::shared_ptr<control::TokenGate> gate_;
  control::TokenChanges token_changes_;
  control::ControlServer* server_ = nullptr;
  std::vector<control::Route> routes_;
  std::shared_ptr<const control::TlsIdentity> identity_;
  std::vector<Port> ports_;
};

}  // namespace target
