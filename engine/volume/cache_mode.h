// CacheMode: what the cache of a volume does with what passes.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace engine {

// In every mode an answered write is durable, and a read finds what the cache has.
enum class CacheMode : std::uint8_t {
  write_back,     // a write is answered when the cache has it
  write_through,  // when the backing has it, too
  write_around,   // writes go straight to the backing; what is read often enough is kept
  pass_through,   // the same, and nothing more is kept
  read_only,      // nothing is written
};
inline constexpr std::array cache_modes{CacheMode::write_back, CacheMode::write_through,
                                        CacheMode::write_around, CacheMode::pass_through,
                                        CacheMode::read_only};

[[nodiscard]] constexpr std::string_view text(CacheMode mode) {
  constexpr std::array<std::string_view, 5> texts{"write-back", "write-through", "write-around",
                                                  "pass-through", "read-only"};
  return texts.at(static_cast<std::size_t>(mode));
}

[[nodiscard]] constexpr std::optional<CacheMode> parse_cache_mode(std::string_view name) {
  for (const CacheMode mode : cache_modes) {
    if (text(mode) == name) return mode;
  }
  return std::nullopt;
}

// Writes do not go into the cache, unless it has some that the backing lacks.
[[nodiscard]] constexpr bool goes_around(CacheMode mode) {
  return mode == CacheMode::write_around || mode == CacheMode::pass_through;
}

}  // namespace engine
