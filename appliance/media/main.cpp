// forebay-media: looks into, mends and empties a cache device that no daemon has open.
#include <CLI/CLI.hpp>

#include "appliance/media/check_command.h"
#include "appliance/media/exit_code.h"

namespace {

struct Options {
  std::string path;
  bool json = false;
  [[nodiscard]] media::Output output() const {
    return json ? media::Output::json : media::Output::text;
  }
};

CLI::App* add_command(CLI::App& app, const char* name, const char* about, Options& options) {
  auto* command = app.add_subcommand(name, about);
  command->add_option("device", options.path, "A file, or a devdax device")->required();
  return command;
}

CLI::App* add_look(CLI::App& app, const char* name, const char* about, Options& options) {
  auto* command = add_command(app, name, about, options);
  command->add_flag("--json", options.json, "One JSON object instead of a screen");
  return command;
}

}  // namespace

// What nobody catches ends the process, and says so.
// NOLINTNEXTLINE(bugprone-exception-escape)
int main(int argc, char** argv) {
  CLI::App app("Works on a Forebay cache device that no daemon has open.", "forebay-media");
  app.set_version_flag("--version", FOREBAY_VERSION);
  app.require_subcommand(1);
  app.footer(
      "Exit: 0 clean or done, 1 findings that cost nothing, 2 damage, 3 not read or not done.");

  Options options;
  const auto* inspect = add_look(app, "inspect", "Show what is on it; writes nothing", options);
  add_look(app, "check", "Read and verify all of it; writes nothing", options);

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? media::exit_good : media::exit_failed;
  }
  if (inspect->parsed()) return media::inspect(options.path, options.output());
  return media::check(options.path, options.output());
}
