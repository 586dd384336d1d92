#include "appliance/cli/override_command.h"

#include <fmt/format.h>

#include <boost/json/object.hpp>
#include <string>

#include "appliance/cli/change_report.h"
#include "appliance/cli/control_client.h"
#include "appliance/cli/format_option.h"
#include "appliance/cli/json_view.h"
#include "appliance/cli/request.h"

namespace cli {
namespace {

// What the daemon adds to what it has done, as a line.
std::string note_of(const boost::json::value& answer) {
  const std::string note = text(answer, "note");
  return note.empty() ? note : "But " + note + "\n";
}

bool is_overridden(const boost::json::value& answer, const char* kind, const std::string& subject) {
  for (const auto& one : list(answer, "overrides")) {
    if (text(one, "kind") == kind && text(one, "subject") == subject) return true;
  }
  return false;
}

std::string overrides_screen(const boost::json::value& answer) {
  std::string out;
  for (const auto& one : list(answer, "overrides")) {
    out += fmt::format("{}  (forebayctl overrides --clear {})\n", text(one, "text"),
                       text(one, "subject"));
  }
  return out.empty() ? "Nothing is overridden: what runs is what was applied.\n" : out;
}

}  // namespace

struct OverrideCommands::Commands {
  std::string socket = default_socket;
  Format format = Format::table;
  std::string volume{};
  std::string mode_name{};
  std::string if_match{};
  bool clears = false;
  std::string cleared{};
  bool clears_all = false;
  std::string path{};
  std::string path_state{};
  CLI::App* mode = nullptr;
  CLI::App* ana = nullptr;
  CLI::App* overrides = nullptr;

  [[nodiscard]] int run_mode() const {
    const ChangeReport report(format, "mode", volume);
    if (clears == !mode_name.empty()) return report.failed("say a mode, or --clear");
    const boost::json::object how =
        clears ? boost::json::object{{"clear", true}} : boost::json::object{{"mode", mode_name}};
    const auto answer = ask(socket, "volumes", volume, "mode", how, if_match);
    if (!answer) return report.failed(answer.error());
    const auto& now = answer.value();
    if (clears) {
      return report.done(
          fmt::format("volume {}: its cache is as the file says.\n{}", volume, note_of(now)), now);
    }
    if (!is_overridden(now, "mode", volume)) {
      return report.done(fmt::format("volume {}: its cache is {}, as the file says.\n{}", volume,
                                     mode_name, note_of(now)),
                         now);
    }
    return report.done(
        fmt::format(
            "volume {0}: its cache is {1}, also after a restart, until: forebayctl mode {0} "
            "--clear. Or write mode: {1} into the configuration.\n{2}",
            volume, mode_name, note_of(now)),
        now);
  }

  [[nodiscard]] int run_ana() const {
    const ChangeReport report(format, "ana", path);
    if (clears == !path_state.empty()) return report.failed("say a state, or --clear");
    const auto answer =
        clears ? post(socket, "/v1/overrides/clear", {{"path", path}}, if_match)
               : ask(socket, "paths", path, "access", {{"state", path_state}}, if_match);
    if (!answer) return report.failed(answer.error());
    const auto& now = answer.value();
    if (clears) {
      return report.done(
          fmt::format("nothing is said of path {} any more; its hosts have been told.\n{}", path,
                      note_of(now)),
          now);
    }
    const std::string until =
        is_overridden(now, "access", path)
            ? fmt::format(", also after a restart, until: forebayctl ana {} --clear", path)
            : std::string();
    return report.done(fmt::format("path {} is {} from now on{}. Its hosts have been told.\n{}",
                                   path, path_state, until, note_of(now)),
                       now);
  }

  [[nodiscard]] int run_overrides() const {
    if (clears_all || !cleared.empty()) return run_clear();
    const auto answer = get(socket, "/v1/overrides");
    if (!answer) {
      fmt::print(stderr, "forebayctl: {}\n", answer.error());
      return 1;
    }
    if (format == Format::table) {
      print(overrides_screen(answer.value()));
    } else {
      print(answer.value(), format);
    }
    return 0;
  }

  [[nodiscard]] int run_clear() const {
    const ChangeReport report(format, "overrides --clear", cleared);
    if (clears_all && !cleared.empty()) return report.failed("--clear NAME, or --all: not both");
    boost::json::object how{{"all", true}};
    std::string what = "Everything is";
    if (!clears_all) {
      const auto all = get(socket, "/v1/overrides");
      if (!all) return report.failed(all.error());
      const bool is_path = is_overridden(all.value(), "access", cleared);
      const bool is_volume = is_overridden(all.value(), "mode", cleared) ||
                             is_overridden(all.value(), "drain", cleared);
      if (is_path && is_volume) {
        return report.failed(fmt::format(
            "{0} is a path and a volume: forebayctl ana {0} --clear, or forebayctl mode {0} "
            "--clear",
            cleared));
      }
      how = {{is_path ? "path" : "volume", cleared}};
      what = fmt::format("{} {} is", is_path ? "path" : "volume", cleared);
    }
    const auto answer = post(socket, "/v1/overrides/clear", how, if_match);
    if (!answer) return report.failed(answer.error());
    return report.done(fmt::format("{} as the file says.\n{}", what, note_of(answer.value())),
                       answer.value());
  }
};

OverrideCommands::OverrideCommands(CLI::App& app) : commands_(std::make_unique<Commands>()) {
  Commands& c = *commands_;
  const auto add = [&app, &c](const char* name, const char* about) {
    auto* command = app.add_subcommand(name, about);
    add_if_match(*command, c.if_match);
    add_format(*command, c.format);
    add_socket(*command, c.socket);
    return command;
  };
  c.mode = add("mode", "What a volume's cache does, changed while hosts use it");
  c.mode->add_option("volume", c.volume, "As the configuration calls it")->required();
  c.mode->add_option("mode", c.mode_name,
                     "write-back, write-through, write-around, pass-through or read-only");
  c.mode->add_flag("--clear", c.clears, "As the file says, again");

  c.ana = add("ana", "How hosts are to reach everything by a listener, or by a group of listeners");
  c.ana->add_option("path", c.path, "A listener, or a group, as the configuration calls it")
      ->required();
  c.ana->add_option("state", c.path_state,
                    "optimized, non-optimized, inaccessible, persistent-loss or change");
  c.ana->add_flag("--clear", c.clears, "As if nothing had been said of it");

  c.overrides =
      add("overrides", "What was changed beside the configuration file, by whom and when");
  c.overrides->add_option("--clear", c.cleared,
                          "A volume or path that is to be as the file says, again");
  c.overrides->add_flag("--all", c.clears_all, "All of them are to be so");
}

OverrideCommands::~OverrideCommands() = default;

std::optional<int> OverrideCommands::run() const {
  if (commands_->mode->parsed()) return commands_->run_mode();
  if (commands_->ana->parsed()) return commands_->run_ana();
  if (commands_->overrides->parsed()) return commands_->run_overrides();
  return std::nullopt;
}

}  // namespace cli
