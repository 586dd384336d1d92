#include "target/nvmf/async_events.h"

#include <algorithm>

#include "protocol/nvme/features.h"
#include "protocol/nvme/smart_log.h"

namespace target::nvmf {

namespace nvme = protocol::nvme;

namespace {

struct Definition {
  std::uint32_t configuration_bit;  // 0: always told (reservations have a mask of their own)
  nvme::AsyncEvent event;
};
// By AsyncEvents::Kind.
constexpr std::array<Definition, 7> definitions{{
    {nvme::event_bit::namespace_attribute, nvme::event::namespace_attribute_changed},
    {nvme::event_bit::ana_change, nvme::event::ana_change},
    {nvme::event_bit::discovery_log_change, nvme::event::discovery_log_change},
    {nvme::critical_warning::temperature, nvme::event::temperature_threshold},
    {nvme::critical_warning::reliability_degraded, nvme::event::subsystem_reliability},
    {0, nvme::event::reservation_notification},
    {nvme::event_bit::normal_shutdown, nvme::event::normal_shutdown},
}};

}  // namespace

bool AsyncEvents::waiting(std::size_t kind) const {
  const State& state = states_[kind];
  const std::uint32_t bit = definitions[kind].configuration_bit;
  return (bit == 0 || (configured_ & bit) != 0) && !state.masked && state.happened > state.shown;
}

bool AsyncEvents::waiting() const {
  for (std::size_t kind = 0; kind < kinds; ++kind) {
    if (waiting(kind)) return true;
  }
  return false;
}

bool AsyncEvents::raise(Kind kind) { return raise_to(kind, state(kind).happened + 1); }

bool AsyncEvents::raise_to(Kind kind, std::uint64_t count) {
  state(kind).happened = std::max(state(kind).happened, count);
  return waiting(static_cast<std::size_t>(kind));
}

void AsyncEvents::settle(Kind kind) { log_page_read(kind, state(kind).happened); }

std::optional<nvme::AsyncEvent> AsyncEvents::take() {
  for (std::size_t kind = 0; kind < kinds; ++kind) {
    if (!waiting(kind)) continue;
    states_[kind].masked = true;
    states_[kind].told = states_[kind].happened;
    return definitions[kind].event;
  }
  return std::nullopt;
}

void AsyncEvents::log_page_read(std::uint8_t log_id) {
  for (std::size_t kind = 0; kind < kinds; ++kind) {
    const nvme::AsyncEvent& event = definitions[kind].event;
    if (event.type != nvme::EventType::immediate && event.log_page == log_id) {
      settle(static_cast<Kind>(kind));
    }
  }
}

void AsyncEvents::log_page_read(Kind kind, std::uint64_t count) {
  State& read = state(kind);
  read.shown = std::max(read.shown, count);
  if (read.shown >= read.told) read.masked = false;
}

void AsyncEvents::reset() {
  configured_ = 0;
  for (std::size_t kind = 0; kind < kinds; ++kind) settle(static_cast<Kind>(kind));
}

}  // namespace target::nvmf
