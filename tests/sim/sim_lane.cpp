#include "tests/sim/sim_lane.h"

#include <algorithm>
#include <cerrno>

#include "engine/foundation/check.h"

namespace engine {

SimLane::SimLane(MemoryBudget& budget, std::uint64_t seed) : buffers_(budget), random_(seed) {}

SimLane::~SimLane() {
  CHECK(in_flight() == 0);
  dismiss_guests();
}

int SimLane::attach(SimDisk& disk) {
  disks_[++last_descriptor_] = &disk;
  return last_descriptor_;
}

void SimLane::submit() {
  for (FileOperation* const operation : started_) {
    if (operation->is_timed) operation->handed = SystemClock().now();
  }
  handed_.insert(handed_.end(), started_.begin(), started_.end());
  started_.clear();
}

void SimLane::post(FileOperation& operation) {
  const std::lock_guard lock(post_mutex_);
  posted_.push_back(&operation);
}

std::size_t SimLane::take_posted() {
  std::deque<FileOperation*> posted;
  {
    const std::lock_guard lock(post_mutex_);
    posted.swap(posted_);
  }
  for (FileOperation* operation : posted) operation->done(*operation, 0);
  return posted.size();
}

std::size_t SimLane::reap() {
  const std::size_t posted = take_posted();
  std::size_t count = handed_.size();
  if (holding_) {
    count = std::min(count, released_);
    released_ -= count;
  }
  for (std::size_t at = 0; at < count; ++at) end_one();
  buffers_.wake_waiters();
  return count + posted;
}

void SimLane::end_one() {
  const auto choice = static_cast<std::ptrdiff_t>(random_.below(handed_.size()));
  FileOperation* operation = handed_[static_cast<std::size_t>(choice)];
  handed_.erase(handed_.begin() + choice);
  ++ended_;
  ++counts_[operation->kind];
  operation->done(*operation, perform(*operation));
}

std::optional<int> SimLane::injected(FileOperation::Kind kind) {
  if (dead_) return -EIO;
  auto& queue = failures_[kind];
  if (!queue.empty()) {
    const int error = queue.front();
    queue.pop_front();
    return -error;
  }
  const int error = broken_kinds_[kind];
  if (error != 0) return -error;
  return std::nullopt;
}

int SimLane::perform(FileOperation& operation) {
  if (const auto failure = injected(operation.kind)) return *failure;
  const auto found = disks_.find(operation.fd);
  if (found == disks_.end()) return -EBADF;
  SimDisk& disk = *found->second;
  switch (operation.kind) {
    case FileOperation::Kind::read:
    case FileOperation::Kind::write:
    case FileOperation::Kind::write_durable:
      return transfer(operation, disk);
    case FileOperation::Kind::sync:
      if (!forgetful_) disk.sync();
      return 0;
    case FileOperation::Kind::zero_range:
    case FileOperation::Kind::punch_hole: {
      const std::vector<std::byte> zeros(operation.length.value);
      disk.write(operation.offset, zeros);
      return 0;
    }
  }
  return -EINVAL;
}

int SimLane::transfer(FileOperation& operation, SimDisk& disk) {
  const std::uint64_t begin = operation.offset.value;
  const std::uint64_t rest = begin < disk.size().value ? disk.size().value - begin : 0;
  std::uint64_t length = std::min<std::uint64_t>(operation.buffer.size(), rest);
  if (shorten_out_of_ != 0 && length > shorten_granularity_ && random_.chance(1, shorten_out_of_)) {
    length = shorten_granularity_ * (1 + random_.below(length / shorten_granularity_));
  }
  const auto bytes = operation.buffer.first(length);
  if (operation.kind == FileOperation::Kind::read) {
    return disk.read(operation.offset, bytes) ? static_cast<int>(length) : -EIO;
  }
  disk.write(operation.offset, bytes);
  if (operation.kind == FileOperation::Kind::write_durable && !forgetful_) {
    disk.sync_range(operation.offset, {length});
  }
  return static_cast<int>(length);
}

void SimLane::tear(const FileOperation& operation) {
  if (operation.kind != FileOperation::Kind::write &&
      operation.kind != FileOperation::Kind::write_durable) {
    return;
  }
  SimDisk& disk = *disks_.at(operation.fd);
  for (std::uint64_t at = 0; at < operation.buffer.size(); at += SimDisk::sector_bytes) {
    if (random_.chance(1, 2)) continue;
    const auto length =
        std::min<std::uint64_t>(SimDisk::sector_bytes, operation.buffer.size() - at);
    disk.write(operation.offset + ByteCount{at}, operation.buffer.subspan(at, length));
  }
}

void SimLane::crash() {
  submit();
  for (const FileOperation* operation : handed_) tear(*operation);
  for (const auto& [descriptor, disk] : disks_) disk->crash();
  dead_ = true;
  holding_ = false;
  while (in_flight() != 0 || !posted_.empty()) {
    submit();
    (void)reap();
  }
}

}  // namespace engine
