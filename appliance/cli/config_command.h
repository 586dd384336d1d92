// forebayctl plan, apply, confirm, reload: another configuration while the daemon runs.
#pragma once

#include <memory>
#include <optional>
#include <string>

namespace CLI {
class App;
}  // namespace CLI

namespace cli {

class ConfigCommands {
 public:
  // Adds its commands to `app`, which it outlives.
  explicit ConfigCommands(CLI::App& app);
  ConfigCommands(const ConfigCommands&) = delete;
  ConfigCommands& operator=(const ConfigCommands&) = delete;
  ~ConfigCommands();

  // After parsing: what to end with; nullopt: it is none of these.
  //   plan:   0 nothing to do, 2 changes, 3 needs confirmation, 1 invalid, or no answer
  //   others: 0 done (or nothing to do), 3 needs confirmation, 1 not done
  [[nodiscard]] std::optional<int> run() const;

 private:
  struct Commands;
  std::unique_ptr<Commands> commands_;
};

}  // namespace cli
