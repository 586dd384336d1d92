// docs/openapi.yaml against the routes of the control socket.
#include <gtest/gtest.h>

#include <fstream>
#include <memory>
#include <regex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "target/control/api.h"
#include "target/control/event_log.h"
#include "target/control/event_streams.h"
#include "target/control/token_routes.h"
#include "target/override_routes.h"
#include "target/reload_routes.h"
#include "target/tasks.h"
#include "tests/sim/sim_clock.h"

namespace target::control {
namespace {

// "GET /v1/status viewer" of each operation that docs/openapi.yaml describes.
std::set<std::string> documented() {
  std::set<std::string> all;
  std::ifstream page(FOREBAY_SOURCE_DIR "/docs/openapi.yaml");
  std::string path;
  std::string method;
  std::smatch found;
  for (std::string line; std::getline(page, line);) {
    if (std::regex_match(line, found, std::regex("  (/v1/[^ ]*):"))) path = found[1];
    if (std::regex_match(line, found, std::regex("    (get|post):"))) {
      method = found[1] == "get" ? "GET " : "POST ";
    }
    if (std::regex_match(line, found, std::regex("      x-role: ([a-z]+)"))) {
      all.insert(method + path + " " + found[1].str());
    }
  }
  return all;
}

TEST(OpenApi, DescribesEachRouteAndNoOther) {
  SimClock clock;
  const EventLog log(clock);
  EventStreams streams(log);
  std::vector<Route> routes = api_routes({});
  for (auto& route : streams.routes()) routes.push_back(std::move(route));
  for (auto& route : reload_routes([] { return nullptr; }, {})) routes.push_back(std::move(route));
  for (auto& route : override_routes([] { return nullptr; }, {})) {
    routes.push_back(std::move(route));
  }
  for (auto& route : Tasks::routes(nullptr, {})) routes.push_back(std::move(route));
  TokenChanges tokens(std::make_shared<TokenStore>(""));
  for (auto& route : tokens.routes({})) routes.push_back(std::move(route));
  std::set<std::string> served;
  for (const Route& route : routes) {
    served.insert(std::string(text(route.method)) + " " + route.pattern + " " + text(route.role));
  }
  EXPECT_EQ(served, documented());
}

}  // namespace
}  // namespace target::control
