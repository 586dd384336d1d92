// UringLane: the lane over io_uring. The only place that includes liburing is its .cpp.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "engine/foundation/result.h"
#include "engine/media/in_flight_limiter.h"
#include "engine/media/io_lane.h"

namespace engine {

// Why a lane could not be made; `text` is one line for the operator that says what to change.
struct LaneError {
  enum class Kind : std::uint8_t {
    forbidden,     // io_uring is switched off or filtered (sysctl, seccomp)
    unsupported,   // the kernel is too old
    no_resources,  // descriptors or locked memory
  };
  Kind kind = Kind::unsupported;
  std::string text;
};

// Operations are queued in shared memory and handed over in one system call for up to eight of
// them; completions are read without any. Files are capped by InFlightLimiter, and this thread's
// io_uring workers are allowed to be as many as the caps of `backings` backings, and all depths
// that are set, add up to, so a hung backing leaves workers for the others.
class UringLane final : public IoLane {
 public:
  struct Options {
    std::uint32_t submission_entries = 256;
    std::uint32_t completion_entries = 4096;  // also the most operations the kernel has at once
    std::uint32_t backings = 8;               // pools that may hang independently of each other
    std::uint32_t spare_workers = 64;         // for operations that are not capped
    InFlightLimiter::Caps caps{};
  };

  // On any thread; the lane then belongs to the thread of its first start() or submit(). `budget`
  // outlives it.
  [[nodiscard]] static Result<std::unique_ptr<UringLane>, LaneError> create(MemoryBudget& budget,
                                                                            Options options);
  [[nodiscard]] static Result<std::unique_ptr<UringLane>, LaneError> create(MemoryBudget& budget) {
    return create(budget, Options{});
  }
  ~UringLane() override;

  void start(FileOperation& operation) override;
  void submit() override;
  std::size_t reap() override;
  void post(FileOperation& operation) override;
  [[nodiscard]] std::size_t in_flight() const override { return in_flight_; }
  [[nodiscard]] int wake_descriptor() const override { return wake_descriptor_.number; }
  void clear_wake() override;
  [[nodiscard]] BufferPool& buffers() override { return buffers_; }

 private:
  struct Ring;  // liburing's
  // Closes last of all: until buffers_ has left the budget, other threads' pools may wake it, and
  // the number must not be another file's by then.
  struct WakeDescriptor {
    explicit WakeDescriptor(int descriptor) : number(descriptor) {}
    WakeDescriptor(const WakeDescriptor&) = delete;
    WakeDescriptor& operator=(const WakeDescriptor&) = delete;
    ~WakeDescriptor();
    const int number;
  };

  UringLane(MemoryBudget& budget, Options options, std::unique_ptr<Ring> ring, int wake_descriptor);
  void wake() const;
  // Moves admitted operations into the submission ring as far as it and the completion ring have
  // room.
  void fill_ring();
  std::size_t take_posted();
  void limit_workers();
  void finish(FileOperation& operation, int result);

  const Options options_;
  const std::unique_ptr<Ring> ring_;
  const WakeDescriptor wake_descriptor_;
  BufferPool buffers_;
  InFlightLimiter limiter_;
  OperationQueue admitted_;    // may go to the kernel, not yet in the ring
  std::size_t in_flight_ = 0;  // started, not done
  std::size_t in_kernel_ = 0;  // in the ring or behind it
  // What of QueueDepth::allowed() this thread's worker limit is set for; nullopt: not set yet.
  std::optional<std::uint64_t> workers_for_;

  std::mutex post_mutex_;  // guards posted_; a leaf
  OperationQueue posted_;
  std::atomic<bool> has_posted_{false};
};

// What the kernel is asked for: io_uring's opcode, and the flags of a write or sync. Exposed for
// its test.
struct KernelRequest {
  unsigned opcode = 0;
  unsigned flags = 0;
};
[[nodiscard]] KernelRequest kernel_request_of(FileOperation& operation);

// The one line for an errno of io_uring_setup(2). `disabled` is the value of
// kernel.io_uring_disabled, -1 if there is none. Exposed for its test.
[[nodiscard]] LaneError lane_error_of_setup(int error, int disabled);

}  // namespace engine
