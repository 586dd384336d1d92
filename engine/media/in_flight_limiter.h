// InFlightLimiter: how much of one file, and of one disk behind several files, a lane hands to the
// kernel at once.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "engine/media/io_lane.h"
#include "engine/media/queue_depth.h"

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
// backing take turns. Where a QueueDepth is set for a backing, it is the backing's cap, which all
// lanes share; one file has at most transfers_per_file of it, or half of it where that is more.
// One lane's thread only.
//
// Invariants: counts never exceed the caps, unless these have just been lowered; a file with
// something waiting that its own caps would admit is in its backing's `ready` list whenever the
// backing is at its cap, and then something of the lane is in flight there, or its turn is queued.
class InFlightLimiter {
 public:
  struct Caps {
    std::uint32_t transfers_per_file = 64;
    std::uint32_t blocking_per_file = 1;  // sync and fallocate, which always occupy a worker
    std::uint32_t per_backing = 128;
  };
  // `wake`: see has_grants(). On any thread, until this one ends.
  explicit InFlightLimiter(
      Caps caps, std::function<void()> wake = [] {})
      : caps_(caps), wake_(std::move(wake)) {}
  InFlightLimiter(const InFlightLimiter&) = delete;
  InFlightLimiter& operator=(const InFlightLimiter&) = delete;

  // True: start it now (it is counted). False: it waits here.
  [[nodiscard]] bool admit(FileOperation& operation);
  // An admitted operation has ended. Calls `start` for each waiting one that may start now.
  void ended(const FileOperation& operation, const std::function<void(FileOperation&)>& start);
  // Other lanes have given something on to this one: use_grants() is to be called.
  [[nodiscard]] bool has_grants() const { return has_grants_.load(std::memory_order_acquire); }
  // Calls `start` for each waiting operation that may start now.
  void use_grants(const std::function<void(FileOperation&)>& start);
  [[nodiscard]] const Caps& caps() const { return caps_; }

 private:
  struct File {
    std::uint32_t transfers = 0;
    std::uint32_t blocking = 0;
    OperationQueue waiting_transfers;
    OperationQueue waiting_blocking;
    bool ready = false;  // in its backing's list
  };
  struct BackingTurn final : QueueDepth::Turn {
    BackingTurn(InFlightLimiter& whose, QueueDepth& of) : limiter(whose), depth(of) {}
    BackingTurn(const BackingTurn&) = delete;
    BackingTurn& operator=(const BackingTurn&) = delete;
    ~BackingTurn() { depth.leave(*this); }
    void granted() override;
    InFlightLimiter& limiter;
    QueueDepth& depth;
    std::atomic<bool> has_place{false};  // given, and perhaps taken since
  };
  struct Backing {
    std::uint32_t in_flight = 0;
    std::uint32_t shared = 0;           // of those, taken from its QueueDepth
    std::unique_ptr<BackingTurn> turn;  // null: not used yet, or not capped
    std::vector<std::uint32_t> ready;   // files with waiting operations, in turn
    std::size_t next = 0;               // where in `ready` the turn is
  };

  [[nodiscard]] static std::uint32_t limit_of(const Backing& backing) {
    return backing.turn == nullptr ? 0 : backing.turn->depth.limit();
  }
  [[nodiscard]] bool has_room(const File& file, const Backing& backing, bool blocking) const;
  [[nodiscard]] bool startable(const File& file, const Backing& backing) const;
  [[nodiscard]] bool take_room(Backing& backing);
  void leave_room(Backing& backing);
  void make_ready(const IoSource& source, File& file, Backing& backing);
  void start_ready(Backing& backing, const std::function<void(FileOperation&)>& start);

  const Caps caps_;
  const std::function<void()> wake_;
  std::atomic<bool> has_grants_{false};
  std::vector<File> files_;        // by IoSource::file
  std::vector<Backing> backings_;  // by IoSource::backing
};

}  // namespace engine
