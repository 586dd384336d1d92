// Diff: what one configuration asks for that another one does not, key by key.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "config/config.h"

namespace config {

// What kind of entry has changed.
enum class Part : std::uint8_t {
  settings,  // what stands outside of all lists: node, reactors, memory, iscsi, control, log
  listener,
  cache_device,
  pool,
  volume,
  host,
  subsystem,
  space,  // a namespace
  target,
  lun,
};

// Which entry. Compares by part, then name, then number.
struct Subject {
  Part part = Part::settings;
  std::string name{};        // of a namespace or LUN: its subsystem's or target's; settings: empty
  std::uint32_t number = 0;  // NSID or LUN
  friend auto operator<=>(const Subject&, const Subject&) = default;
};

// One key of an entry that both have. The texts are as they would stand in the file; empty: the key
// does not stand there and has no default.
struct KeyChange {
  std::string key;  // below the entry: "size", "cache.mode"
  std::string before{};
  std::string after{};
  Position at{};  // in the new file; where the key is gone, the entry's
  friend bool operator==(const KeyChange&, const KeyChange&) = default;
};

struct Added {};
struct Removed {};
struct Changed {
  std::vector<KeyChange> keys;  // never empty
};

struct Change {
  Subject subject;
  std::string path;  // "volumes.db01"; of settings empty
  // In the new file; of one that is removed, in the old one.
  Position at{};
  std::variant<Added, Removed, Changed> what;
};

// Of two checked configurations, in the order of Subject. Pure. Defaults count as written: a key
// that is written with its default is no change.
[[nodiscard]] std::vector<Change> diff(const Config& before, const Config& after);

// Every key that diff() compares in entries of this part; of namespaces and LUNs too, which are
// entries of their own.
[[nodiscard]] std::vector<std::string> compared_keys(Part part);

// "listeners.san-a", "subsystems.nqn....namespaces.3".
[[nodiscard]] std::string path_of(const Subject& subject);

}  // namespace config
