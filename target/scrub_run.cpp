#include "target/scrub_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <utility>

namespace target {
namespace {

constexpr engine::Duration look_at_hosts_every = std::chrono::milliseconds(100);
// Timers finer than this cost more than they give.
constexpr engine::Duration shortest_pause = std::chrono::milliseconds(5);
constexpr std::uint64_t share_beside_hosts = 4;
// A disk that gives nothing back any more is not asked for each of its blocks.
constexpr std::uint64_t most_unreadable_in_a_row = 8ULL << 20;

}  // namespace

ScrubRun::ScrubRun(block::BlockVolume& volume, Reactor& reactor, engine::LostRanges lost,
                   std::uint64_t bytes_per_second, Ended ended)
    : volume_(volume),
      reactor_(reactor),
      lost_(std::move(lost)),
      rate_(bytes_per_second),
      ended_(std::move(ended)),
      block_bytes_(volume.volume().identity().block_size.bytes),
      blocks_(volume.volume().size().value),
      total_bytes_(blocks_ * block_bytes_),
      timer_([this] { go_on(); }) {
  io_.context = this;
  io_.done = [](engine::ScrubIo& io, engine::IoStatus status) noexcept {
    auto& self = *static_cast<ScrubRun*>(io.context);
    self.is_under_way_ = false;
    self.status_ = status;
    if (!self.submitting_ && self.account()) self.go_on();
  };
}

void ScrubRun::start() {
  reactor_.post([self = shared_from_this()] {
    self->self_ = self;
    self->reactor_.add_resident();
    self->go_on();
  });
}

void ScrubRun::cancel() {
  cancelled_.store(true, std::memory_order_relaxed);
  reactor_.post([self = shared_from_this()] {
    // What is under way, or not begun, sees it by itself.
    if (!self->timer_.armed()) return;
    self->timer_.disarm();
    self->go_on();
  });
}

void ScrubRun::go_on() {
  for (;;) {
    if (cancelled_.load(std::memory_order_relaxed)) return end(ScrubResult::End::cancelled);
    pass_by_what_is_lost();
    if (at_ >= blocks_) return end(ScrubResult::End::whole);
    const engine::Instant now = reactor_.clock().now();
    if (ready_at_ - now > shortest_pause) {
      return reactor_.expire_after(timer_, ready_at_ - now);
    }
    submit();
    if (is_under_way_ || !account()) return;
  }
}

void ScrubRun::submit() {
  const std::uint64_t most = engine::ScrubIo::largest.value / block_bytes_;
  io_.lba = {at_};
  io_.blocks = {std::min({most, blocks_ - at_, blocks_to_lost()})};
  io_.findings.clear();
  io_.in_cache = io_.compared = {};
  is_under_way_ = submitting_ = true;
  engine::scrub(volume_.volume(), reactor_.lane(), io_);
  submitting_ = false;
}

bool ScrubRun::account() {
  if (status_ != engine::IoStatus::ok) {
    end(ScrubResult::End::failed,
        fmt::format("the volume could not be read at block {}: {}", at_, text(status_)));
    return false;
  }
  std::uint64_t unreadable = 0;
  for (const engine::ScrubFinding& one : io_.findings) {
    ++result_.findings_total;
    result_.bad_blocks += one.blocks.value;
    if (one.kind == engine::ScrubFinding::Kind::backing_unreadable) unreadable += one.blocks.value;
    if (result_.findings.size() < most_findings) result_.findings.push_back(one);
  }
  result_.in_cache = result_.in_cache + io_.in_cache;
  result_.compared = result_.compared + io_.compared;
  const std::uint64_t bytes = io_.blocks.value * block_bytes_;
  at_ += io_.blocks.value;
  done_bytes_.store(at_ * block_bytes_, std::memory_order_relaxed);
  unreadable_in_a_row_ = unreadable >= io_.blocks.value ? unreadable_in_a_row_ + bytes : 0;
  if (unreadable_in_a_row_ >= most_unreadable_in_a_row) {
    end(ScrubResult::End::failed,
        fmt::format("nothing could be read of 8 MiB up to block {}: its pool fails", at_));
    return false;
  }
  look_at_hosts();
  const std::uint64_t most = rate_.load(std::memory_order_relaxed);
  const std::uint64_t rate = hosts_are_busy_ ? most / share_beside_hosts : most;
  const auto needs = std::chrono::nanoseconds(bytes * 1'000'000'000ULL / rate);
  ready_at_ = std::max(ready_at_, reactor_.clock().now()) + engine::Duration(needs);
  return true;
}

void ScrubRun::look_at_hosts() {
  const engine::Instant now = reactor_.clock().now();
  if (now - looked_at_ < look_at_hosts_every) return;
  looked_at_ = now;
  const std::uint64_t commands = volume_.counts().begun;
  hosts_are_busy_ = std::exchange(host_commands_, commands) != commands;
}

void ScrubRun::pass_by_what_is_lost() {
  const std::uint64_t sectors = block_bytes_ / engine::sector_bytes;
  for (const engine::LostRange& range : lost_.all()) {
    const std::uint64_t begin = range.begin.value / sectors;
    const std::uint64_t end = (range.begin.value + range.count.value + sectors - 1) / sectors;
    if (begin <= at_ && at_ < end) at_ = end;
  }
}

std::uint64_t ScrubRun::blocks_to_lost() const {
  const std::uint64_t sectors = block_bytes_ / engine::sector_bytes;
  std::uint64_t least = blocks_ - at_;
  for (const engine::LostRange& range : lost_.all()) {
    const std::uint64_t begin = range.begin.value / sectors;
    if (begin > at_) least = std::min(least, begin - at_);
  }
  return least;
}

void ScrubRun::end(ScrubResult::End how, std::string why) {
  result_.end = how;
  result_.why = std::move(why);
  reactor_.remove_resident();
  const std::shared_ptr<ScrubRun> self = std::move(self_);
  ended_(result_);
}

}  // namespace target
