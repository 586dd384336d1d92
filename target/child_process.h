// ChildProcess: another program's answer, waited for no longer than it is told to.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

namespace target {

struct ChildOutput {
  int exit_status = 0;
  std::string text;  // what it has written to its standard output
};

struct ChildLimits {
  std::chrono::milliseconds patience{30'000};
  std::size_t most_bytes = std::size_t{1} << 20;
};

// Runs programs one after the other. One thread, but give_up().
class ChildRunner {
 public:
  ChildRunner();
  ChildRunner(const ChildRunner&) = delete;
  ChildRunner& operator=(const ChildRunner&) = delete;
  ~ChildRunner();

  // `arguments`: the program, looked for in PATH, and what it is given. Its input is empty and its
  // standard error goes nowhere. nullopt: it is not there, was killed by a signal, takes too long,
  // or says too much; then it has been killed, but one that hangs in the kernel may live on.
  [[nodiscard]] std::optional<ChildOutput> run(const std::vector<std::string>& arguments,
                                               const ChildLimits& limits = {});
  // Any thread: whatever runs is killed, and nothing is run any more.
  void give_up();

 private:
  // False: it has not come to an end in time, or was given up.
  [[nodiscard]] bool read_all(int from, const ChildLimits& limits,
                              std::chrono::steady_clock::time_point deadline,
                              std::string& text) const;
  [[nodiscard]] std::optional<int> await_end(pid_t child,
                                             std::chrono::steady_clock::time_point deadline);

  int given_up_ = -1;               // eventfd, readable from give_up() on
  std::vector<pid_t> left_behind_;  // killed, and not yet gone
};

}  // namespace target
