// SmartWatch: asks the disks of all pools now and then what they say of their own health.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "engine/volume/engine.h"
#include "target/child_process.h"
#include "target/smart_report.h"

namespace target {

// By smartctl, where that is installed, on a thread of its own that may wait for it: each disk when
// it is first seen, and hourly.
class SmartWatch {
 public:
  using Find = std::function<std::vector<engine::PoolStatus>()>;
  // `find` is called from the thread; what it uses outlives this. `program`: for tests.
  explicit SmartWatch(Find find, std::string program = "smartctl");
  SmartWatch(const SmartWatch&) = delete;
  SmartWatch& operator=(const SmartWatch&) = delete;
  ~SmartWatch();

  // Any thread. Unavailable until the disk has been asked.
  [[nodiscard]] SmartReport report_of(const std::string& device) const;
  // A disk of `pools` that expects to fail has that among its troubles.
  void add_troubles(std::vector<engine::PoolStatus>& pools) const;
  // The same as findings, each once for a pool.
  [[nodiscard]] std::vector<engine::Finding> findings(
      const std::vector<engine::PoolStatus>& pools) const;
  // Waits until every disk that there is now has been asked; false on time-out.
  [[nodiscard]] bool await_all(std::chrono::milliseconds patience) const;

 private:
  using TimePoint = std::chrono::steady_clock::time_point;
  struct Asked {
    SmartReport report;
    TimePoint again;
  };
  void run();
  [[nodiscard]] std::vector<std::string> due(TimePoint now) const;
  [[nodiscard]] SmartReport ask(const std::string& device);

  const Find find_;
  const std::string program_;
  ChildRunner children_;  // the thread's, but give_up()

  mutable std::mutex mutex_;  // guards what follows; a leaf
  mutable std::condition_variable changed_;
  std::map<std::string, Asked> asked_;
  bool has_asked_all_ = false;
  bool stopping_ = false;

  std::thread thread_;
};

}  // namespace target
