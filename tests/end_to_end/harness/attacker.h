// A connection that breaks rules: raw PDUs at any stage of its life, and what became of it.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/end_to_end/harness/host.h"
#include "tests/end_to_end/harness/process.h"

namespace end_to_end {

// Attackers work on a subsystem and a volume of their own, so that a bystander's data stays what it
// is.
constexpr const char* prey_subsystem = "nqn.2026-11.com.example:prey";

// memory_config() with the prey: NSID 1, 4096-byte blocks, 16 MiB.
[[nodiscard]] ConfigText attack_config();

// How far a connection got before it misbehaves.
enum class Stage {
  fresh,       // TCP only
  negotiated,  // after ICResp
  admin,       // after Connect to the admin queue, controller enabled
  io,          // after Connect to an I/O queue of 32 entries
};

class Attacker {
 public:
  explicit Attacker(const client::Endpoint& endpoint, Stage stage,
                    const client::TransportOptions& transport = {});

  [[nodiscard]] client::RawConnection& raw() { return *raw_; }
  // Stages negotiated to io.
  [[nodiscard]] client::Queue& queue() { return *queue_; }
  [[nodiscard]] client::Controller& controller() { return *controller_; }
  [[nodiscard]] bool ready() const { return raw_ != nullptr; }

  // The C2HTermReq that ends the connection; nullopt and a test failure when it ends otherwise or
  // not at all. Other PDUs before it are skipped. `time_out` covers the closing too.
  std::optional<client::Termination> await_termination(
      Milliseconds time_out = client::default_time_out);
  // Waits for the end, whatever comes before it; fails the test when the connection stays up.
  void await_end(Milliseconds time_out = client::default_time_out);

 private:
  std::unique_ptr<client::Controller> controller_;
  std::unique_ptr<client::Queue> queue_owner_;
  client::Queue* queue_ = nullptr;
  std::unique_ptr<client::RawConnection> raw_owner_;
  client::RawConnection* raw_ = nullptr;
};

}  // namespace end_to_end
