// EventKeeper: brings the Persistent Event logs of subsystems to the disk, and back at the next
// start.
#pragma once

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "engine/foundation/clock.h"
#include "engine/foundation/result.h"
#include "target/nvmf/options.h"
#include "target/nvmf/persistent_log.h"

namespace target {

// Any thread, but for what is said to wait for a disk. Nobody who records an event waits for one:
// a thread of its own writes what there is. A disk that hangs holds up that thread alone, and what
// is recorded meanwhile is bounded as the logs are.
class EventKeeper final : public nvmf::EventLogs {
 public:
  // Files "nvme-events.SERIAL" below `directory`, one for each subsystem; empty: nothing is kept.
  // The clock outlives it.
  EventKeeper(std::string directory, const engine::Clock& clock);
  EventKeeper(const EventKeeper&) = delete;
  EventKeeper& operator=(const EventKeeper&) = delete;
  // After finish(), and only if that has succeeded, or start() has not been called.
  ~EventKeeper();

  // Until start() it reads the file before it returns; later, the thread does that.
  [[nodiscard]] std::shared_ptr<nvmf::PersistentLog> log_of(const std::string& nqn) override;
  void start();
  // Everything goes to the disk, and that it ended well; then the thread ends. False: the disk has
  // not answered in time, and the thread is left behind.
  [[nodiscard]] bool finish(engine::Duration patience);

 private:
  struct Kept {
    std::string nqn;
    std::string name;  // of its file
    std::shared_ptr<nvmf::PersistentLog> log;
    // Its loader's, and from then on the thread's.
    bool is_loaded = false;
    std::uint64_t saved = nvmf::kept_events;  // up to this number
    std::uint64_t file_bytes = 0;
    bool anew = false;  // the file is to be written as a whole
  };
  void load(Kept& kept) const;
  // The error is one line for the operator.
  [[nodiscard]] engine::Result<void, std::string> save(Kept& kept, bool ends) const;
  [[nodiscard]] engine::Result<void, std::string> append(Kept& kept,
                                                         const std::string& records) const;
  void wake();
  void run();
  void save_all(bool ends);

  const std::string directory_;
  const engine::Clock& clock_;
  std::string trouble_;  // what was last told; the thread's

  // Guards everything below. Leaf.
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, std::shared_ptr<Kept>> logs_;  // by NQN
  bool has_news_ = false;
  bool ends_ = false;
  bool ended_ = false;
  std::thread thread_;
};

}  // namespace target
