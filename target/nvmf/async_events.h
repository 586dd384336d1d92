// AsyncEvents: which event notifications a controller owes its host (Base 2.1, "Asynchronous Event
// Request").
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "protocol/nvme/async_event.h"

namespace target::nvmf {

// Guarded by its controller's lock. For each kind of event at most one notification is out: from
// when it is taken until the host has read the log page that says more, further events of that kind
// are only in the page.
class AsyncEvents {
 public:
  enum class Kind : std::uint8_t { namespace_attribute, ana_change, discovery_log, temperature };

  // Feature 0Bh: what the host wants to be told. Events of other kinds are forgotten.
  void configure(std::uint32_t event_bits);
  [[nodiscard]] std::uint32_t configuration() const { return configured_; }

  // True if there is something to take now.
  bool raise(Kind kind);
  // The next notification for an outstanding request; its kind is masked from now on.
  [[nodiscard]] std::optional<protocol::nvme::AsyncEvent> take();
  // The host has read this log page without Retain Asynchronous Event.
  void log_page_read(std::uint8_t log_id);
  // Controller reset: nothing is configured, pending or masked.
  void reset() { *this = AsyncEvents(); }

 private:
  static constexpr std::size_t kinds = 4;
  struct State {
    bool pending = false;
    bool masked = false;
  };
  [[nodiscard]] bool configured(std::size_t kind) const;

  std::uint32_t configured_ = 0;
  std::array<State, kinds> states_{};
};

}  // namespace target::nvmf
