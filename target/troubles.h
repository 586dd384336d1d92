// What of the configuration is not served as it asks, each at the place in the file to look at:
// file:line:column: path: what; what to do.
#pragma once

#include <string>
#include <vector>

#include "config/config.h"
#include "config/message.h"
#include "engine/volume/engine.h"

namespace target {

[[nodiscard]] config::Message trouble_of(const config::Config& config,
                                         const engine::Finding& finding, config::Severity severity);
// The line that a listener's `reason` makes.
[[nodiscard]] std::string listener_trouble(const config::Config& config,
                                           const config::Listener& listener,
                                           const std::string& reason);

// Tells each line once, and again only after it was gone in between. One thread.
class TroubleLog {
 public:
  // Those of `lines`, in their order, that were not among the last ones.
  [[nodiscard]] std::vector<std::string> news(std::vector<std::string> lines);

 private:
  std::vector<std::string> told_;  // sorted
};

}  // namespace target
