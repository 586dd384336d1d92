// What forebayctl shows and does not change: its commands volumes, hosts, pools, cache, events,
// explain, connect-line, top and doctor.
#pragma once

#include <memory>
#include <optional>

namespace CLI {
class App;
}

namespace cli {

class Reports {
 public:
  // Adds its commands to `app`, which outlives it.
  explicit Reports(CLI::App& app);
  ~Reports();
  Reports(const Reports&) = delete;
  Reports& operator=(const Reports&) = delete;

  // After the command line was read: the exit code; nullopt: another command was asked for.
  [[nodiscard]] std::optional<int> run() const;

 private:
  struct Options;
  std::unique_ptr<Options> options_;
};

}  // namespace cli
