// The service manager's side of sd_notify(3): hears when a daemon is ready, and its watchdog pings.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "tests/end_to_end/harness/process.h"

namespace end_to_end {

class NotifySocket {
 public:
  explicit NotifySocket(const std::string& path);
  NotifySocket(const NotifySocket&) = delete;
  NotifySocket& operator=(const NotifySocket&) = delete;
  ~NotifySocket();

  [[nodiscard]] const std::string& path() const { return path_; }
  // Waits for `count` assignments of exactly this text ("READY=1"), old ones included; false when
  // `process` ends first or the time is over.
  bool await(std::string_view assignment, const Process& process, Milliseconds time_out,
             std::size_t count = 1);
  [[nodiscard]] std::size_t count(std::string_view assignment) const;
  // What has been said so far, also what nobody has listened to yet.
  void forget() {
    receive();
    heard_.clear();
  }

 private:
  void receive();

  std::string path_;
  int socket_;
  std::vector<std::string> heard_;  // one assignment each
};

}  // namespace end_to_end
