// What is not as it should be, the worst first.
#pragma once

#include <string>
#include <vector>

#include "target/control/status.h"

namespace target::control {

struct Trouble {
  bool is_bad = true;  // something is not served as it should be; false: it may come to that
  std::string what{};  // "volume vm01"
  std::string text{};  // "degraded: ...", to which "for 3m 20s" belongs
  std::uint64_t since_ms = 0;  // since 1970; 0: not known
};

// Empty if and only if Status::healthy() and nothing may come to that.
[[nodiscard]] std::vector<Trouble> troubles_of(const Status& status);

}  // namespace target::control
