// The file that holds a subsystem's Persistent Event log from start to start: records, each with
// its checksums, that are added at its end until all of it is written anew.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "target/nvmf/persistent_log.h"

namespace target {

// The first record: whose log it is.
[[nodiscard]] std::string event_file_begin(std::string_view subsystem_nqn);
// An event, and what had been counted when it was written.
[[nodiscard]] std::string event_file_record(const nvmf::SubsystemLives& lives,
                                            std::span<const std::byte> event);
// The process has been told to end.
[[nodiscard]] std::string event_file_end(const nvmf::SubsystemLives& lives);

struct EventFile {
  std::vector<std::vector<std::byte>> events{};  // oldest first
  nvmf::SubsystemLives lives{};
  bool ended_well = true;
  bool is_whole = true;  // nothing in it is damaged or torn
};
// What is left of a file. Whatever is damaged is passed by, and what follows it is found again.
// Another subsystem's is as empty, and not whole.
[[nodiscard]] EventFile parse_event_file(std::string_view content, std::string_view subsystem_nqn);

}  // namespace target
