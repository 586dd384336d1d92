// Points of time for people.
#pragma once

#include <cstdint>
#include <string>

namespace cli {

[[nodiscard]] std::uint64_t now_ms();  // since 1970
// "2026-11-29 02:14:07 UTC"
[[nodiscard]] std::string time_text(std::uint64_t ms);

}  // namespace cli
