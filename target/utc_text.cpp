#include "target/utc_text.h"

#include <fmt/chrono.h>

#include <ctime>

namespace target {

std::string utc_text(std::uint64_t ms) {
  const auto seconds = static_cast<std::time_t>(ms / 1000);
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  return fmt::format("{:%Y-%m-%d %H:%M} UTC", parts);
}

}  // namespace target
