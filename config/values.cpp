#include "config/values.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <optional>
#include <span>

#include "config/character.h"
#include "config/report.h"
#include "config/yaml_traps.h"

namespace config {
namespace {

using std::string_view;

struct Unit {
  string_view name;
  std::uint64_t factor;
};

// What a family of units is called in messages.
struct Measure {
  std::span<const Unit> units;
  string_view noun;
  string_view list;                       // of all units
  std::array<string_view, 2> suggestion;  // for a number without one
};

constexpr std::array<Unit, 8> size_units{{{"KiB", 1ULL << 10},
                                          {"MiB", 1ULL << 20},
                                          {"GiB", 1ULL << 30},
                                          {"TiB", 1ULL << 40},
                                          {"KB", 1'000},
                                          {"MB", 1'000'000},
                                          {"GB", 1'000'000'000},
                                          {"TB", 1'000'000'000'000}}};
constexpr Measure size_measure{
    size_units, "size", "KiB MiB GiB TiB, or KB MB GB TB", {"MiB", "GiB"}};

constexpr std::array<Unit, 8> rate_units{{{"KiB/s", 1ULL << 10},
                                          {"MiB/s", 1ULL << 20},
                                          {"GiB/s", 1ULL << 30},
                                          {"TiB/s", 1ULL << 40},
                                          {"KB/s", 1'000},
                                          {"MB/s", 1'000'000},
                                          {"GB/s", 1'000'000'000},
                                          {"TB/s", 1'000'000'000'000}}};
constexpr Measure rate_measure{
    rate_units, "rate", "KiB/s MiB/s GiB/s TiB/s, or KB/s MB/s GB/s TB/s", {"MiB/s", "GiB/s"}};

constexpr std::array<Unit, 5> duration_units{
    {{"ms", 1}, {"s", 1'000}, {"m", 60'000}, {"h", 3'600'000}, {"d", 86'400'000}}};
constexpr Measure duration_measure{duration_units, "duration", "ms s m h d", {"s", "m"}};

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

std::optional<std::uint64_t> whole_number(string_view digits) {
  std::uint64_t number = 0;
  const auto [end, problem] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (problem != std::errc{} || end != digits.data() + digits.size()) return std::nullopt;
  return number;
}

// The unit that `wrong` was meant to be: other capitals, or only its first letters (G, Gi).
string_view meant_unit(string_view wrong, const Measure& measure) {
  for (const Unit& unit : measure.units) {
    if (wrong.size() <= unit.name.size() &&
        std::ranges::equal(wrong, unit.name.substr(0, wrong.size()), {}, lower, lower)) {
      return unit.name;
    }
  }
  return {};
}

Refusal unknown_unit(string_view number, string_view unit, const Measure& measure) {
  const string_view blanks = unit.substr(0, std::min(unit.find_first_not_of(' '), unit.size()));
  const string_view meant = meant_unit(unit.substr(blanks.size()), measure);
  if (!blanks.empty() && !meant.empty()) {
    return refuse("\"{}{}\" has a blank before the unit; write {}{}.", printable(number),
                  printable(unit), printable(number), meant);
  }
  if (!meant.empty()) {
    return refuse("unknown unit {}; did you mean {}{}? ({})", in_quotes(unit), printable(number),
                  meant, measure.list);
  }
  return refuse("unknown unit {}; use one of {}.", in_quotes(unit), measure.list);
}

// `number` digits with at most three decimals, times factor; nullopt if too large or not whole.
std::optional<std::uint64_t> scaled(string_view number, std::uint64_t factor) {
  const std::size_t point = number.find('.');
  const auto whole = whole_number(number.substr(0, point));
  std::uint64_t total = 0;
  if (!whole || __builtin_mul_overflow(*whole, factor, &total)) return std::nullopt;
  if (point == string_view::npos) return total;
  const string_view decimals = number.substr(point + 1);
  if (decimals.size() > 3) return std::nullopt;
  std::uint64_t divisor = 1;
  for (std::size_t i = 0; i < decimals.size(); ++i) divisor *= 10;
  const std::uint64_t part = *whole_number(decimals) * factor;  // below 1000 * 2^40
  if (part % divisor != 0 || __builtin_add_overflow(total, part / divisor, &total)) {
    return std::nullopt;
  }
  return total;
}

Parsed<std::uint64_t> parse_measure(string_view text, const Measure& measure) {
  std::size_t end = 0;
  while (end < text.size() && is_digit(text[end])) ++end;
  if (end > 0 && end + 1 < text.size() && text[end] == '.' && is_digit(text[end + 1])) {
    for (++end; end < text.size() && is_digit(text[end]);) ++end;
  }
  const string_view number = text.substr(0, end);
  const string_view unit = text.substr(end);
  const auto& [first, second] = measure.suggestion;
  if (is_base_60(text)) {
    return refuse("{} is a base-60 number in YAML 1.1, not a {}; write 90{}, for example ({}).",
                  printable(text), measure.noun, first, measure.list);
  }
  if (number.empty()) {
    return refuse("{} is not a {}; write a number and a unit, for example 10{} ({}).",
                  in_quotes(text), measure.noun, first, measure.list);
  }
  if (unit.empty()) {
    return refuse("{} has no unit; write {}{}, {}{} ... ({}).", in_quotes(text), printable(number),
                  first, printable(number), second, measure.list);
  }
  const auto known = std::ranges::find(measure.units, unit, &Unit::name);
  if (known == measure.units.end()) return unknown_unit(number, unit, measure);
  if (const auto total = scaled(number, known->factor)) return *total;
  return refuse(
      "{} is too large or too fine; write a number with at most three decimals and a fitting unit "
      "({}).",
      in_quotes(text), measure.list);
}

std::string in_largest_unit(std::uint64_t value, const Measure& measure, string_view smallest) {
  const Unit* best = nullptr;
  for (const Unit& unit : measure.units) {
    if (value % unit.factor == 0 && (best == nullptr || unit.factor > best->factor)) best = &unit;
  }
  if (best == nullptr || value == 0) return fmt::format("{}{}", value, smallest);
  return fmt::format("{}{}", value / best->factor, best->name);
}

std::string integer_trap(const Node& scalar) {
  const string_view text = scalar.text;
  if (!scalar.plain) {
    const bool digits = !text.empty() && std::ranges::all_of(text, is_digit);
    return digits ? fmt::format("{} is a string; write {} without quotes.", in_quotes(text),
                                printable(text))
                  : std::string{};
  }
  if (is_base_60(text)) {
    return fmt::format("{} is a base-60 number in YAML 1.1; write a plain decimal number.",
                       printable(text));
  }
  if (text.size() > 1 && text[0] == '0' && std::ranges::all_of(text, is_digit)) {
    const std::size_t start = std::min(text.find_first_not_of('0'), text.size() - 1);
    return fmt::format(
        "{} is octal in YAML 1.1 and decimal in YAML 1.2; write {} without the leading zero.",
        printable(text), printable(text.substr(start)));
  }
  if (is_number(text) && text.find_first_not_of("0123456789+-.eE") != string_view::npos) {
    return fmt::format("{} is not a plain decimal number; write only the digits 0 to 9.",
                       printable(text));
  }
  return {};
}

}  // namespace

Parsed<engine::ByteCount> parse_size(string_view text) {
  TRY(const auto bytes, parse_measure(text, size_measure));
  return engine::ByteCount{bytes};
}

Parsed<engine::ByteCount> parse_rate(string_view text) {
  TRY(const auto bytes, parse_measure(text, rate_measure));
  return engine::ByteCount{bytes};
}

Parsed<std::chrono::milliseconds> parse_duration(string_view text) {
  TRY(const auto milliseconds, parse_measure(text, duration_measure));
  constexpr std::uint64_t century = 36'500ULL * 86'400'000;
  if (milliseconds > century)
    return refuse("{} is too long; write a shorter duration.", in_quotes(text));
  return std::chrono::milliseconds{milliseconds};
}

Parsed<std::chrono::sys_seconds> parse_time(string_view text) {
  constexpr string_view form = "dddd-dd-ddTdd:dd:ddZ";
  constexpr unsigned last_year = 2199;
  const Refusal wrong = refuse(
      "{} is no time; write one of UTC, for example \"2027-01-31T00:00:00Z\".", in_quotes(text));
  if (text.size() != form.size()) return wrong;
  for (std::size_t i = 0; i < form.size(); ++i) {
    const bool is_digit = text[i] >= '0' && text[i] <= '9';
    if (form[i] == 'd' ? !is_digit : text[i] != form[i]) return wrong;
  }
  const auto number = [&](std::size_t at, std::size_t digits) {
    unsigned value = 0;
    for (const char c : text.substr(at, digits))
      value = value * 10 + static_cast<unsigned>(c - '0');
    return value;
  };
  const std::chrono::year_month_day day{std::chrono::year(static_cast<int>(number(0, 4))),
                                        std::chrono::month(number(5, 2)),
                                        std::chrono::day(number(8, 2))};
  if (number(0, 4) > last_year) {
    return refuse("{} is too far ahead; write a time before {}.", in_quotes(text), last_year + 1);
  }
  if (!day.ok() || number(11, 2) > 23 || number(14, 2) > 59 || number(17, 2) > 59) return wrong;
  return std::chrono::sys_days(day) + std::chrono::hours(number(11, 2)) +
         std::chrono::minutes(number(14, 2)) + std::chrono::seconds(number(17, 2));
}

std::string time_text(std::chrono::sys_seconds time) {
  const auto midnight = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day day(midnight);
  const auto seconds = static_cast<unsigned>((time - midnight).count());
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", static_cast<int>(day.year()),
                     static_cast<unsigned>(day.month()), static_cast<unsigned>(day.day()),
                     seconds / 3600, seconds / 60 % 60, seconds % 60);
}

Parsed<std::uint32_t> parse_percent(string_view text) {
  constexpr std::uint64_t largest = 1'000'000;
  const bool has_sign = text.ends_with('%');
  const auto number = whole_number(text.substr(0, text.size() - (has_sign ? 1 : 0)));
  if (!number || *number > largest) {
    return refuse("{} is not a percentage; write a whole number and %, for example 40%.",
                  in_quotes(text));
  }
  if (!has_sign) return refuse("{} has no unit; write {}%.", in_quotes(text), *number);
  return static_cast<std::uint32_t>(*number);
}

Parsed<std::vector<std::uint32_t>> parse_cpus(string_view text) {
  constexpr std::uint64_t highest_cpu = 4095;
  const Refusal wrong =
      refuse("{} is not a list of CPUs; write numbers and ranges, for example \"2-3,6\".",
             in_quotes(text));
  std::vector<std::uint32_t> cpus;
  while (true) {
    const std::size_t comma = text.find(',');
    const string_view part = text.substr(0, comma);
    const std::size_t dash = part.find('-');
    const auto first = whole_number(part.substr(0, dash));
    const auto last = dash == string_view::npos ? first : whole_number(part.substr(dash + 1));
    if (!first || !last || *first > *last || *last > highest_cpu) return wrong;
    for (std::uint64_t cpu = *first; cpu <= *last; ++cpu) {
      if (std::ranges::count(cpus, cpu) > 0) {
        return refuse("CPU {} is named twice; name each once.", cpu);
      }
      cpus.push_back(static_cast<std::uint32_t>(cpu));
    }
    if (comma == string_view::npos) return cpus;
    text.remove_prefix(comma + 1);
  }
}

Parsed<std::uint64_t> parse_integer(const Node& scalar, std::uint64_t min, std::uint64_t max) {
  if (std::string trap = integer_trap(scalar); !trap.empty()) return Refusal{std::move(trap)};
  const auto number = scalar.plain ? whole_number(scalar.text) : std::nullopt;
  if (!number || *number < min || *number > max) {
    return refuse("{} is not a whole number from {} to {}.", in_quotes(scalar.text), min, max);
  }
  return *number;
}

Parsed<bool> parse_boolean(const Node& scalar) {
  const string_view text = scalar.text;
  if (scalar.plain && text == "true") return true;
  if (scalar.plain && text == "false") return false;
  if (!is_boolean_word(text))
    return refuse("{} is neither true nor false; write one of them.", in_quotes(text));
  const string_view meant = is_true_word(text) ? "true" : "false";
  if (!scalar.plain) {
    return refuse("{} is a string; write {} without quotes.", in_quotes(text), meant);
  }
  return refuse("{} is a boolean in YAML 1.1 and a string in YAML 1.2; write {}.", printable(text),
                meant);
}

std::string size_text(engine::ByteCount size) {
  // Only the units in 1024: they say exactly how a size lies to a block or a page.
  Measure binary = size_measure;
  binary.units = binary.units.first(4);
  return in_largest_unit(size.value, binary, "B");
}

std::string rate_text(engine::ByteCount per_second) { return size_text(per_second) + "/s"; }

std::string duration_text(std::chrono::milliseconds duration) {
  return in_largest_unit(static_cast<std::uint64_t>(duration.count()), duration_measure, "ms");
}

}  // namespace config
