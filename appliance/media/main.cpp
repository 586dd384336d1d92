// forebay-media: looks into, mends and empties a cache device that no daemon has open.
#include <CLI/CLI.hpp>

#include "appliance/media/check_command.h"
#include "appliance/media/exit_code.h"
#include "appliance/media/export_command.h"
#include "appliance/media/format_command.h"
#include "appliance/media/repair_command.h"

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
  const auto* check = add_look(app, "check", "Read and verify all of it; writes nothing", options);

  media::RepairOptions repairing;
  auto* repair = add_look(app, "repair", "Say what can be mended, and what it costs", options);
  repair->add_flag("--yes", repairing.yes, "Do it");
  repair->add_option("--uuid", repairing.uuid, "The cache that is meant; needed with --yes");
  repair->add_option("--cut", repairing.cut,
                     "A volume whose damaged log may be cut: what is behind the damage is lost");

  media::ExportOptions exporting;
  auto* exports =
      add_look(app, "export", "Get a volume's data out; the cache stays as it is", options);
  exports->add_option("--volume", exporting.volume, "Its UUID")->required();
  exports->add_flag("--all", exporting.all, "All that is cached, not only what is dirty");
  exports->add_option("--onto", exporting.onto,
                      "An image of its backing, or the backing itself while nothing uses it");

  media::NewCache wanted;
  auto* format = add_command(app, "format", "Make it an empty cache", options);
  format->add_option("--size", wanted.size, "Make a file of this size first: 64GiB ...");
  format->add_option("--replace", wanted.replace,
                     "The cache that may be destroyed although it holds data");
  format->add_option("--segment-size", wanted.segment_size, "16KiB to 16MiB; by default what fits");
  format->add_option("--volumes", wanted.volumes, "How many it can serve")->capture_default_str();
  format->add_flag("--checksums", wanted.checksums, "Checksums of all cached data");

  std::string size;
  auto* grow = add_command(app, "grow", "Use all of a file or device that is larger now", options);
  grow->add_option("--size", size, "Make the file this long first");

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? media::exit_good : media::exit_failed;
  }
  if (inspect->parsed()) return media::inspect(options.path, options.output());
  if (check->parsed()) return media::check(options.path, options.output());
  if (repair->parsed()) {
    repairing.output = options.output();
    return media::repair(options.path, repairing);
  }
  if (exports->parsed()) {
    exporting.output = options.output();
    return media::export_volume(options.path, exporting);
  }
  if (format->parsed()) return media::format(options.path, wanted);
  return media::grow(options.path, size);
}
