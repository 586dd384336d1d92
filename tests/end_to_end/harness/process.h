// A child process of a test: started, watched and ended; everything it prints is kept.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace end_to_end {

using Milliseconds = std::chrono::milliseconds;
using SteadyClock = std::chrono::steady_clock;

struct Exit {
  int code = -1;   // -1 when a signal ended it
  int signal = 0;  // 0 when it ended by itself
  [[nodiscard]] std::string describe() const;
};

struct Started {
  std::vector<std::string> arguments;         // the first is the program's path
  std::vector<std::string> environment = {};  // NAME=VALUE, beside the test's own
  bool without_io_uring = false;  // io_uring_setup(2) fails with EPERM, as under seccomp
  bool as_nobody = false;         // gives up root
};

// Dies with the test at the latest. Start it from a thread that lives as long as it shall.
class Process {
 public:
  explicit Process(const Started& started);
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;
  ~Process();  // SIGKILL if it still runs

  [[nodiscard]] pid_t pid() const { return pid_; }
  // A descriptor that is readable once the process has ended.
  [[nodiscard]] int end_descriptor() const { return pidfd_; }
  void signal(int number) const;
  // nullopt: it still runs after `time_out`. May be asked again after the end.
  std::optional<Exit> await_exit(Milliseconds time_out);
  [[nodiscard]] bool running() { return !await_exit(Milliseconds{0}); }

  // Standard output and standard error together, as far as they have come.
  [[nodiscard]] std::string output() const;
  // Waits until `holds` of the output; false on time-out, or when the process has closed its output
  // before.
  bool await_output(const std::function<bool(const std::string&)>& holds, Milliseconds time_out);

 private:
  void read_output();

  pid_t pid_ = -1;
  int pidfd_ = -1;
  int output_ = -1;
  std::optional<Exit> exit_;
  mutable std::mutex mutex_;
  std::condition_variable grown_;
  std::string text_;    // guarded by mutex_
  bool ended_ = false;  // guarded by mutex_: no more output will come
  std::thread reader_;
};

struct Outcome {
  Exit exit;
  std::string output;
};
// Runs a command to its end; a test failure and SIGKILL when it takes longer than `time_out`.
Outcome run(const Started& started, Milliseconds time_out = Milliseconds{30'000});

}  // namespace end_to_end
