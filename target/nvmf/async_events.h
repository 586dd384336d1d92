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
//
// Events are counted whether the host wants to be told or not, and so is how far the log page goes
// that it has read: a host that reads the page first and asks for notifications then (Linux does)
// hears of what came between, and no page hides an event that is newer than it.
class AsyncEvents {
 public:
  enum class Kind : std::uint8_t {
    namespace_attribute,
    ana_change,
    discovery_log,
    temperature,
    reliability,
    reservation,
    shutdown,  // no log page says more: it is told once, and for good
  };

  // Feature 0Bh: what the host wants to be told.
  void configure(std::uint32_t event_bits) { configured_ = event_bits; }
  [[nodiscard]] std::uint32_t configuration() const { return configured_; }

  // True if there is something to take now.
  bool raise(Kind kind);
  // For a kind that is counted elsewhere: the count is now this. It never goes back.
  bool raise_to(Kind kind, std::uint64_t count);
  // What has happened of this kind so far needs no telling any more: the host has found it when it
  // came, or it is over.
  void settle(Kind kind);
  // take() would return something.
  [[nodiscard]] bool waiting() const;
  // The next notification for an outstanding request; its kind is masked from now on.
  [[nodiscard]] std::optional<protocol::nvme::AsyncEvent> take();
  // The host reads this log page without Retain Asynchronous Event. Before the page is made: what
  // happens later may be missing in it.
  void log_page_read(std::uint8_t log_id);
  // The same for a page that was made when the count was this. An event that is newer stays.
  void log_page_read(Kind kind, std::uint64_t count);
  // Controller reset: nothing is configured or masked, and what has happened is settled.
  void reset();

 private:
  static constexpr std::size_t kinds = 7;
  struct State {
    std::uint64_t happened = 0;
    std::uint64_t shown = 0;  // in the newest page that the host has read
    std::uint64_t told = 0;   // when the last notification was taken
    bool masked = false;
  };
  [[nodiscard]] bool waiting(std::size_t kind) const;
  [[nodiscard]] State& state(Kind kind) { return states_[static_cast<std::size_t>(kind)]; }

  std::uint32_t configured_ = 0;
  std::array<State, kinds> states_{};
};

}  // namespace target::nvmf
