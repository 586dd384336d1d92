// Reads what subsystems and targets have alike: who may connect, and the volumes that hosts see.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string_view>

#include "config/config.h"
#include "config/section_reader.h"

namespace config {

// `listeners`: an empty list is reported.
[[nodiscard]] std::vector<Located<std::string>> read_listeners(SectionReader& reader);

// `hosts` and `allow_any_host`, of which there is exactly one.
void read_access(Access& access, SectionReader& reader);

// What a map of exported volumes is, for messages and limits.
struct ExportMap {
  std::string_view key;      // "namespaces"
  std::string_view pattern;  // of the section of one of them
  std::string_view noun;     // "NSID": what a number is called
  std::string_view owner;    // "subsystem"
  std::uint64_t min = 0;     // of the numbers
  std::uint64_t max = 0;
  std::size_t most = 0;  // of them in one map
};
[[nodiscard]] std::map<std::uint32_t, Export> read_exports(const ExportMap& map,
                                                           SectionReader& reader);

}  // namespace config
