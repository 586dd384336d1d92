// AccessState: how a volume is reached by one way: a listener, or a namespace for want of its
// volume.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace target::block {

// As NVMe numbers them (Base 2.1, "Asymmetric Namespace Access States").
enum class AccessState : std::uint8_t {
  optimized = 1,
  non_optimized = 2,
  inaccessible = 3,
  persistent_loss = 4,
  change = 0xf
};

[[nodiscard]] constexpr bool is_reached(AccessState state) {
  return state == AccessState::optimized || state == AccessState::non_optimized;
}

// Of a way that leads through both.
[[nodiscard]] constexpr AccessState worse_of(AccessState a, AccessState b) {
  constexpr AccessState gravest_first[] = {AccessState::persistent_loss, AccessState::inaccessible,
                                           AccessState::change, AccessState::non_optimized};
  for (const AccessState state : gravest_first) {
    if (a == state || b == state) return state;
  }
  return AccessState::optimized;
}

// As the operator says it, and status.
[[nodiscard]] constexpr const char* text(AccessState state) {
  switch (state) {
    case AccessState::optimized:
      return "optimized";
    case AccessState::non_optimized:
      return "non-optimized";
    case AccessState::inaccessible:
      return "inaccessible";
    case AccessState::persistent_loss:
      return "persistent-loss";
    case AccessState::change:
      return "change";
  }
  return "";
}
[[nodiscard]] constexpr std::optional<AccessState> access_state_of(std::string_view word) {
  for (const auto state :
       {AccessState::optimized, AccessState::non_optimized, AccessState::inaccessible,
        AccessState::persistent_loss, AccessState::change}) {
    if (word == text(state)) return state;
  }
  return std::nullopt;
}

}  // namespace target::block
