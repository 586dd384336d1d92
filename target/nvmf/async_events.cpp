#include "target/nvmf/async_events.h"

#include "protocol/nvme/features.h"
#include "protocol/nvme/smart_log.h"

namespace target::nvmf {

namespace nvme = protocol::nvme;

namespace {

struct Definition {
  std::uint32_t configuration_bit;
  nvme::AsyncEvent event;
};
// By AsyncEvents::Kind.
constexpr std::array<Definition, 4> definitions{{
    {nvme::event_bit::namespace_attribute, nvme::event::namespace_attribute_changed},
    {nvme::event_bit::ana_change, nvme::event::ana_change},
    {nvme::event_bit::discovery_log_change, nvme::event::discovery_log_change},
    {nvme::critical_warning::temperature, nvme::event::temperature_threshold},
}};

}  // namespace

bool AsyncEvents::configured(std::size_t kind) const {
  return (configured_ & definitions[kind].configuration_bit) != 0;
}

void AsyncEvents::configure(std::uint32_t event_bits) {
  configured_ = event_bits;
  for (std::size_t kind = 0; kind < kinds; ++kind) {
    if (!configured(kind)) states_[kind].pending = false;
  }
}

bool AsyncEvents::raise(Kind kind) {
  const auto index = static_cast<std::size_t>(kind);
  State& state = states_[index];
  if (!configured(index) || state.masked) return false;
  state.pending = true;
  return true;
}

std::optional<nvme::AsyncEvent> AsyncEvents::take() {
  for (std::size_t kind = 0; kind < kinds; ++kind) {
    State& state = states_[kind];
    if (!state.pending) continue;
    state = {.pending = false, .masked = true};
    return definitions[kind].event;
  }
  return std::nullopt;
}

void AsyncEvents::log_page_read(std::uint8_t log_id) {
  for (std::size_t kind = 0; kind < kinds; ++kind) {
    if (definitions[kind].event.log_page == log_id) states_[kind] = {};
  }
}

}  // namespace target::nvmf
