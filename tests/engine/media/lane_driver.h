// Turns a lane on the calling thread until something has happened, as a reactor would.
#pragma once

#include <gtest/gtest.h>
#include <poll.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>

#include "engine/foundation/check.h"
#include "engine/media/backing_device.h"
#include "engine/media/io_lane.h"

namespace engine {

template <class Condition>
void drive_until(IoLane& lane, const Condition& condition) {
  // Generous: it only ends a test that would hang.
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(120);
  while (!condition()) {
    const std::size_t ended = lane.reap();
    lane.finish_turn();
    if (ended != 0 || lane.has_tasks() || condition()) continue;
    CHECK(std::chrono::steady_clock::now() < deadline);
    if (lane.wake_descriptor() < 0) continue;
    pollfd wake{.fd = lane.wake_descriptor(), .events = POLLIN, .revents = 0};
    if (poll(&wake, 1, 1000) > 0) lane.clear_wake();
  }
}

// Submits and turns the lane until `io` has ended. `io.context` and `io.done` are overwritten.
inline IoStatus run_to_end(BackingDevice& device, IoLane& lane, BackingIo& io) {
  struct Answer {
    bool here = false;
    IoStatus status = IoStatus::ok;
  } answer;
  io.context = &answer;
  io.done = [](BackingIo& ended, IoStatus status) noexcept {
    auto& to = *static_cast<Answer*>(ended.context);
    CHECK(!to.here);
    to = {.here = true, .status = status};
  };
  device.submit(lane, io);
  drive_until(lane, [&answer] { return answer.here; });
  return answer.status;
}

// Before the lane is destroyed: what goes on behind ended requests ends too.
inline void finish(IoLane& lane) {
  drive_until(lane, [&lane] { return lane.guests_are_quiet(); });
}

}  // namespace engine
