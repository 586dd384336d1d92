#include "engine/media/disk_health.h"

#include <cerrno>
#include <mutex>

#include "engine/foundation/clock.h"

namespace engine {
namespace {

constexpr std::int64_t weight_of_one = 64;  // the mean of late: one in so many

bool is_timeout(int error) { return error == ETIMEDOUT || error == ETIME; }

// The disk was not at fault, or not asked.
bool says_nothing_of_the_disk(int error) {
  switch (error) {
    case EAGAIN:
    case ECANCELED:
    case EINTR:
    case ENOMEM:
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
    case EOPNOTSUPP:
    case ENOSYS:
    case EINVAL:
    case EBADF:
      return true;
    default:
      return false;
  }
}

}  // namespace

DiskWork disk_work(FileOperation::Kind kind) {
  switch (kind) {
    case FileOperation::Kind::read:
      return DiskWork::read;
    case FileOperation::Kind::write:
    case FileOperation::Kind::write_durable:
      return DiskWork::write;
    case FileOperation::Kind::sync:
      return DiskWork::sync;
    case FileOperation::Kind::zero_range:
    case FileOperation::Kind::punch_hole:
      return DiskWork::zero;
  }
  return DiskWork::read;
}

const char* text(DiskWork work) {
  switch (work) {
    case DiskWork::read:
      return "read";
    case DiskWork::write:
      return "write";
    case DiskWork::sync:
      return "sync";
    case DiskWork::zero:
      return "zero";
  }
  return "unknown";
}

void DiskHealth::ended(const FileOperation& operation, int result, std::chrono::nanoseconds took) {
  Counters& counters = this->counters(disk_work(operation.kind));
  const std::int64_t nanoseconds = took.count();
  const std::int64_t mean = counters.mean_ns.load(std::memory_order_relaxed);
  counters.mean_ns.store(mean == 0 ? nanoseconds : mean + (nanoseconds - mean) / weight_of_one,
                         std::memory_order_relaxed);
  counters.took_ns.fetch_add(static_cast<std::uint64_t>(nanoseconds), std::memory_order_relaxed);
  // Last: who reads sees no more ended than begun.
  counters.steps[LatencyHistogram::step_of(took)].fetch_add(1, std::memory_order_release);

  const bool is_late = took > late_answer;
  // A transfer of nothing is how a disk or file that has become shorter answers.
  const bool is_cut_off = result == 0 && !operation.buffer.empty();
  const int error = is_cut_off ? EIO : result < 0 ? -result : 0;
  if (error != 0 && !says_nothing_of_the_disk(error)) return failed(operation, error, is_late);
  if (is_late) counters.timeouts.fetch_add(1, std::memory_order_relaxed);
}

void DiskHealth::failed(const FileOperation& operation, int error, bool is_late) {
  Counters& counters = this->counters(disk_work(operation.kind));
  counters.errors.fetch_add(1, std::memory_order_relaxed);
  if (is_late || is_timeout(error)) counters.timeouts.fetch_add(1, std::memory_order_relaxed);
  const DiskFault fault{.work = disk_work(operation.kind),
                        .error = error,
                        .offset = operation.offset,
                        .wall = SystemClock().wall()};
  const std::lock_guard lock(fault_lock_);
  last_fault_ = fault;
}

// A sync, or making zeros of much, may take long while transfers go on beside it.
std::optional<Instant> DiskHealth::silent_since(Instant now) {
  const std::lock_guard lock(silence_lock_);
  if (now != looked_at_) {
    looked_at_ = now;
    const DiskHealthCounts all = counts();
    std::uint64_t ended = 0;
    for (const DiskWorkCounts& each : all.works) ended += each.ended();
    const std::uint64_t transfers =
        all.of(DiskWork::read).in_flight() + all.of(DiskWork::write).in_flight();
    if (transfers == 0 || ended != answered_) answered_by_ = now;
    answered_ = ended;
    is_silent_ = now - answered_by_ >= silence;
  }
  if (!is_silent_) return std::nullopt;
  return answered_by_;
}

DiskHealthCounts DiskHealth::counts() const {
  DiskHealthCounts all;
  for (std::size_t work = 0; work < disk_works; ++work) {
    const Counters& counters = counters_[work];
    DiskWorkCounts& to = all.works[work];
    for (std::size_t step = 0; step < LatencyHistogram::steps; ++step) {
      to.latency.add(step, counters.steps[step].load(std::memory_order_acquire));
    }
    to.begun = counters.begun.load(std::memory_order_relaxed);
    to.errors = counters.errors.load(std::memory_order_relaxed);
    to.timeouts = counters.timeouts.load(std::memory_order_relaxed);
    to.took = std::chrono::nanoseconds(counters.took_ns.load(std::memory_order_relaxed));
    to.mean = std::chrono::nanoseconds(counters.mean_ns.load(std::memory_order_relaxed));
  }
  const std::lock_guard lock(fault_lock_);
  all.last_fault = last_fault_;
  return all;
}

std::uint64_t DiskHealthCounts::errors() const {
  std::uint64_t sum = 0;
  for (const DiskWorkCounts& each : works) sum += each.errors;
  return sum;
}

std::uint64_t DiskHealthCounts::timeouts() const {
  std::uint64_t sum = 0;
  for (const DiskWorkCounts& each : works) sum += each.timeouts;
  return sum;
}

std::uint64_t DiskHealthCounts::in_flight() const {
  std::uint64_t sum = 0;
  for (const DiskWorkCounts& each : works) sum += each.in_flight();
  return sum;
}

}  // namespace engine
