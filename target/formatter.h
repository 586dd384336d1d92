// Formatter: the formatting of volumes, for hosts that ask and after a restart that came between.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "engine/foundation/clock.h"
#include "target/assembly.h"
#include "target/block/volume_formatter.h"
#include "target/control/event_log.h"
#include "target/format_run.h"
#include "target/reactor/reactor.h"

namespace target {

// Control thread, unless a method says otherwise. Each volume is formatted for itself; one that
// could not be zeroed is tried again, from its beginning, until it is.
class Formatter final : public block::VolumeFormatter {
 public:
  struct Uses {
    const engine::Clock& clock;
    const BlockVolumes& volumes;  // control thread
    control::EventLog& events;
    std::function<Reactor&()> reactor;                // control thread
    std::function<void(std::function<void()>)> post;  // to the control thread; any thread
    // Who has the volume beside this host: an NQN or an initiator's name; empty: nobody. Any
    // thread.
    std::function<std::string(block::BlockVolume&, const std::string& host)> other_user;
    // Has the volume come back with the blocks that its pool knows, in the place of the one that is
    // there. `done`: empty, or why not (yet); on any thread, maybe in here. Control thread.
    std::function<void(const std::string& volume, std::function<void(const std::string& why)> done)>
        renew;
  };
  explicit Formatter(Uses uses) : uses_(std::move(uses)) {}
  Formatter(const Formatter&) = delete;
  Formatter& operator=(const Formatter&) = delete;
  ~Formatter() = default;

  // Any thread.
  void format(block::BlockVolume& volume, const std::string& host, engine::BlockSize blocks,
              Ended ended) override;

  // Volumes that are to be formatted and are not, are from now on. Often.
  void look();
  // Nothing begins any more, and what is under way ends soon; whoever waits is told.
  void stop();

 private:
  struct Run {
    std::shared_ptr<FormatRun> run;  // nullptr: it waits for its next try
    bool is_zeroed = false;          // it has other blocks now, and is to come back with them:
    bool is_renewing = false;        // that is under way
    engine::HoldCount::Hold hold{};
    engine::Instant next_try{};
    std::string trouble{};  // that has been told
  };
  void start(const std::string& name, block::BlockVolume& volume);
  void run_ended(const std::string& name, block::BlockVolume& volume, const std::string& why);
  void renew(const std::string& name, block::BlockVolume& volume);
  void renewed(const std::string& name, block::BlockVolume& volume, const std::string& why);
  void end(const std::string& name, const block::BlockVolume& volume, engine::BlockSize blocks);
  void try_again(const std::string& name, const block::BlockVolume& volume, const std::string& why);
  // False: somebody waits already, or nothing begins any more; then `ended` is the caller's still.
  [[nodiscard]] bool wait(const block::BlockVolume& volume, Ended& ended);
  // Of volumes that the configuration has not any more.
  void forget_removed();
  void answer(const block::BlockVolume& volume, End end);

  const Uses uses_;
  std::map<const block::BlockVolume*, Run> runs_;
  bool stopping_ = false;

  std::mutex mutex_;  // a leaf; guards what follows
  bool stopped_ = false;
  std::map<const block::BlockVolume*, Ended> waiting_;
};

}  // namespace target
