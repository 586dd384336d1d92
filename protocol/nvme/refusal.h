// Why a command is not carried out: everything its completion and its Error Information entry need.
#pragma once

#include <cstdint>

#include "engine/foundation/result.h"
#include "protocol/nvme/status.h"

namespace protocol::nvme {

// Parameter Error Location (Error Information log page, bytes 14..15): the byte of the submission
// entry and the bit in it that is wrong; FFFFh when no single parameter is.
struct ParameterLocation {
  std::uint16_t value = 0xffff;
  friend constexpr bool operator==(ParameterLocation, ParameterLocation) = default;
};
constexpr ParameterLocation at_byte(unsigned byte, unsigned bit = 0) {
  return {static_cast<std::uint16_t>((byte & 0xffu) | ((bit & 7u) << 8))};
}
// A bit of command dword `dword` (0..15), for example CDW12 bit 30.
constexpr ParameterLocation at_dword(unsigned dword, unsigned bit = 0) {
  return at_byte(dword * 4 + bit / 8, bit % 8);
}

struct Refusal {
  Status status{};
  ParameterLocation location{};
  // Of the completion: Connect's IPO and IATTR, Copy's lowest source range that was not copied.
  std::uint32_t dword0 = 0;
  friend constexpr bool operator==(const Refusal&, const Refusal&) = default;
};

// The same, but the command may succeed later.
constexpr Refusal may_try_again(const Refusal& refusal) {
  return {refusal.status.with_do_not_retry(false), refusal.location, refusal.dword0};
}

template <class T>
using Parsed = engine::Result<T, Refusal>;

}  // namespace protocol::nvme
