// From the node tree to a Config in draft: every key read and checked by itself. What needs two
// places of the file to judge is left to validate.h.
#pragma once

#include <string>
#include <vector>

#include "config/config.h"
#include "config/node.h"
#include "config/report.h"

namespace config {

struct Draft {
  Config config;
  // Every name that stands in the file, in its order, even of entries that are wrong: a reference
  // to one of these is not a second mistake.
  std::vector<std::string> listeners;
  std::vector<std::string> cache_devices;
  std::vector<std::string> pools;
  std::vector<std::string> volumes;
  std::vector<std::string> hosts;
};

// `root` is a map. An entry that has errors may be missing from the draft or have values left out:
// an address or reference at line 0, a port of 0.
[[nodiscard]] Draft build(const Node& root, Report& report);

}  // namespace config
