// Reloader: the thread that plans and carries out changes of the configuration, one after the
// other.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "target/plan.h"
#include "target/served.h"

namespace target {

// What runs, where it came from, and what became of the last attempt to change it.
struct ReloadStatus {
  std::string hash{};            // of the file as it was applied
  std::uint64_t applied_ms = 0;  // since 1970
  std::string applied_by{};
  std::string note{};    // what the operator should know of it; empty: nothing
  bool is_copy = false;  // the file was broken at the start: what was applied last is served
  // The last apply or reload; 0: there was none.
  std::uint64_t last_ms = 0;
  std::string last_by{};
  std::string last_result{};  // applied, nothing-to-do, refused, needs-confirmation, failed
  std::string last_reason{};  // of the last three, one line
};

class Reloader {
 public:
  struct Start {
    LoadedConfig loaded{};
    std::string text{};  // that it was read from
    std::string file{};  // the daemon's own
    ReloadStatus status{};
    std::string state_directory{};  // for the applied copy; empty: none is kept
    // Told what has become of each attempt; any thread. May be empty.
    std::function<void(bool is_good, const std::string& sentence)> observe{};
  };
  struct Request {
    enum class Kind : std::uint8_t {
      plan,
      apply,
      reload,  // apply, of the daemon's own file as it is when its turn comes
      confirm,
    };
    Kind kind = Kind::plan;
    std::string file{};  // its name, for messages
    std::string text{};
    std::string by{};  // who asks
    std::vector<std::string> disconnect{};
    std::chrono::milliseconds confirm_within{0};  // apply: taken back then, unless confirmed; 0: no
  };
  // `error`: nothing was asked of the plan (too many wait, nothing to confirm); else it is empty.
  struct Answer {
    Plan plan{};
    std::string error{};
  };
  using Done = std::function<void(const Answer&)>;

  // How many requests may wait for their turn; one more is refused.
  static constexpr std::size_t most_waiting = 8;

  // `served` outlives it, and so does what its functions use.
  Reloader(Served& served, Start start);
  Reloader(const Reloader&) = delete;
  Reloader& operator=(const Reloader&) = delete;
  ~Reloader() { stop(); }

  // Any thread. `done` runs on the reloader's thread, or in here.
  void ask(Request request, Done done);
  // Any thread.
  [[nodiscard]] ReloadStatus status() const;
  // What is being changed is given up at the next opportunity; what waits is answered so. Before
  // the control thread ends, and not on it.
  void stop();

 private:
  using Clock = std::chrono::steady_clock;
  struct Waiting {
    Request request;
    Done done;
  };
  // What is gone back to unless somebody confirms.
  struct Unconfirmed {
    LoadedConfig loaded;
    std::string text;
    ReloadStatus status;
    Clock::time_point deadline;
  };
  // A file that has been read, and the plan for it.
  struct Prepared {
    Plan plan;
    LoadedConfig loaded;  // empty if it is invalid
    std::string text;
  };

  void run();
  [[nodiscard]] Answer answer(Request& request);
  [[nodiscard]] Answer confirm(const Request& request);
  [[nodiscard]] Plan apply(const Request& request);
  void take_back();
  [[nodiscard]] Prepared prepare(const Request& request);
  [[nodiscard]] Running look();
  // What the machine says to it, beyond the file.
  void inspect(const config::Config& after, std::vector<config::Message>& messages) const;
  void applied(Prepared& prepared, const Request& request);
  void keep_copy();
  void tell(const Request& request, const Plan& plan);

  Served& served_;
  const std::string state_directory_;
  const std::string file_;  // the daemon's own
  const std::function<void(bool is_good, const std::string& sentence)> observe_;
  std::atomic<bool> stopping_{false};

  // Of the thread.
  LoadedConfig loaded_;
  std::string text_;
  std::optional<Unconfirmed> unconfirmed_;

  mutable std::mutex mutex_;  // guards what follows; a leaf
  std::condition_variable changed_;
  std::deque<Waiting> waiting_;
  ReloadStatus status_;

  std::thread thread_;
};

}  // namespace target
