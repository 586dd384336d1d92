// IoLane: one thread's way to the disks. Each reactor owns one; an operation completes on the lane
// it started on.
#pragma once

#include <boost/intrusive/list.hpp>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "engine/foundation/clock.h"
#include "engine/foundation/units.h"
#include "engine/media/buffer_pool.h"

namespace engine {

// What an operation may hang together with: a file, and the disk or file system behind it. A lane
// caps what each may have in flight, so that a hung one leaves room for the others. Numbers are
// never used twice.
struct IoSource {
  std::uint32_t file = 0;     // 0: not capped
  std::uint32_t backing = 0;  // 0: not capped

  [[nodiscard]] static std::uint32_t new_backing();
  [[nodiscard]] static IoSource new_file(std::uint32_t backing);
};

// One operation on a file descriptor; owned by the caller, untouched by it until `done` runs.
struct FileOperation {
  enum class Kind : std::uint8_t {
    read,
    write,
    write_durable,  // RWF_DSYNC: complete only when on stable media
    sync,           // fdatasync
    zero_range,     // fallocate: reads return zeros, space stays allocated
    punch_hole,     // fallocate: reads return zeros, space is given back
  };
  Kind kind = Kind::read;
  int fd = -1;
  MediaOffset offset{};
  std::span<std::byte> buffer{};  // read, write; at most largest_transfer long
  ByteCount length{};             // zero_range, punch_hole
  IoSource source{};
  // `result` as the system call gives it: bytes moved, or -errno. On the lane's thread; never
  // inside start().
  void (*done)(FileOperation& operation, int result) noexcept = nullptr;
  void* context = nullptr;  // the caller's own
  bool is_timed = false;    // wants to know `handed`
  // When the lane gave it to the kernel, by SystemClock: it may have waited in the lane before.
  Instant handed{};

  static constexpr ByteCount largest_transfer = ByteCount{1U << 30};

  // The lane's own while the operation is queued.
  FileOperation* next = nullptr;
};

// Something of the engine to be done once at the end of the lane's turn, in front of submit(): a
// group commit. Leaves the queue by itself when destroyed.
class LaneTask : public boost::intrusive::list_base_hook<
                     boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
 public:
  // May start operations, and run the `done` of what it has committed.
  virtual void end_of_turn() = 0;

 protected:
  ~LaneTask() = default;
};

// Something that a part of the engine keeps with each lane that has come to it. It is quiet when
// the lane is destroyed.
class LaneGuest {
 public:
  LaneGuest() = default;
  LaneGuest(const LaneGuest&) = delete;
  LaneGuest& operator=(const LaneGuest&) = delete;
  virtual ~LaneGuest() = default;

  // Nothing of it is under way, nor will be but by what the lane's thread begins. That thread.
  [[nodiscard]] virtual bool is_quiet() const = 0;
};

class IoLane {
 public:
  IoLane() = default;
  IoLane(const IoLane&) = delete;
  IoLane& operator=(const IoLane&) = delete;
  // Nothing may be in flight: the kernel would go on writing to memory that is gone. Whoever is
  // destroyed here dismisses the guests first.
  virtual ~IoLane() = default;

  // Queues `operation`; the kernel sees it at the next submit(). Never blocks, never fails: an
  // operation that cannot be queued now waits inside the lane.
  virtual void start(FileOperation& operation) = 0;
  // Hands everything queued to the kernel. finish_turn() calls it.
  virtual void submit() = 0;
  // Runs task.end_of_turn() once in the next finish_turn(); nothing if it is queued already.
  void at_turn_end(LaneTask& task) {
    if (!task.is_linked()) tasks_.push_back(task);
  }
  // When this turn of the lane's thread began, or what of it was last committed: for figures, so
  // that nobody reads a clock for them. Zero where who runs the lane says nothing.
  [[nodiscard]] Instant now() const { return now_; }
  void set_now(Instant now) { now_ = now; }
  // Who runs the lane tells the time by this one, which outlives it; so may the engine, for what
  // takes long within a turn.
  void follow(const Clock& clock) { clock_ = &clock; }
  void refresh_now() {
    if (clock_ != nullptr) now_ = clock_->now();
  }
  // Whoever runs the lane may not sleep.
  [[nodiscard]] bool has_tasks() const { return !tasks_.empty(); }
  // Runs the tasks queued now (one that is queued meanwhile waits for the next call), then submits
  // what they and all others have started.
  void finish_turn() {
    decltype(tasks_) tasks;
    tasks.swap(tasks_);
    while (!tasks.empty()) {
      LaneTask& task = tasks.front();
      tasks.pop_front();
      task.end_of_turn();
    }
    submit();
  }
  // Runs the `done` of everything that finished or was posted, and wakes those who wait for
  // buffers; returns how many operations that were. No system call when there is nothing.
  virtual std::size_t reap() = 0;
  // From any thread: `done(operation, 0)` runs on the lane's thread at one of its next reap()s,
  // waking it.
  virtual void post(FileOperation& operation) = 0;
  // Operations started and not yet done (posted ones are not counted).
  [[nodiscard]] virtual std::size_t in_flight() const = 0;
  // Becomes readable when reap() has work while the thread sleeps; -1 if there is none
  // (simulation).
  [[nodiscard]] virtual int wake_descriptor() const = 0;
  // Makes wake_descriptor() unreadable again: called before reap() when it was found readable.
  virtual void clear_wake() = 0;
  // This thread's transfer buffers.
  [[nodiscard]] virtual BufferPool& buffers() = 0;

  // What `host` keeps here; null: nothing yet. The lane's thread.
  [[nodiscard]] LaneGuest* guest_of(const void* host) const {
    for (const auto& [whose, guest] : guests_) {
      if (whose == host) return guest.get();
    }
    return nullptr;
  }
  // What goes on behind answered requests is not among in_flight(): fills of a cache. The lane's
  // thread.
  [[nodiscard]] bool guests_are_quiet() const {
    for (const auto& [whose, guest] : guests_) {
      if (!guest->is_quiet()) return false;
    }
    return true;
  }
  // Lives as long as the lane; the host lives longer.
  void keep_guest(const void* host, std::unique_ptr<LaneGuest> guest) {
    guests_.emplace_back(host, std::move(guest));
  }

 protected:
  // Guests may use the lane to their end.
  void dismiss_guests() { guests_.clear(); }

 private:
  const Clock* clock_ = nullptr;
  Instant now_{};
  boost::intrusive::list<LaneTask, boost::intrusive::constant_time_size<false>> tasks_;
  std::vector<std::pair<const void*, std::unique_ptr<LaneGuest>>> guests_;  // few
};

}  // namespace engine
