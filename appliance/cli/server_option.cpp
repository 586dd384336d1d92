#include "appliance/cli/server_option.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <CLI/CLI.hpp>
#include <fstream>
#include <utility>

#include "appliance/cli/control_client.h"
#include "engine/foundation/result.h"

namespace cli {
namespace {

struct TokenText {
  std::string text;
};

engine::Result<TokenText, std::string> read_token(const std::string& path) {
  struct stat about {};
  if (::stat(path.c_str(), &about) != 0) {
    return fmt::format("--token-file {}: cannot be read; forebayctl token create makes a token",
                       path);
  }
  if ((about.st_mode & S_IRWXO) != 0) {
    return fmt::format("--token-file {}: everybody of this machine may read it; chmod 0600 it",
                       path);
  }
  std::ifstream file(path);
  TokenText token;
  if (!(file >> token.text)) return fmt::format("--token-file {}: holds no token", path);
  return token;
}

}  // namespace

ServerOptions::ServerOptions(CLI::App& app) {
  app.fallthrough();
  app.add_option("--server", texts_->url,
                 "A daemon on another machine: https://HOST:PORT, as its control.listen has it")
      ->envname("FOREBAY_SERVER");
  app.add_option("--token-file", texts_->token_file, "File with the token that is shown to it")
      ->envname("FOREBAY_TOKEN_FILE");
  app.add_option("--ca", texts_->ca,
                 "File with the authority of its certificate; else those of this machine")
      ->envname("FOREBAY_CA");
}

std::string ServerOptions::use() const {
  if (texts_->url.empty()) return {};
  auto server = parse_server(texts_->url);
  if (!server) return server.error();
  server.value().ca = texts_->ca;
  if (!texts_->token_file.empty()) {
    auto token = read_token(texts_->token_file);
    if (!token) return token.error();
    server.value().token = std::move(token.value().text);
  }
  use_server(std::move(server).value());
  return {};
}

}  // namespace cli
