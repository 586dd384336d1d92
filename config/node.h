// The tree between YAML and Config: what yaml-cpp's events said, with a position for every key and
// value.
#pragma once

#include <string>
#include <vector>

#include "config/config.h"

namespace config {

struct Node {
  enum class Kind {
    null,
    scalar,
    sequence,
    map,
    reported,  // something that has its message already; nobody looks inside
  };
  struct Entry;  // of a map

  Kind kind = Kind::null;
  Position at;
  std::string text;            // scalar
  bool plain = false;          // scalar without quotes: the form that YAML 1.1 guesses types for
  std::vector<Entry> entries;  // map, in file order, no key twice
  std::vector<Node> items;     // sequence
};

struct Node::Entry {
  std::string key;
  Position at;
  bool plain = false;
  Node value;
};

}  // namespace config
