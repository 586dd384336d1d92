#include "appliance/cli/config_command.h"

#include <fmt/format.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string_view>
#include <utility>
#include <vector>

#include "appliance/cli/change_report.h"
#include "appliance/cli/control_client.h"
#include "appliance/cli/format_option.h"
#include "config/values.h"

namespace cli {
namespace {

constexpr int exit_done = 0;
constexpr int exit_failed = 1;
constexpr int exit_needs_confirmation = 3;

int fail_config(const std::string& why) {
  fmt::print(stderr, "forebayctl: {}\n", why);
  return exit_failed;
}

// As the value of a query.
std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const bool is_plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                          (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' || c == '/';
    out += is_plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return out;
}

std::optional<std::string> text_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string text{std::istreambuf_iterator<char>(file), {}};
  if (file.bad() || text.empty()) return std::nullopt;
  return text;
}

// The daemon's messages name it, wherever this was started.
std::string whole_path(const std::string& path) {
  std::error_code error;
  const auto whole = std::filesystem::absolute(path, error);
  return error ? path : whole.lexically_normal().string();
}

void show(const boost::json::value& answer, Format format) {
  const auto* object = answer.if_object();
  const auto* screen = object == nullptr ? nullptr : object->if_contains("screen");
  const bool has_screen = screen != nullptr && screen->is_string();
  if (format != Format::table || !has_screen) return print(answer, format);
  print(std::string(screen->as_string().data(), screen->as_string().size()));
}

// The refusal of a request that has come to no plan; empty: there is a plan.
std::string refusal_in(const RawAnswer& answer) {
  const auto* object = answer.body.if_object();
  if (object != nullptr && object->contains("screen")) return {};
  const auto* error = object == nullptr ? nullptr : object->if_contains("error");
  if (error != nullptr && error->is_string()) {
    return std::string(error->as_string().data(), error->as_string().size());
  }
  return answer.status == 200 ? std::string()
                              : fmt::format("the daemon answered {}", answer.status);
}

int exit_code_in(const boost::json::value& answer) {
  const auto* object = answer.if_object();
  const auto* code = object == nullptr ? nullptr : object->if_contains("exit_code");
  return code != nullptr && code->is_int64() ? static_cast<int>(code->as_int64()) : exit_failed;
}

}  // namespace

struct ConfigCommands::Commands {
  std::string socket = default_socket;
  std::string file{};
  Format format = Format::table;
  std::vector<std::string> disconnect{};
  std::string confirm_within{};
  bool drop_overrides = false;
  std::string if_match{};
  std::string plan_hash{};
  CLI::App* plan = nullptr;
  CLI::App* apply = nullptr;
  CLI::App* confirm = nullptr;
  CLI::App* reload = nullptr;

  [[nodiscard]] int run_plan() const {
    const auto text = text_of(file);
    if (!text) return fail_config(file + ": cannot be read, or is empty");
    const std::string resource =
        "/v1/plan?file=" + escaped(whole_path(file)) + (drop_overrides ? "&drop_overrides=1" : "");
    const auto answer = post_text(socket, resource, *text);
    if (!answer) return fail_config(answer.error());
    if (const auto why = refusal_in(answer.value()); !why.empty()) return fail_config(why);
    show(answer.value().body, format);
    return exit_code_in(answer.value().body);
  }

  [[nodiscard]] int run_apply() const {
    const ChangeReport report(format, "apply", file);
    const auto text = text_of(file);
    if (!text) return report.failed(file + ": cannot be read, or is empty");
    std::string resource = "/v1/apply?file=" + escaped(whole_path(file));
    std::string hosts;
    for (const auto& host : disconnect) hosts += (hosts.empty() ? "" : ",") + host;
    if (!hosts.empty()) resource += "&disconnect=" + escaped(hosts);
    if (drop_overrides) resource += "&drop_overrides=1";
    if (!plan_hash.empty()) resource += "&plan_hash=" + escaped(plan_hash);
    if (!confirm_within.empty()) {
      const auto time = config::parse_duration(confirm_within);
      if (!time) return report.failed("--confirm-within: " + time.error().text);
      resource += fmt::format("&confirm_within_ms={}", time.value().count());
    }
    return change(report, resource, *text);
  }

  [[nodiscard]] int change(const ChangeReport& report, const std::string& resource,
                           std::string text) const {
    const auto answer = post_text(socket, resource, std::move(text), if_match);
    if (!answer) return report.failed(answer.error());
    const auto& [status, body] = answer.value();
    if (const auto why = refusal_in(answer.value()); !why.empty()) return report.failed(why);
    if (status == 200) return report.planned(body, /*is_done=*/true, exit_done);
    const bool is_question = exit_code_in(body) == exit_needs_confirmation;
    return report.planned(body, /*is_done=*/false,
                          is_question ? exit_needs_confirmation : exit_failed);
  }

  [[nodiscard]] int run_confirm() const {
    const ChangeReport report(format, "confirm", {});
    const auto answer = post_text(socket, "/v1/confirm", "{}", if_match);
    if (!answer) return report.failed(answer.error());
    if (answer.value().status != 200) return report.failed(refusal_in(answer.value()));
    return report.for_scripts() ? report.done("it stays", answer.value().body) : exit_done;
  }
};

ConfigCommands::ConfigCommands(CLI::App& app) : commands_(std::make_unique<Commands>()) {
  Commands& c = *commands_;
  c.plan = app.add_subcommand(
      "plan", "What a configuration would change, and what connected hosts would see of it");
  c.plan->footer("Exit 0: nothing to do; 2: changes; 3: needs confirmation; 1: invalid.");
  c.plan->add_option("file", c.file, "The configuration")->required();
  c.plan->add_flag("--drop-overrides", c.drop_overrides, "Of an apply with the same");
  add_format(*c.plan, c.format);
  add_socket(*c.plan, c.socket);

  c.apply = app.add_subcommand("apply", "Take over a configuration: all of it, or nothing");
  c.apply->footer("Exit 0: it runs; 3: needs confirmation; 1: nothing has changed.");
  c.apply->add_option("file", c.file, "The configuration")->required();
  c.apply
      ->add_option("--disconnect", c.disconnect,
                   "A host that may lose disks that it has now; may be repeated")
      ->allow_extra_args(false);
  c.apply->add_option("--confirm-within", c.confirm_within,
                      "Take it back after this time (2m), unless: forebayctl confirm");
  c.apply->add_flag("--drop-overrides", c.drop_overrides,
                    "As the file says also where something else was set: see overrides");
  c.apply->add_option("--plan-hash", c.plan_hash,
                      "Only if it is the plan that was shown with this hash");
  add_if_match(*c.apply, c.if_match);
  add_format(*c.apply, c.format);
  add_socket(*c.apply, c.socket);

  c.confirm = app.add_subcommand("confirm", "Keep what apply --confirm-within has changed");
  add_if_match(*c.confirm, c.if_match);
  add_format(*c.confirm, c.format);
  add_socket(*c.confirm, c.socket);

  c.reload = app.add_subcommand(
      "reload", "Take over the file that the daemon was started with: all of it, or nothing");
  add_if_match(*c.reload, c.if_match);
  add_format(*c.reload, c.format);
  add_socket(*c.reload, c.socket);
}

ConfigCommands::~ConfigCommands() = default;

std::optional<int> ConfigCommands::run() const {
  if (commands_->plan->parsed()) return commands_->run_plan();
  if (commands_->apply->parsed()) return commands_->run_apply();
  if (commands_->confirm->parsed()) return commands_->run_confirm();
  if (commands_->reload->parsed()) {
    return commands_->change(ChangeReport(commands_->format, "reload", {}), "/v1/reload", "{}");
  }
  return std::nullopt;
}

}  // namespace cli
