// `forebayctl doctor`: looks for what is wrong, and for what will be one day.
#pragma once

#include <boost/json/value.hpp>
#include <cstdint>
#include <string>
#include <vector>

#include "appliance/cli/output.h"

namespace cli {

struct Diagnosis {
  enum class Verdict : std::uint8_t {
    ok,
    hint,  // works, and could be better or safer
    bad,
  };
  Verdict verdict = Verdict::ok;
  std::string about;  // "pools", "paths" ...
  std::string text;   // one sentence; for hint and bad what to do, too
};

// Of the daemon's status alone.
[[nodiscard]] std::vector<Diagnosis> diagnose(const boost::json::value& status,
                                              std::uint64_t now_ms);
// What the status does not know of this machine: the MTU of the listeners' interfaces, who may open
// the socket.
[[nodiscard]] std::vector<Diagnosis> diagnose_machine(const boost::json::value& status,
                                                      const std::string& socket);
[[nodiscard]] std::string doctor_screen(const std::vector<Diagnosis>& all);
[[nodiscard]] boost::json::value to_json(const std::vector<Diagnosis>& all);

struct DoctorOptions {
  std::string socket;
  std::string config_file;  // looked at when the daemon does not answer
  Format format = Format::table;
};
// Exit code 0: nothing is bad, 2: something is. Also when the daemon is down, which is bad.
[[nodiscard]] int show_doctor(const DoctorOptions& options);

}  // namespace cli
