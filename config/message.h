// One finding about a configuration file, in the form every tool prints:
// file:line:column: path: what; what to do.
#pragma once

#include <string>

#include "config/config.h"

namespace config {

enum class Severity { error, warning };

struct Message {
  std::string file;
  Position at;       // line 0: about the file as a whole
  std::string path;  // volumes.db01.size; empty: about the file's text
  std::string text;  // what; what to do.
  Severity severity = Severity::error;
};

// One line without the newline; warnings have "warning: " before the path.
[[nodiscard]] std::string format(const Message& message);

}  // namespace config
