// Commands Supported and Effects (log page 05h) and Feature Identifiers Supported and Effects
// (12h). They list what the parsers accept: a test compares them opcode by opcode.
#pragma once

#include <cstddef>
#include <cstdint>

#include "protocol/nvme/entries.h"

namespace protocol::nvme {

namespace effect_bit {
inline constexpr std::uint32_t supported = 1u << 0;       // CSUPP, FSUPP
inline constexpr std::uint32_t changes_blocks = 1u << 1;  // LBCC: logical block content may change
inline constexpr std::uint32_t changes_namespace = 1u << 2;  // NCC: its capabilities, as the format
// CSE 001b: to be sent while no other command to the same namespace is outstanding.
inline constexpr std::uint32_t alone_in_namespace = 1u << 16;
}  // namespace effect_bit

struct CommandEffectsPage {
  wire_types::U32 admin[256];
  wire_types::U32 io[256];
  std::uint8_t reserved2048[2048];
};
static_assert(sizeof(CommandEffectsPage) == 4096 && alignof(CommandEffectsPage) == 1);
static_assert(offsetof(CommandEffectsPage, io) == 1024);

enum class EffectsOf : std::uint8_t { io_controller, discovery_controller };
// A discovery controller has no I/O commands.
[[nodiscard]] CommandEffectsPage build_command_effects(EffectsOf controller);

struct FeatureEffectsPage {
  wire_types::U32 feature[256];
};
static_assert(sizeof(FeatureEffectsPage) == 1024 && alignof(FeatureEffectsPage) == 1);
// A discovery controller has asynchronous event configuration, keep alive timer and host
// identifier.
[[nodiscard]] FeatureEffectsPage build_feature_effects(EffectsOf controller);
// Whether Get and Set Features know this feature there (volatile_write_cache: never, VWC is 0).
[[nodiscard]] bool has_feature(EffectsOf controller, std::uint8_t feature_id);

}  // namespace protocol::nvme
