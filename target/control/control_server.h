// ControlServer: HTTP/JSON on a Unix socket, for forebayctl and nothing else. API v1: GET
// /v1/status.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "engine/foundation/result.h"

namespace target::control {

// What a request is answered from; called on the control thread, one at a time.
struct ControlRoutes {
  std::function<std::string()> status;  // a JSON object
};

// Owns the control thread; it may block in the routes, never touching a reactor.
class ControlServer {
 public:
  // `group`: may use the socket beside its owner; empty: the owner only. A stale socket file is
  // replaced, one that still answers is not. The error is one line for the operator that says what
  // to change.
  static engine::Result<std::unique_ptr<ControlServer>, std::string> start(const std::string& path,
                                                                           const std::string& group,
                                                                           ControlRoutes routes);
  virtual ~ControlServer() = default;  // ends the thread and removes the socket

  // Any thread. Runs `task` on the control thread soon.
  virtual void post(std::function<void()> task) = 0;
  // Runs `task` on the control thread every `seconds`, from now on.
  virtual void every(std::chrono::seconds period, std::function<void()> task) = 0;
};

}  // namespace target::control
