// `forebayctl explain NAME`: why something is in the state it is in, since when, and what next.
#pragma once

#include <boost/json/value.hpp>
#include <cstdint>
#include <string>
#include <vector>

namespace cli {

struct Explanation {
  std::string kind;  // volume, pool, cache, listener, host
  std::string name;
  std::string state;
  bool is_well = true;
  std::uint64_t since_ms = 0;          // 0: not known
  std::vector<std::string> why{};      // sentences
  std::vector<std::string> related{};  // lines about what it needs and who needs it
  std::vector<std::string> next{};     // what the operator may do, commands included
};

// Everything of that name: a pool and a volume may share one. Empty: nothing is called so.
[[nodiscard]] std::vector<Explanation> explain(const boost::json::value& status,
                                               const std::string& name);
// As it is printed; `events` is the daemon's list of them, of which the last ones about it are
// shown.
[[nodiscard]] std::string explanation_screen(const std::vector<Explanation>& all,
                                             const boost::json::value& events,
                                             std::uint64_t now_ms);
[[nodiscard]] boost::json::value to_json(const std::vector<Explanation>& all);

}  // namespace cli
