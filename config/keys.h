// Every key a configuration file may have, with its kind, limits and choices. The reader obeys this
// table, and the published schema is tested against it.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace config {

enum class Kind {
  section,    // a map with keys of its own
  named,      // a map whose keys are names given by the user
  name,       // of a thing in this file or of a group; build.cpp checks it
  text,       // any string; build.cpp checks it
  nqn,        // see parse_nqn()
  iqn,        // see parse_iscsi_name()
  secret,     // see parse_secret()
  secrets,    // a list of them
  time,       // see parse_time()
  address,    // see parse_address()
  integer,    // min ... max, or one of `choices`
  boolean,    // true | false
  size,       // min ... max bytes, with unit
  rate,       // min ... max bytes per second, with unit
  duration,   // min ... max milliseconds, with unit
  percent,    // min ... max, whole, with "%"
  choice,     // one of `choices`
  names,      // a list of names
  paths,      // a list of absolute paths, see parse_path(); min ... max of them
  networks,   // a list of networks, see parse_network()
  endpoints,  // a list of addresses with ports, see parse_endpoint(); min ... max of them
  range,      // [first, last], both within min ... max
  cpus,       // a CPU list as the kernel writes it: "2-3,6"
};

enum class Need {
  optional,
  required,
};

struct Key {
  std::string_view name;
  Kind kind = Kind::text;
  Need need = Need::optional;
  std::uint64_t min = 0;
  std::uint64_t max = 0;
  std::span<const std::string_view> choices{};
  std::string_view example{};  // for the message that a required key is missing
  std::string_view reason{};   // size: why the limits are these, where it is not plain
};

struct Section {
  std::string_view pattern;  // "" is the top level; "volumes.*" each volume
  std::span<const Key> keys;
};

[[nodiscard]] std::span<const Section> all_sections();

// The section of that pattern, or the key of that name: they must exist.
[[nodiscard]] const Section& section_of(std::string_view pattern);
[[nodiscard]] const Key& key_of(const Section& section, std::string_view name);

}  // namespace config
