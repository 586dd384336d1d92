#include "target/smart_report.h"

#include <algorithm>
#include <boost/json.hpp>
#include <utility>

namespace target {
namespace {

namespace json = boost::json;

constexpr int disk_fails_bit = 1 << 3;
constexpr std::size_t longest_why = 200;
constexpr std::int64_t coldest_celsius = -100;
constexpr std::int64_t hottest_celsius = 250;
constexpr std::uint64_t reallocated_id = 5;
constexpr std::uint64_t pending_id = 197;

SmartReport unavailable(std::string why) {
  return {.verdict = SmartReport::Verdict::unavailable, .why = std::move(why)};
}

// Null where anything on the way is missing, or is no object.
const json::value* at(const json::value* from, std::initializer_list<const char*> keys) {
  for (const char* const key : keys) {
    const json::object* const object = from == nullptr ? nullptr : from->if_object();
    from = object == nullptr ? nullptr : object->if_contains(key);
  }
  return from;
}

std::optional<std::uint64_t> count_in(const json::value* value) {
  if (value == nullptr) return std::nullopt;
  if (const auto* number = value->if_uint64()) return *number;
  if (const auto* number = value->if_int64(); number != nullptr && *number >= 0) {
    return static_cast<std::uint64_t>(*number);
  }
  return std::nullopt;
}

std::optional<std::int64_t> celsius_in(const json::value* value) {
  const auto* number = value == nullptr ? nullptr : value->if_int64();
  if (number == nullptr || *number < coldest_celsius || *number > hottest_celsius) {
    return std::nullopt;
  }
  return *number;
}

std::optional<std::uint64_t> ata_attribute(const json::value& report, std::uint64_t id) {
  const json::value* const table = at(&report, {"ata_smart_attributes", "table"});
  const json::array* const rows = table == nullptr ? nullptr : table->if_array();
  if (rows == nullptr) return std::nullopt;
  for (const json::value& row : *rows) {
    if (count_in(at(&row, {"id"})) == id) return count_in(at(&row, {"raw", "value"}));
  }
  return std::nullopt;
}

// As it may stand in a line of the log.
std::string printable(std::string_view text) {
  std::string shown(text);
  std::ranges::replace_if(
      shown, [](char each) { return each < ' ' || each > '~' || each == '"' || each == '\\'; },
      '?');
  return shown;
}

// The first that smartctl complains of.
std::string complaint_in(const json::value& report) {
  const json::value* const messages = at(&report, {"smartctl", "messages"});
  const json::array* const all = messages == nullptr ? nullptr : messages->if_array();
  if (all != nullptr && !all->empty()) {
    const json::value* const first = at(&all->front(), {"string"});
    const json::string* const text = first == nullptr ? nullptr : first->if_string();
    if (text != nullptr && !text->empty()) {
      return printable(std::string_view(*text).substr(0, longest_why));
    }
  }
  return "the disk does not tell";
}

}  // namespace

const char* text(SmartReport::Verdict verdict) {
  switch (verdict) {
    case SmartReport::Verdict::unavailable:
      return "not available";
    case SmartReport::Verdict::passed:
      return "passed";
    case SmartReport::Verdict::failed:
      return "failed";
  }
  return "unknown";
}

SmartReport smart_report_of(std::string_view output, int exit_status) {
  json::error_code error;
  const json::value report = json::parse(json::string_view(output.data(), output.size()), error);
  if (error || !report.is_object()) return unavailable("what smartctl has answered is no report");
  const json::value* const passed = at(&report, {"smart_status", "passed"});
  const bool* const verdict = passed == nullptr ? nullptr : passed->if_bool();
  const bool is_failing = (exit_status & disk_fails_bit) != 0 || (verdict != nullptr && !*verdict);
  if (verdict == nullptr && !is_failing) return unavailable(complaint_in(report));
  const json::value* const nvme = at(&report, {"nvme_smart_health_information_log"});
  SmartReport told{.verdict =
                       is_failing ? SmartReport::Verdict::failed : SmartReport::Verdict::passed};
  told.temperature_celsius = celsius_in(at(&report, {"temperature", "current"}));
  told.power_on_hours = count_in(at(&report, {"power_on_time", "hours"}));
  told.reallocated_sectors = ata_attribute(report, reallocated_id);
  if (!told.reallocated_sectors) {
    told.reallocated_sectors = count_in(at(&report, {"scsi_grown_defect_list"}));
  }
  told.pending_sectors = ata_attribute(report, pending_id);
  told.percentage_used = count_in(at(nvme, {"percentage_used"}));
  told.spare_percent = count_in(at(nvme, {"available_spare"}));
  return told;
}

}  // namespace target
