#include "tests/sim/sim_backing.h"

#include <algorithm>

#include "engine/foundation/check.h"

namespace engine {
namespace {

bool moves(const BackingIo& io) {
  return io.kind == BackingIo::Kind::read || io.kind == BackingIo::Kind::write;
}

std::uint64_t length_of(const BackingIo& io) {
  if (io.kind == BackingIo::Kind::sync) return 0;
  return moves(io) ? io.buffer.size() : io.length.value;
}

}  // namespace

SimBacking::~SimBacking() { CHECK(held_.empty()); }

ByteCount SimBacking::size() const {
  const std::lock_guard lock(mutex_);
  return disk_.size();
}

bool SimBacking::needs_reopen() const {
  const std::lock_guard lock(mutex_);
  return poisoned_;
}

std::size_t SimBacking::count(BackingIo::Kind kind) const {
  const std::lock_guard lock(mutex_);
  const auto found = counts_.find(kind);
  return found == counts_.end() ? 0 : found->second;
}

void SimBacking::submit(IoLane& lane, BackingIo& io) {
  const std::lock_guard lock(mutex_);
  io.lane = &lane;
  ++submitted_;
  ++counts_[io.kind];
  const auto failure = failures_.find(submitted_);
  if (failure != failures_.end()) {
    const IoStatus status = failure->second;
    failures_.erase(failure);
    return end(io, status);
  }
  const std::uint64_t size = disk_.size().value;
  if (io.kind != BackingIo::Kind::sync &&
      (io.offset.value > size || length_of(io) > size - io.offset.value)) {
    return end(io, IoStatus::out_of_range);
  }
  held_.push_back(&io);
  if (!holding_ && !hung_) release_at(held_.size() - 1);
}

void SimBacking::end(BackingIo& io, IoStatus status) {
  io.generation = static_cast<std::uint32_t>(status);
  io.file.context = &io;
  io.file.done = [](FileOperation& operation, int) noexcept {
    auto& ended = *static_cast<BackingIo*>(operation.context);
    ended.done(ended, static_cast<IoStatus>(ended.generation));
  };
  io.lane->post(io.file);
}

void SimBacking::release_at(std::size_t position) {
  BackingIo& io = *held_[position];
  held_.erase(held_.begin() + static_cast<std::ptrdiff_t>(position));
  end(io, perform(io));
}

IoStatus SimBacking::perform(BackingIo& io) {
  const bool promises_durability = io.durable || io.kind == BackingIo::Kind::sync;
  if (io.kind != BackingIo::Kind::read && poisoned_) {
    return io.kind == BackingIo::Kind::sync ? IoStatus::sync_failed : IoStatus::unavailable;
  }
  if (promises_durability && syncs_fail_) {
    poisoned_ = true;
    return IoStatus::sync_failed;
  }
  const IoStatus status = transfer(io);
  if (status == IoStatus::ok && io.durable) disk_.sync_range(io.offset, {length_of(io)});
  return status;
}

IoStatus SimBacking::transfer(BackingIo& io) {
  switch (io.kind) {
    case BackingIo::Kind::read:
      return disk_.read(io.offset, io.buffer) ? IoStatus::ok : IoStatus::media_error;
    case BackingIo::Kind::write:
      disk_.write(io.offset, io.buffer);
      return IoStatus::ok;
    case BackingIo::Kind::sync:
      disk_.sync();
      return IoStatus::ok;
    case BackingIo::Kind::zero_range:
    case BackingIo::Kind::discard: {
      const std::vector<std::byte> zeros(io.length.value);
      disk_.write(io.offset, zeros);
      return IoStatus::ok;
    }
  }
  return IoStatus::media_error;
}

void SimBacking::hold(bool holding) {
  const std::lock_guard lock(mutex_);
  holding_ = holding;
}

std::size_t SimBacking::held() const {
  const std::lock_guard lock(mutex_);
  return held_.size();
}

std::vector<const BackingIo*> SimBacking::held_operations() const {
  const std::lock_guard lock(mutex_);
  return {held_.begin(), held_.end()};
}

bool SimBacking::release_oldest() {
  const std::lock_guard lock(mutex_);
  if (held_.empty() || hung_) return false;
  release_at(0);
  return true;
}

bool SimBacking::release_any() {
  const std::lock_guard lock(mutex_);
  if (held_.empty() || hung_) return false;
  release_at(random_.below(held_.size()));
  return true;
}

void SimBacking::release_all() {
  while (release_any()) {
  }
}

void SimBacking::hang(bool hung) {
  {
    const std::lock_guard lock(mutex_);
    hung_ = hung;
    if (hung || holding_) return;
  }
  release_all();
}

void SimBacking::fail_nth(std::size_t n, IoStatus status) {
  const std::lock_guard lock(mutex_);
  failures_[submitted_ + n] = status;
}

void SimBacking::fail_syncs(bool fail) {
  const std::lock_guard lock(mutex_);
  syncs_fail_ = fail;
}

void SimBacking::break_sector(std::uint64_t sector) {
  const std::lock_guard lock(mutex_);
  disk_.break_sector(sector);
}

void SimBacking::swallow_flushes(bool swallow) {
  const std::lock_guard lock(mutex_);
  disk_.lie_about_syncs(swallow);
}

void SimBacking::reopen() {
  const std::lock_guard lock(mutex_);
  poisoned_ = false;
}

void SimBacking::grow(ByteCount size) {
  const std::lock_guard lock(mutex_);
  disk_.grow(size);
}

void SimBacking::crash() {
  const std::lock_guard lock(mutex_);
  for (BackingIo* io : held_) {
    if (io->kind == BackingIo::Kind::write) {
      for (std::uint64_t at = 0; at < io->buffer.size(); at += SimDisk::sector_bytes) {
        if (random_.chance(1, 2)) continue;
        const auto rest = std::min<std::uint64_t>(SimDisk::sector_bytes, io->buffer.size() - at);
        disk_.write(io->offset + ByteCount{at}, io->buffer.subspan(at, rest));
      }
    }
    end(*io, IoStatus::unavailable);
  }
  held_.clear();
  disk_.crash();
}

}  // namespace engine
