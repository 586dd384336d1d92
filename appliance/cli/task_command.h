// forebayctl tasks, flush, scrub, lost: long work of the daemon, and what it has come to.
#pragma once

#include <boost/json/value.hpp>
#include <memory>
#include <optional>
#include <string>

namespace CLI {
class App;
}  // namespace CLI

namespace cli {

class TaskCommands {
 public:
  // Adds its commands to `app`, which outlives it.
  explicit TaskCommands(CLI::App& app);
  TaskCommands(const TaskCommands&) = delete;
  TaskCommands& operator=(const TaskCommands&) = delete;
  ~TaskCommands();

  // After parsing: what to end with; nullopt: it is none of these.
  //   scrub, tasks wait: 0 done and all is well, 2 done and something was found, 1 not done
  //   lost:              0 nothing is lost, 2 something is, 1 no answer
  //   others:            0 done, 1 not done
  [[nodiscard]] std::optional<int> run() const;

 private:
  struct Commands;
  std::unique_ptr<Commands> commands_;
};

// "[####------]  41%  1.2 GiB of 3 GiB, 98 MiB/s, about 19s left"
[[nodiscard]] std::string task_progress(const boost::json::value& task);
// All of them as a table, the newest last; empty: there is none.
[[nodiscard]] std::string task_list(const boost::json::value& tasks);
// What there is to know of one.
[[nodiscard]] std::string task_text(const boost::json::value& task);
// Of a volume of the status: which blocks are lost, and what to do.
[[nodiscard]] std::string lost_text(const boost::json::value& volume);

}  // namespace cli
