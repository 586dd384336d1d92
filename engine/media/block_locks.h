// BlockLocks: one read-modify-write at a time on a block of a device, without anybody blocking a
// thread.
#pragma once

#include <boost/intrusive/list.hpp>
#include <cstdint>
#include <mutex>

#include "engine/media/io_lane.h"

namespace engine {

// Two writes of different parts of one disk block would each write back the other's old part; so
// whoever reads, changes and writes back a block holds its lock. Held across I/O; waiting is by
// callback on the waiter's lane. Thread-safe. Few are held at any time, so a list is searched.
class BlockLocks {
 public:
  struct Holder : boost::intrusive::list_base_hook<> {
    IoLane* lane = nullptr;  // where `granted` runs
    FileOperation granted;   // its `done` is called when a lock that was waited for is held
    std::uint64_t block = 0;
    bool held = false;
  };
  BlockLocks() = default;
  BlockLocks(const BlockLocks&) = delete;
  BlockLocks& operator=(const BlockLocks&) = delete;

  // True: held. False: `granted` is posted to the holder's lane once it is; first come, first
  // served.
  [[nodiscard]] bool lock(Holder& holder, std::uint64_t block);
  void unlock(Holder& holder);

 private:
  std::mutex mutex_;  // guards both; a leaf but for IoLane::post, called after it is released
  boost::intrusive::list<Holder, boost::intrusive::constant_time_size<false>> holders_;
};

}  // namespace engine
