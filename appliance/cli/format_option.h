// -o, as every command that shows something has it.
#pragma once

#include <CLI/CLI.hpp>
#include <map>
#include <string>

#include "appliance/cli/output.h"

namespace cli {

inline constexpr const char* default_socket = "/run/forebay/control.sock";

inline void add_socket(CLI::App& command, std::string& socket) {
  command.add_option("--socket", socket, "The daemon's control socket")->capture_default_str();
}

inline void add_if_match(CLI::App& command, std::string& hash) {
  command.add_option("--if-match", hash, "Only if the configuration with this hash still runs");
}

inline void add_format(CLI::App& command, Format& format) {
  const std::map<std::string, Format> names{
      {"table", Format::table}, {"json", Format::json}, {"yaml", Format::yaml}};
  command.add_option("-o,--output", format, "table (for people), json or yaml (for scripts)")
      ->transform(CLI::CheckedTransformer(names).description(""))
      ->option_text("FORMAT");
}

}  // namespace cli
