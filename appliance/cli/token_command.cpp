#include "appliance/cli/token_command.h"

#include <fmt/format.h>

#include <cstdio>
#include <string>

#include "appliance/cli/control_client.h"
#include "appliance/cli/format_option.h"
#include "appliance/cli/json_view.h"
#include "appliance/cli/request.h"
#include "appliance/cli/table.h"
#include "appliance/cli/time_text.h"

namespace cli {
namespace {

std::string table_of_tokens(const boost::json::value& answer) {
  Table table({"TOKEN", "ROLE", "MADE", "BY"});
  for (const auto& token : list(answer, "tokens")) {
    table.add({text(token, "name"), text(token, "role"), time_text(number(token, "created_ms")),
               text(token, "created_by")});
  }
  return table.empty() ? "No tokens.\n" : table.text();
}

}  // namespace

struct TokenCommands::Commands {
  std::string socket = default_socket;
  std::string name{};
  std::string role{};
  Format format = Format::table;
  CLI::App* create = nullptr;
  CLI::App* list = nullptr;
  CLI::App* revoke = nullptr;

  [[nodiscard]] int run_create() const {
    const auto made = ask(socket, "tokens", name, "create", {{"role", role}});
    if (!made) return failed(made.error());
    if (format != Format::table) {
      print(made.value(), format);
      return 0;
    }
    // Nothing else on standard output: it can be sent to a file.
    fmt::print("{}\n", text(made.value(), "token"));
    fmt::print(stderr, "This is token {} ({}); it is shown this once and kept nowhere.\n", name,
               role);
    return 0;
  }

  [[nodiscard]] int run_revoke() const {
    const auto revoked = ask(socket, "tokens", name, "revoke", {});
    return revoked ? 0 : failed(revoked.error());
  }

  static int failed(const std::string& why) {
    fmt::print(stderr, "forebayctl: {}\n", why);
    return 1;
  }

  [[nodiscard]] int run_list() const {
    const auto answer = get(socket, "/v1/tokens");
    if (!answer) return failed(answer.error());
    if (format == Format::table) {
      print(table_of_tokens(answer.value()));
    } else {
      print(answer.value(), format);
    }
    return 0;
  }
};

TokenCommands::TokenCommands(CLI::App& app) : commands_(std::make_unique<Commands>()) {
  Commands& c = *commands_;
  auto* token =
      app.add_subcommand("token", "Who may use the daemon over TCP")->require_subcommand(1);
  c.create = token->add_subcommand("create", "Make a token, and print it: this once");
  c.create->add_option("name", c.name, "Whose it is, for the audit")->required();
  c.create
      ->add_option("--role", c.role,
                   "viewer (looks), operator (modes, drains, plans, confirms) or admin (all)")
      ->required()
      ->check(CLI::IsMember({"viewer", "operator", "admin"}).description(""));
  add_format(*c.create, c.format);
  add_socket(*c.create, c.socket);
  c.list = token->add_subcommand("list", "The tokens that are valid, without themselves");
  add_format(*c.list, c.format);
  add_socket(*c.list, c.socket);
  c.revoke = token->add_subcommand("revoke", "End a token; who uses it now is sent away");
  c.revoke->add_option("name", c.name, "As list names it")->required();
  add_socket(*c.revoke, c.socket);
}

TokenCommands::~TokenCommands() = default;

std::optional<int> TokenCommands::run() const {
  const Commands& c = *commands_;
  if (c.create->parsed()) return c.run_create();
  if (c.list->parsed()) return c.run_list();
  if (c.revoke->parsed()) return c.run_revoke();
  return std::nullopt;
}

}  // namespace cli
