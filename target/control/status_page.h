// The status page: how all is, for people with a browser. Plain HTML from here, with the last ten
// minutes as pictures; it changes nothing.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "target/control/history.h"
#include "target/control/http.h"
#include "target/control/status.h"

namespace target::control {

struct PageWish {
  bool all_volumes = false;  // else the first `StatusPage::most_volumes`
  std::uint64_t now_ms = 0;  // since 1970
};

class StatusPage {
 public:
  // The worst and the busiest come first; those behind them are one click away.
  static constexpr std::size_t most_volumes = 60;
  static constexpr std::size_t most_troubles = 12;

  // Of a body's <main>, which the page asks for again and again.
  [[nodiscard]] static std::string content(const Status& status, const History& history,
                                           const PageWish& wish);
  [[nodiscard]] static std::string whole(const Status& status, const History& history,
                                         const PageWish& wish);
  // What the page may do in a browser: nothing but what it has itself, and ask this server.
  [[nodiscard]] static std::string content_security_policy();

  // GET / and GET /page, for `role`; `history` outlives them.
  [[nodiscard]] static std::vector<Route> routes(std::function<Status()> status,
                                                 const History& history, Role role);
};

}  // namespace target::control
