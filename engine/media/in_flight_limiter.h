// InFlightLimiter: how much of one file, and of one disk behind several files, a lane hands to the
// kernel at once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "engine/media/io_lane.h"

namespace engine {

// A FIFO of operations, linked through FileOperation::next.
class OperationQueue {
 public:
  [[nodiscard]] bool empty() const { return first_ == nullptr; }
  void push(FileOperation& operation) {
    operation.next = nullptr;
    (first_ == nullptr ? first_ : last_->next) = &operation;
    last_ = &operation;
  }
  // The oldest; null when empty.
  [[nodiscard]] FileOperation* pop() {
    FileOperation* operation = first_;
    if (operation != nullptr) first_ = operation->next;
    return operation;
  }

 private:
  FileOperation* first_ = nullptr;
  FileOperation* last_ = nullptr;
};

// The kernel moves whatever would block to worker threads, a bounded number for each of our
// threads, shared by all files. A hung disk must not occupy all of them, so each operation is
// counted against its file and the backing behind it; what exceeds a cap waits here. Files of one
// backing take turns. One lane's thread only.
//
// Invariants: counts never exceed the caps; a file with something waiting that its own caps would
// admit is in its backing's `ready` list whenever the backing is at its cap.
class InFlightLimiter {
 public:
  struct Caps {
    std::uint32_t transfers_per_file = 64;
    std::uint32_t blocking_per_file = 1;  // sync and fallocate, which always occupy a worker
    std::uint32_t per_backing = 128;
  };
  explicit InFlightLimiter(Caps caps) : caps_(caps) {}

  // True: start it now (it is counted). False: it waits here.
  [[nodiscard]] bool admit(FileOperation& operation);
  // An admitted operation has ended. Calls `start` for each waiting one that may start now.
  void ended(const FileOperation& operation, const std::function<void(FileOperation&)>& start);
  [[nodiscard]] const Caps& caps() const { return caps_; }

 private:
  struct File {
    std::uint32_t transfers = 0;
    std::uint32_t blocking = 0;
    OperationQueue waiting_transfers;
    OperationQueue waiting_blocking;
    bool ready = false;  // in its backing's list
  };
  struct Backing {
    std::uint32_t in_flight = 0;
    std::vector<std::uint32_t> ready;  // files with waiting operations, in turn
    std::size_t next = 0;              // where in `ready` the turn is
  };

  [[nodiscard]] bool has_room(const File& file, bool blocking) const;
  [[nodiscard]] bool startable(const File& file) const;
  void make_ready(const IoSource& source, File& file, Backing& backing);

  const Caps caps_;
  std::vector<File> files_;        // by IoSource::file
  std::vector<Backing> backings_;  // by IoSource::backing
};

}  // namespace engine
