#include "engine/media/uring_lane.h"

#include <fcntl.h>
#include <liburing.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <fstream>
#include <system_error>
#include <utility>

#include "engine/foundation/check.h"

namespace engine {
namespace {

constexpr std::uint32_t most_workers = 4096;

int read_io_uring_disabled() {
  std::ifstream file("/proc/sys/kernel/io_uring_disabled");
  int value = -1;
  file >> value;
  return file ? value : -1;
}

void prepare(io_uring_sqe* sqe, FileOperation& operation) {
  const auto length = static_cast<unsigned>(operation.buffer.size());
  const auto offset = operation.offset.value;
  switch (operation.kind) {
    case FileOperation::Kind::read:
      io_uring_prep_read(sqe, operation.fd, operation.buffer.data(), length, offset);
      break;
    case FileOperation::Kind::write:
      io_uring_prep_write(sqe, operation.fd, operation.buffer.data(), length, offset);
      break;
    case FileOperation::Kind::write_durable:
      io_uring_prep_write(sqe, operation.fd, operation.buffer.data(), length, offset);
      sqe->rw_flags = RWF_DSYNC;
      break;
    case FileOperation::Kind::sync:
      io_uring_prep_fsync(sqe, operation.fd, IORING_FSYNC_DATASYNC);
      break;
    case FileOperation::Kind::zero_range:
      io_uring_prep_fallocate(sqe, operation.fd, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE,
                              static_cast<off_t>(offset),
                              static_cast<off_t>(operation.length.value));
      break;
    case FileOperation::Kind::punch_hole:
      io_uring_prep_fallocate(sqe, operation.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                              static_cast<off_t>(offset),
                              static_cast<off_t>(operation.length.value));
      break;
  }
  io_uring_sqe_set_data(sqe, &operation);
}

constexpr unsigned handed_at_once = 8;

}  // namespace

struct UringLane::Ring {
  io_uring ring{};
  bool open = false;
  Ring() = default;
  Ring(const Ring&) = delete;
  Ring& operator=(const Ring&) = delete;
  ~Ring() {
    if (open) io_uring_queue_exit(&ring);
  }
};

KernelRequest kernel_request_of(FileOperation& operation) {
  io_uring_sqe sqe{};
  prepare(&sqe, operation);
  return {.opcode = sqe.opcode, .flags = sqe.fsync_flags};  // one field with rw_flags
}

LaneError lane_error_of_setup(int error, int disabled) {
  using Kind = LaneError::Kind;
  const std::string cause =
      "io_uring cannot be used (" + std::generic_category().message(error) + "): ";
  switch (error) {
    case EPERM:
    case EACCES:
      if (disabled > 0) {
        return {Kind::forbidden, cause + "kernel.io_uring_disabled is " + std::to_string(disabled) +
                                     "; allow it with: sysctl -w kernel.io_uring_disabled=0"};
      }
      return {Kind::forbidden,
              cause +
                  "a seccomp filter or security module forbids it; allow io_uring_setup, "
                  "io_uring_enter and io_uring_register for forebayd (in a container: another "
                  "seccomp profile)"};
    case ENOSYS:
      return {Kind::forbidden,
              cause +
                  "the kernel has none or a seccomp filter hides it; Linux 6.1 or newer built "
                  "with CONFIG_IO_URING is needed (in a container: another seccomp profile)"};
    case ENOMEM:
      return {Kind::no_resources,
              cause + "raise the limit of locked memory (LimitMEMLOCK= in the unit, ulimit -l)"};
    case EMFILE:
    case ENFILE:
      return {Kind::no_resources,
              cause + "raise the limit of open files (LimitNOFILE= in the unit, ulimit -n)"};
    default:
      return {Kind::unsupported, cause + "Linux 6.1 or newer is needed"};
  }
}

Result<std::unique_ptr<UringLane>, LaneError> UringLane::create(MemoryBudget& budget,
                                                                Options options) {
  auto ring = std::make_unique<Ring>();
  io_uring_params params{};
  params.flags = IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP | IORING_SETUP_SUBMIT_ALL |
                 IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG;
  params.cq_entries = options.completion_entries;
  int result = io_uring_queue_init_params(options.submission_entries, &ring->ring, &params);
  if (result < 0) return lane_error_of_setup(-result, read_io_uring_disabled());
  ring->open = true;
  options.completion_entries = params.cq_entries;

  const int wake_descriptor = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (wake_descriptor < 0) return lane_error_of_setup(errno, -1);
  std::unique_ptr<UringLane> lane(new UringLane(budget, options, std::move(ring), wake_descriptor));
  result = io_uring_register_eventfd(&lane->ring_->ring, wake_descriptor);
  if (result < 0) return lane_error_of_setup(-result, -1);
  return lane;
}

UringLane::UringLane(MemoryBudget& budget, Options options, std::unique_ptr<Ring> ring,
                     int wake_descriptor)
    : options_(options),
      ring_(std::move(ring)),
      wake_descriptor_(wake_descriptor),
      buffers_(budget, [this] { wake(); }),
      limiter_(options.caps, [this] { wake(); }) {}

UringLane::~UringLane() {
  CHECK(in_flight_ == 0);
  dismiss_guests();
}

UringLane::WakeDescriptor::~WakeDescriptor() { close(number); }

void UringLane::start(FileOperation& operation) {
  CHECK(operation.buffer.size() <= FileOperation::largest_transfer.value);
  ++in_flight_;
  if (limiter_.admit(operation)) admitted_.push(operation);
}

// A bounded number, so that a disk works on the first ones while the next are handed over: the
// kernel holds back what comes in one call until all of it has come.
void UringLane::fill_ring() {
  Instant now{};  // one look at the clock for all of them
  for (unsigned count = 0;
       count < handed_at_once && !admitted_.empty() && in_kernel_ < options_.completion_entries;
       ++count) {
    io_uring_sqe* sqe = io_uring_get_sqe(&ring_->ring);
    if (sqe == nullptr) return;
    FileOperation& operation = *admitted_.pop();
    if (operation.is_timed) {
      if (now == Instant{}) now = SystemClock().now();
      operation.handed = now;
    }
    prepare(sqe, operation);
    ++in_kernel_;
  }
}

// The limit is the calling thread's, so it is set on the lane's own.
void UringLane::limit_workers() {
  const std::uint64_t allowed = QueueDepth::allowed();
  if (workers_for_ == allowed) return;
  workers_for_ = allowed;
  const std::uint64_t wanted = std::uint64_t{options_.backings} * options_.caps.per_backing +
                               allowed + options_.spare_workers;
  std::array<unsigned, 2> workers{
      static_cast<unsigned>(std::min<std::uint64_t>(wanted, most_workers)),
      0};  // bounded; 0 leaves the unbounded as they are
  // Cannot fail on a kernel that has made the ring; without it the default limit holds.
  (void)io_uring_register_iowq_max_workers(&ring_->ring, workers.data());
}

void UringLane::submit() {
  limit_workers();
  for (;;) {
    fill_ring();
    if (io_uring_sq_ready(&ring_->ring) == 0) return;
    const int result = io_uring_submit(&ring_->ring);
    if (result == -EINTR) continue;
    if (result <= 0) {  // short of memory, or completions overflowed: again after the next reap()
      wake();
      return;
    }
  }
}

void UringLane::finish(FileOperation& operation, int result) {
  --in_flight_;
  limiter_.ended(operation, [this](FileOperation& next) { admitted_.push(next); });
  operation.done(operation, result);
}

std::size_t UringLane::reap() {
  io_uring* ring = &ring_->ring;
  std::size_t ended = 0;
  if ((IO_URING_READ_ONCE(*ring->sq.kflags) & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)) != 0) {
    (void)io_uring_get_events(ring);
  }
  std::array<io_uring_cqe*, 64> batch{};
  for (;;) {
    const unsigned count =
        io_uring_peek_batch_cqe(ring, batch.data(), static_cast<unsigned>(batch.size()));
    if (count == 0) break;
    // Copied out first: a `done` may start, submit and destroy.
    std::array<std::pair<FileOperation*, int>, batch.size()> done;
    for (unsigned at = 0; at < count; ++at) {
      done[at] = {static_cast<FileOperation*>(io_uring_cqe_get_data(batch[at])), batch[at]->res};
    }
    io_uring_cq_advance(ring, count);
    in_kernel_ -= count;
    for (unsigned at = 0; at < count; ++at) finish(*done[at].first, done[at].second);
    ended += count;
  }
  if (limiter_.has_grants()) {
    limiter_.use_grants([this](FileOperation& next) { admitted_.push(next); });
  }
  if (has_posted_.load(std::memory_order_acquire)) ended += take_posted();
  buffers_.wake_waiters();
  return ended;
}

void UringLane::post(FileOperation& operation) {
  {
    const std::lock_guard lock(post_mutex_);
    posted_.push(operation);
    has_posted_.store(true, std::memory_order_release);
  }
  wake();
}

std::size_t UringLane::take_posted() {
  OperationQueue posted;
  {
    const std::lock_guard lock(post_mutex_);
    posted = std::exchange(posted_, OperationQueue{});
    has_posted_.store(false, std::memory_order_relaxed);
  }
  std::size_t count = 0;
  while (FileOperation* operation = posted.pop()) {
    ++count;
    operation->done(*operation, 0);
  }
  return count;
}

void UringLane::wake() const {
  const std::uint64_t one = 1;
  // Fails only when the counter is full, and then the descriptor is readable anyway.
  (void)!write(wake_descriptor_.number, &one, sizeof(one));
}

void UringLane::clear_wake() {
  std::uint64_t count = 0;
  (void)!read(wake_descriptor_.number, &count, sizeof(count));
}

}  // namespace engine
