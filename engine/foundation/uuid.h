// UUIDs (RFC 9562): the only source of every identity that a host sees.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace engine {

struct Uuid {
  std::array<std::byte, 16> bytes{};  // network order, as NVMe (CNS 03h, NIDT 3h) and text have it

  // NOLINTNEXTLINE(modernize-use-nullptr): clang-tidy 14 means the default's own zero.
  friend auto operator<=>(const Uuid&, const Uuid&) = default;
  [[nodiscard]] bool is_nil() const { return *this == Uuid{}; }
  [[nodiscard]] std::string text() const;  // 36 characters, lower case

  // Version 4, from the kernel's randomness.
  static Uuid random();
  // The 36-character form, either case; nullopt for anything else.
  static std::optional<Uuid> parse(std::string_view text);
};

}  // namespace engine
