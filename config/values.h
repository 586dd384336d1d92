// From the text of one value to the value, or to the sentence that says why not and what to write
// instead. Pure functions of the text; where it stands is the caller's knowledge.
#pragma once

#include <fmt/format.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/node.h"
#include "engine/foundation/result.h"
#include "engine/foundation/units.h"

namespace config {

struct Refusal {
  std::string text;  // of a Message: what; what to do.
};

template <class T>
using Parsed = engine::Result<T, Refusal>;

template <class... Args>
[[nodiscard]] Refusal refuse(fmt::format_string<Args...> form, Args&&... args) {
  return {fmt::format(form, std::forward<Args>(args)...)};
}

// 2TiB, 1.5GiB, 100MB: KiB MiB GiB TiB count in 1024, KB MB GB TB in 1000. At most three decimals,
// and the result is a whole number of bytes.
[[nodiscard]] Parsed<engine::ByteCount> parse_size(std::string_view text);

// 200MiB/s, 1.5GB/s: a size for each second.
[[nodiscard]] Parsed<engine::ByteCount> parse_rate(std::string_view text);

// 500ms, 90s, 5m, 2h, 7d.
[[nodiscard]] Parsed<std::chrono::milliseconds> parse_duration(std::string_view text);

// 2027-01-31T00:00:00Z, of UTC; not beyond 2199, so that any clock of this machine can express it.
[[nodiscard]] Parsed<std::chrono::sys_seconds> parse_time(std::string_view text);

// 40%: whole, of any size.
[[nodiscard]] Parsed<std::uint32_t> parse_percent(std::string_view text);

// A CPU list as the kernel writes it ("0", "2-3,6"), each CPU once, in the order written.
[[nodiscard]] Parsed<std::vector<std::uint32_t>> parse_cpus(std::string_view text);

// Decimal digits without quotes, no leading zero, within the limits.
[[nodiscard]] Parsed<std::uint64_t> parse_integer(const Node& scalar, std::uint64_t min,
                                                  std::uint64_t max);

// true or false without quotes.
[[nodiscard]] Parsed<bool> parse_boolean(const Node& scalar);

// 4398046511104 as "4TiB": the largest unit of which it is a whole number; "B" if none.
[[nodiscard]] std::string size_text(engine::ByteCount size);
// 209715200 as "200MiB/s".
[[nodiscard]] std::string rate_text(engine::ByteCount per_second);
[[nodiscard]] std::string duration_text(std::chrono::milliseconds duration);
[[nodiscard]] std::string time_text(std::chrono::sys_seconds time);

}  // namespace config
