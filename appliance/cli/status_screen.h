// `forebayctl status`: one screen, trouble first, with its cause and what to do.
#pragma once

#include <boost/json/value.hpp>
#include <string>

namespace cli {

// `status` is the daemon's /v1/status; `activity` what volumes do at this moment, a table. Readable
// on 80 columns without colour.
[[nodiscard]] std::string status_screen(const boost::json::value& status,
                                        const std::string& activity = {});

// "2.0 TiB", "512 MiB".
[[nodiscard]] std::string size_text(std::uint64_t bytes);
// "12d 4h", "3m 20s".
[[nodiscard]] std::string duration_text(std::uint64_t seconds);

}  // namespace cli
