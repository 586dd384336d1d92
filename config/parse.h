// From a YAML file to a checked Config, or to every reason why not.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.h"
#include "config/message.h"

namespace config {

inline constexpr std::size_t max_file_bytes = 4 << 20;
inline constexpr std::size_t max_messages = 200;  // the rest is counted in one last message

struct ParseOutcome {
  std::optional<Config> config;   // there exactly if no message is an error
  std::vector<Message> messages;  // errors and warnings, sorted by line
};

// Never throws for anything that stands in the text, and looks at nothing but the text: whether
// directories, addresses and CPUs exist is for the daemon to find out. Any thread.
[[nodiscard]] ParseOutcome parse_text(std::string_view text, std::string file);

// The same for a file; one that cannot be read is a message too.
[[nodiscard]] ParseOutcome parse_file(const std::string& path);

}  // namespace config
