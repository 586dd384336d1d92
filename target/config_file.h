// The daemon's configuration file as it is read: at a start, and at each reload.
#pragma once

#include <string>

#include "config/parse.h"
#include "target/reloader.h"

namespace target {

struct ConfigFile {
  std::string text{};  // of one moment; what `outcome` says is of the same
  config::ParseOutcome outcome{};
};
[[nodiscard]] ConfigFile read_config_file(const std::string& path);

// What a start serves: the file; or, if that is not valid, what was applied of it last.
struct BootConfig {
  ConfigFile file{};  // as it is, with what is wrong with it
  // As in `file`, or of the copy; nullopt: neither can be served.
  std::optional<config::Config> config{};
  std::string text{};     // that `config` was read from
  ReloadStatus status{};  // with a note if it is the copy
};
// The copy is looked for below `directory`, and must be one of the same `path`.
[[nodiscard]] BootConfig boot_config(const std::string& path, const std::string& directory);

}  // namespace target
