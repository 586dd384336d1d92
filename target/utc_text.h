// utc_text: a moment, for people.
#pragma once

#include <cstdint>
#include <string>

namespace target {

// Of milliseconds since 1970: "2026-11-20 09:12 UTC".
[[nodiscard]] std::string utc_text(std::uint64_t ms);

}  // namespace target
