// Data that an Admin or Fabrics command brings from its host: in its capsule, or fetched.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "protocol/nvme/sgl.h"
#include "target/nvmf/command.h"

namespace target::nvmf {

// What an SGL may describe although the command needs less.
inline constexpr std::uint32_t most_admin_data_bytes = 8192;

// The first `needed` bytes of the command's data. A refusal is the caller's to answer. nullopt:
// they have to be fetched by receive_from_host(length_of(pointer)) first, and data_ready() comes
// here again.
[[nodiscard]] inline protocol::nvme::Parsed<std::optional<std::span<const std::byte>>> host_data(
    const Command& command, const protocol::nvme::DataPointer& pointer, engine::ByteCount needed,
    bool data_is_ready) {
  namespace nvme = protocol::nvme;
  using Found = std::optional<std::span<const std::byte>>;
  const auto too_short = nvme::Refusal{nvme::status::data_sgl_length_invalid, nvme::at_byte(32)};
  const auto arrived = command.buffer.bytes().first(command.data_bytes);
  if (const auto* inside = std::get_if<nvme::InCapsuleData>(&pointer)) {
    TRY(const auto view, nvme::in_capsule_bytes(*inside, arrived));
    if (view.size() < needed.value) return too_short;
    return Found{view.first(needed.value)};
  }
  if (nvme::length_of(pointer).value > most_admin_data_bytes) return too_short;
  if (!data_is_ready) return Found{};
  if (arrived.size() < needed.value) return too_short;
  return Found{arrived.first(needed.value)};
}

}  // namespace target::nvmf
