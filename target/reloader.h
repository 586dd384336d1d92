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

#include "target/applied_copy.h"
#include "target/overrides.h"
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
  // A crash has cut off the change to the file: what ran before it is served, then it is made.
  bool resumes = false;
  // The last apply or reload; 0: there was none.
  std::uint64_t last_ms = 0;
  std::string last_by{};
  std::string last_result{};  // applied, nothing-to-do, refused, needs-confirmation, failed
  std::string last_reason{};  // of the last three, one line
  // Of the daemon's own file as it lies on the disk, looked at every second; empty: it cannot be
  // read, or has not been looked at yet.
  std::string disk_hash{};
  std::vector<Override> overrides{};
};

class Reloader {
 public:
  struct Start {
    LoadedConfig loaded{};
    std::string text{};  // that it was read from
    std::string file{};  // the daemon's own
    ReloadStatus status{};
    std::string state_directory{};  // for the applied copy; empty: none is kept
    std::shared_ptr<const config::Config> file_config{};  // `loaded`, without what overrides it
    // Told what has become of each attempt; any thread. May be empty.
    std::function<void(bool is_good, const std::string& sentence)> observe{};
    // And of each override that comes or goes; the same.
    std::function<void(bool is_set, const std::string& subject, const std::string& sentence)>
        observe_override{};
  };
  struct Request {
    enum class Kind : std::uint8_t {
      plan,
      apply,
      reload,  // apply, of the daemon's own file as it is when its turn comes
      confirm,
      set_mode,         // of `volume` to `mode`; what the file says is no override
      set_access,       // of `path` to `access`
      clear_overrides,  // of `volume`, or of `path`; of all if both are empty
      renew_volume,     // `volume`, which nobody can use: Reconfiguration::renew_volume()
    };
    Kind kind = Kind::plan;
    std::string file{};  // its name, for messages
    std::string text{};
    std::string by{};  // who asks
    std::vector<std::string> disconnect{};
    std::chrono::milliseconds confirm_within{0};  // apply: taken back then, unless confirmed; 0: no
    bool drop_overrides = false;                  // plan, apply
    std::string volume{};
    std::string mode{};
    std::string path{};  // a listener, or a group of them
    std::string access{};
    // Done only if this is the hash of what runs when its turn comes; empty: in any case.
    std::string if_match{};
    // Apply: done only if the plan is still the one with this hash; empty: in any case.
    std::string if_plan{};
  };
  // `error`: nothing was asked of the plan (too many wait, nothing to confirm); else it is empty.
  struct Answer {
    Plan plan{};
    std::string error{};
    bool is_stale = false;  // what runs, or the plan, is not what was asked for: `error` says so
    std::string note{};     // what to know of what was done; empty: nothing
  };
  using Done = std::function<void(const Answer&)>;

  // How many requests may wait for their turn; one more is refused.
  static constexpr std::size_t most_waiting = 8;

  // How often the file on the disk is looked at.
  static constexpr std::chrono::seconds file_period{1};

  // `served` and `overrides` outlive it, and so does what their functions use.
  Reloader(Served& served, Overrides& overrides, Start start);
  Reloader(const Reloader&) = delete;
  Reloader& operator=(const Reloader&) = delete;
  ~Reloader() { stop(); }

  // Any thread. `done` runs on the reloader's thread, or in here.
  void ask(Request request, Done done);
  // Any thread.
  [[nodiscard]] ReloadStatus status() const;
  // The text of the configuration that runs, without what overrides it.
  [[nodiscard]] std::string running_text() const;
  // The overrides have changed by somebody else: they are brought to the disk soon.
  void keep_overrides();
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
    std::shared_ptr<const config::Config> file_config;
    std::string text;
    std::optional<std::vector<Override>> overrides;  // that were dropped

    ReloadStatus status;
    Clock::time_point deadline;
  };
  // What the next start is to know of what runs.
  struct Kept {
    AppliedCopy copy;
    std::vector<Override> overrides;
  };
  // By which a file that has changed is known.
  struct FileMark {
    std::uint64_t inode = 0;
    std::int64_t size = -1;
    std::int64_t changed_ns = 0;
    bool operator==(const FileMark&) const = default;
  };
  // A file that has been read, and the plan for it.
  struct Prepared {
    Plan plan;
    LoadedConfig loaded;  // with its overrides; empty if it is invalid
    std::shared_ptr<const config::Config> file_config;
    std::string text;
    std::uint64_t applied_ms = 0;  // since 1970: when that is, if it is
  };

  void run();
  void resume();
  [[nodiscard]] Answer answer(Request& request);
  [[nodiscard]] Answer confirm(const Request& request);
  [[nodiscard]] Answer apply(const Request& request);
  [[nodiscard]] Answer renew_volume(const Request& request);
  void take_back();
  // Why not, where the request is for a configuration that does not run any more; empty: go on.
  [[nodiscard]] std::string why_stale(const Request& request) const;
  void look_at_file();
  [[nodiscard]] Prepared prepare(const Request& request);
  [[nodiscard]] Running look();
  // What the machine says to it, beyond the file.
  void inspect(const config::Config& after, std::vector<config::Message>& messages) const;
  void applied(Prepared& prepared, const Request& request);
  // On the disk: `wanted`; or, with an error, `before`.
  [[nodiscard]] engine::Result<void, std::string> write_down(const Kept& wanted,
                                                             const Kept& before);
  // The same, and pools may call volumes as the configuration does.
  [[nodiscard]] engine::Result<void, std::string> keep(const Kept& wanted, const Kept& before);
  [[nodiscard]] Kept running() const;
  [[nodiscard]] engine::Result<void, std::string> mark(const std::string& hash);
  // Overrides; see reloader_overrides.cpp.
  [[nodiscard]] Answer set_mode(const Request& request);
  [[nodiscard]] Answer set_access(const Request& request);
  [[nodiscard]] Answer clear_overrides(const Request& request);
  [[nodiscard]] engine::Result<void, std::string> change_mode(const std::string& volume,
                                                              const std::string& mode);
  void drop_overrides(const std::string& by);
  void erase_override(const Override& one, const std::string& why);
  // Hosts are told what is said of the ways to them now.
  void follow_access();
  void settle_overrides();
  [[nodiscard]] std::string kept_overrides();
  void override_again();
  void tell(const Request& request, const Plan& plan);

  Served& served_;
  Overrides& overrides_;
  const std::string state_directory_;
  const std::string file_;  // the daemon's own
  const std::function<void(bool is_good, const std::string& sentence)> observe_;
  const std::function<void(bool is_set, const std::string& subject, const std::string& sentence)>
      observe_override_;
  std::atomic<bool> stopping_{false};

  // Of the thread.
  LoadedConfig loaded_;
  std::optional<Unconfirmed> unconfirmed_;
  FileMark file_mark_;

  mutable std::mutex mutex_;  // guards what follows; a leaf
  // Changed by the thread alone.
  std::string text_;
  std::shared_ptr<const config::Config> file_config_;  // what loaded_ is without overrides
  bool must_keep_overrides_ = false;
  std::condition_variable changed_;
  std::deque<Waiting> waiting_;
  ReloadStatus status_;

  std::thread thread_;
};

}  // namespace target
