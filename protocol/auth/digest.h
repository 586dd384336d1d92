// SHA-256 of a text.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>

namespace protocol::auth {

using Sha256 = std::array<std::byte, 32>;
[[nodiscard]] Sha256 sha256(std::string_view text);

}  // namespace protocol::auth
