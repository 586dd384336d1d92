// Texts and figures as the status page has them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace target::control {

// As text or an attribute's value of HTML, whatever it holds: markup is not markup any more, and
// what is no UTF-8 or a control character is shown as U+FFFD.
[[nodiscard]] std::string escaped(std::string_view text);

// "41.2k", "310", "0.4".
[[nodiscard]] std::string count_text(double count);
// "2.0 TiB".
[[nodiscard]] std::string bytes_text(double bytes);
// "310 µs", "4.2 ms", "1.5 s".
[[nodiscard]] std::string latency_text(double microseconds);
// "12d 4h", "3m 20s".
[[nodiscard]] std::string age_text(std::uint64_t seconds);

}  // namespace target::control
