// ControlServer: HTTP on a Unix socket, and the control thread that serves it. Callers are known by
// their uid.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/foundation/result.h"
#include "target/control/api.h"
#include "target/control/http.h"

namespace boost::asio {
class io_context;
}

namespace target::control {

// Owns the control thread, which feeds the watchdog: nothing that runs on it may wait for a disk.
class ControlServer {
 public:
  // `group`: may use the socket beside its owner; empty: the owner only. A stale socket file is
  // replaced, one that still answers is not. The error is one line for the operator that says what
  // to change.
  static engine::Result<std::unique_ptr<ControlServer>, std::string> start(
      const std::string& path, const std::string& group, std::vector<Route> routes);
  virtual ~ControlServer() = default;  // stops, and removes the socket

  // Ends the control thread, after the task that it is at: tasks that come later never run. For who
  // has tasks that find the server by a pointer which its destruction would take from them.
  virtual void stop() = 0;

  // Any thread. Runs `task` on the control thread soon.
  virtual void post(std::function<void()> task) = 0;
  // Runs `task` on the control thread every `period`, from now on.
  virtual void every(std::chrono::milliseconds period, std::function<void()> task) = 0;
  // The control thread's, for what else is served on it; as long as the server is there.
  [[nodiscard]] virtual boost::asio::io_context& context() = 0;
};

}  // namespace target::control
