// Properties: the registers of one controller (Base 2.1, "Controller Properties") and what writing
// them does.
#pragma once

#include <cstdint>

#include "protocol/nvme/fabrics_command.h"
#include "protocol/nvme/properties.h"
#include "protocol/nvme/refusal.h"

namespace target::nvmf {

// Guarded by its controller's lock. Nothing is cached or warmed up here, so that enabling,
// disabling and shutting down are done when the Property Set is answered.
class Properties {
 public:
  explicit Properties(const protocol::nvme::ControllerCapabilities& capabilities)
      : capabilities_(capabilities) {}

  // Refusal: invalid_field for a property that does not exist or is not of this size.
  [[nodiscard]] protocol::nvme::Parsed<std::uint64_t> get(
      const protocol::nvme::PropertyGet& command) const;

  enum class Effect : std::uint8_t {
    none,
    enabled,    // CC.EN 0 -> 1: commands may come
    disabled,   // CC.EN 1 -> 0: Controller Level Reset
    shut_down,  // CC.SHN: no command any more until the next reset
    failed,     // an impossible configuration: CSTS.CFS
  };
  // Refusal: invalid_field for everything but CC.
  [[nodiscard]] protocol::nvme::Parsed<Effect> set(const protocol::nvme::PropertySet& command);

  // Admin and I/O commands are executed.
  [[nodiscard]] bool ready() const {
    return status_.ready && !status_.fatal &&
           status_.shutdown == protocol::nvme::ShutdownStatus::normal_operation;
  }
  [[nodiscard]] const protocol::nvme::ControllerCapabilities& capabilities() const {
    return capabilities_;
  }
  [[nodiscard]] const protocol::nvme::ControllerStatus& status() const { return status_; }
  [[nodiscard]] const protocol::nvme::ControllerConfiguration& configuration() const {
    return configuration_;
  }
  // The association ends by the controller's own decision (Keep Alive Timeout).
  void fail() { status_.fatal = true; }

 private:
  [[nodiscard]] Effect configure(const protocol::nvme::ControllerConfiguration& wanted);
  [[nodiscard]] bool possible(const protocol::nvme::ControllerConfiguration& wanted) const;

  const protocol::nvme::ControllerCapabilities capabilities_;
  protocol::nvme::ControllerConfiguration configuration_;
  protocol::nvme::ControllerStatus status_;
};

}  // namespace target::nvmf
