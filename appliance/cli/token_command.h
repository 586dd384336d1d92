// forebayctl token: who may use the daemon over TCP.
#pragma once

#include <memory>
#include <optional>

namespace CLI {
class App;
}

namespace cli {

class TokenCommands {
 public:
  // Adds its commands to `app`, which outlives it.
  explicit TokenCommands(CLI::App& app);
  ~TokenCommands();
  TokenCommands(const TokenCommands&) = delete;
  TokenCommands& operator=(const TokenCommands&) = delete;

  // After the command line was read: the exit code; nullopt: another command was asked for.
  [[nodiscard]] std::optional<int> run() const;

 private:
  struct Commands;
  std::unique_ptr<Commands> commands_;
};

}  // namespace cli
