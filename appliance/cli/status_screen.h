// `forebayctl status`: one screen, trouble first, with its cause and what to do.
#pragma once

#include <boost/json/value.hpp>
#include <cstdint>
#include <string>

namespace cli {

// `status` is the daemon's /v1/status; `rates` what volumes do at this moment, as rates_between()
// has it, or null. `now_ms` since 1970. Readable on 80 columns without colour.
[[nodiscard]] std::string status_screen(const boost::json::value& status,
                                        const boost::json::value& rates, std::uint64_t now_ms);

// "2.0 TiB", "512 MiB".
[[nodiscard]] std::string size_text(std::uint64_t bytes);
// "12d 4h", "3m 20s".
[[nodiscard]] std::string duration_text(std::uint64_t seconds);

}  // namespace cli
