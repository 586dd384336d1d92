// ChangeReport: what has become of a command that changes something, for people or for scripts.
#pragma once

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <string>
#include <string_view>

#include "appliance/cli/output.h"
#include "engine/foundation/result.h"

namespace cli {

// For people a sentence; for scripts one object, the same for every command, on standard output:
//   {"command": "volume grow", "name": "db01", "done": true, "message": SENTENCE, "result": {...}}
// `result` is what the daemon has answered, or null. Each of its functions ends with one report.
class ChangeReport {
 public:
  ChangeReport(Format format, std::string command, std::string name)
      : format_(format), command_(std::move(command)), name_(std::move(name)) {}

  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] bool for_scripts() const { return format_ != Format::table; }

  // `text`: sentences, each line ended. The exit code: 0.
  int done(std::string_view text, boost::json::value result = nullptr) const;
  // `why`: without the program's name and the end of the line. The exit code: 1, or `code`.
  int failed(std::string_view why, boost::json::value result = nullptr, int code = 1) const;
  // It was not done, or not to its end, as whoever gave it wanted; exit code 1.
  int given_up(std::string_view text) const;

  // Of the plan that an apply or reload has come to: for people its screen.
  int planned(const boost::json::value& plan, bool is_done, int code) const;

 private:
  void print_object(bool is_done, std::string_view message, boost::json::value result) const;

  const Format format_;
  const std::string command_;
  const std::string name_;
};

}  // namespace cli
