#include "protocol/nvme/properties.h"

namespace protocol::nvme {

namespace {
constexpr std::uint64_t bit_if(bool set, unsigned bit) { return set ? std::uint64_t{1} << bit : 0; }
constexpr bool has_bit(std::uint64_t value, unsigned bit) { return ((value >> bit) & 1u) != 0; }
constexpr std::uint32_t bit_if_32(bool set, unsigned bit) {
  return set ? std::uint32_t{1} << bit : 0;
}
}  // namespace

std::uint64_t ControllerCapabilities::encode() const {
  constexpr unsigned contiguous_queues_required = 16;
  return ((max_queue_entries - 1) & 0xffffu) | bit_if(true, contiguous_queues_required) |
         (std::uint64_t{timeout_500ms} << 24) | bit_if(subsystem_reset, 36) |
         bit_if(nvm_command_set, 37) | bit_if(all_io_command_sets, 43) |
         bit_if(no_io_command_set, 44) | bit_if(ready_with_media, 59);
}

ControllerCapabilities ControllerCapabilities::decode(std::uint64_t cap) {
  return {.max_queue_entries = static_cast<std::uint32_t>(cap & 0xffffu) + 1,
          .timeout_500ms = static_cast<std::uint8_t>(cap >> 24),
          .nvm_command_set = has_bit(cap, 37),
          .all_io_command_sets = has_bit(cap, 43),
          .no_io_command_set = has_bit(cap, 44),
          .subsystem_reset = has_bit(cap, 36),
          .ready_with_media = has_bit(cap, 59)};
}

std::uint32_t ControllerConfiguration::encode() const {
  return bit_if_32(enable, 0) | ((command_set & 7u) << 4) | ((memory_page_size & 0xfu) << 7) |
         ((arbitration & 7u) << 11) | (static_cast<std::uint32_t>(shutdown) << 14) |
         ((submission_entry_log2 & 0xfu) << 16) | ((completion_entry_log2 & 0xfu) << 20) |
         bit_if_32(ready_independent_of_media, 24);
}

ControllerConfiguration ControllerConfiguration::decode(std::uint32_t cc) {
  return {.enable = has_bit(cc, 0),
          .command_set = static_cast<std::uint8_t>((cc >> 4) & 7u),
          .memory_page_size = static_cast<std::uint8_t>((cc >> 7) & 0xfu),
          .arbitration = static_cast<std::uint8_t>((cc >> 11) & 7u),
          .shutdown = static_cast<ShutdownNotification>((cc >> 14) & 3u),
          .submission_entry_log2 = static_cast<std::uint8_t>((cc >> 16) & 0xfu),
          .completion_entry_log2 = static_cast<std::uint8_t>((cc >> 20) & 0xfu),
          .ready_independent_of_media = has_bit(cc, 24)};
}

std::uint32_t ControllerStatus::encode() const {
  return bit_if_32(ready, 0) | bit_if_32(fatal, 1) | (static_cast<std::uint32_t>(shutdown) << 2) |
         bit_if_32(subsystem_reset_occurred, 4) | bit_if_32(processing_paused, 5);
}

ControllerStatus ControllerStatus::decode(std::uint32_t csts) {
  return {.ready = has_bit(csts, 0),
          .fatal = has_bit(csts, 1),
          .shutdown = static_cast<ShutdownStatus>((csts >> 2) & 3u),
          .subsystem_reset_occurred = has_bit(csts, 4),
          .processing_paused = has_bit(csts, 5)};
}

}  // namespace protocol::nvme
