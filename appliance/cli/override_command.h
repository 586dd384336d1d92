// forebayctl mode, ana, overrides: what operators change beside the configuration file.
#pragma once

#include <memory>
#include <optional>

namespace CLI {
class App;
}  // namespace CLI

namespace cli {

class OverrideCommands {
 public:
  // Adds its commands to `app`, which it outlives.
  explicit OverrideCommands(CLI::App& app);
  OverrideCommands(const OverrideCommands&) = delete;
  OverrideCommands& operator=(const OverrideCommands&) = delete;
  ~OverrideCommands();

  // After parsing: what to end with (0 done, 1 not done); nullopt: it is none of these.
  [[nodiscard]] std::optional<int> run() const;

 private:
  struct Commands;
  std::unique_ptr<Commands> commands_;
};

}  // namespace cli
