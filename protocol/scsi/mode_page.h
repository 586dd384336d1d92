// Mode parameters: what MODE SENSE shows and MODE SELECT may change (SPC-4, "Mode parameters";
// SBC-4, "Mode parameters for direct access block devices"). Nothing is saved: PS is 0.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "engine/foundation/units.h"
#include "protocol/scsi/answer.h"
#include "protocol/scsi/command.h"
#include "protocol/scsi/sense.h"

namespace protocol::scsi {

// What a host can change, and the values that it has after power on.
struct ModeState {
  bool descriptor_sense = false;        // D_SENSE of the Control page
  bool software_write_protect = false;  // SWP of the Control page
  friend constexpr bool operator==(ModeState, ModeState) = default;
};

// What it cannot.
struct ModeFacts {
  engine::BlockCount size{};
  engine::BlockSize block_size{};
  bool write_protected = false;  // WP, of the volume; SWP shows in it too
};

inline constexpr std::uint32_t max_mode_sense_bytes = 128;

// Pages 08h (caching: WCE 0, because what is answered is on stable media), 0Ah, 1Ch and 3Fh.
// Errors: invalid_cdb at byte 2 or 3 for another page or subpage; saving_not_supported for PC
// saved. Nothing is put then.
[[nodiscard]] std::optional<Sense> put_mode_sense(Answer& answer, const ModeSense& command,
                                                  const ModeState& state, const ModeFacts& facts);

// What the state is after the parameter list `data`, which is `command.parameter_bytes` long, or
// shorter where the host sent less. An empty list changes nothing.
// Errors: parameter_list_length_error (1A/00) for lists cut short; invalid_list (26/00) with the
// place for what cannot be changed, another page, or a block descriptor that would format;
// invalid_cdb for a list that is not in page format.
[[nodiscard]] Parsed<ModeState> parse_mode_select(const ModeSelect& command,
                                                  std::span<const std::byte> data,
                                                  const ModeState& state, const ModeFacts& facts);

// No list that is understood is longer.
inline constexpr std::uint32_t max_mode_select_bytes = 128;

}  // namespace protocol::scsi
