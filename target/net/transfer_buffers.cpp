#include "target/net/transfer_buffers.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <utility>

#include "engine/foundation/check.h"
#include "target/net/connection_registry.h"

namespace target {

TransferBuffers::TransferBuffers(Owner& owner, ConnectionRegistry& registry,
                                 const OutputQueue& output, std::size_t ceiling_bytes)
    : owner_(owner),
      registry_(registry),
      output_(output),
      ceiling_bytes_(ceiling_bytes),
      pool_wait_(*this),
      memory_wait_(*this),
      reserve_wait_(*this) {}

void TransferBuffers::wait(BufferHolder& holder, std::uint32_t bytes) {
  DCHECK(!holder.waits && bytes != 0 && bytes <= engine::BufferPool::largest.value);
  DCHECK(holder.kept_bytes == 0);
  holder.waits = true;
  holder.wanted_bytes = bytes;
  holder.next_waiting = nullptr;
  VolumeUse& use = use_of(holder.volume);
  (use.last != nullptr ? use.last->next_waiting : use.first) = &holder;
  use.last = &holder;
  ++waiting_;
  serve_again_ = true;
  if (use.first == &holder) serve();
}

void TransferBuffers::wait_in_stream(BufferHolder& holder, std::uint32_t bytes) {
  CHECK(stream_holder_ == nullptr);
  holder.wanted_bytes = bytes;
  stream_holder_ = &holder;
  if (!serve_stream()) {
    owner_.counters().buffer_waits.fetch_add(1, std::memory_order_relaxed);
  }
}

bool TransferBuffers::lease_now(BufferHolder& holder, std::uint32_t bytes) {
  return lease(holder, bytes, owner_.uses_reserve()) == Grant::yes;
}

bool TransferBuffers::stop_waiting(BufferHolder& holder) {
  if (!holder.waits) return false;
  for (VolumeUse& use : uses_) {
    BufferHolder* before = nullptr;
    for (BufferHolder* at = use.first; at != nullptr; before = at, at = at->next_waiting) {
      if (at != &holder) continue;
      (before != nullptr ? before->next_waiting : use.first) = holder.next_waiting;
      if (use.last == &holder) use.last = before;
      holder.next_waiting = nullptr;
      holder.waits = false;
      --waiting_;
      stop_needless_waits();
      return true;
    }
  }
  return false;
}

// Whoever waits for a buffer tries again: told by the pool, or because this connection holds less.
void TransferBuffers::serve() {
  if (serving_ || owner_.is_ending()) return;
  serving_ = true;
  if (stream_holder_ != nullptr && serve_stream()) owner_.stream_goes_on();
  // Should data be asked for that lies behind the stream's, that may have the reserve: it is served
  // again when the requests have been sent.
  do {
    serve_again_ = false;
    serve_commands();
  } while (serve_again_);  // a command that was just served has asked again
  stop_needless_waits();
  serving_ = false;
}

void TransferBuffers::stop_needless_waits() {
  if (has_waiting()) return;
  pool_wait_.stop();
  memory_wait_.stop();
  reserve_wait_.stop();
}

void TransferBuffers::stop() {
  for (VolumeUse& use : uses_) {
    for (BufferHolder* holder = use.first; holder != nullptr; holder = holder->next_waiting) {
      holder->waits = false;
    }
    use.first = use.last = nullptr;
  }
  waiting_ = 0;
  stream_holder_ = nullptr;
  stop_needless_waits();
}

// Gets a buffer for the data at which the stream stands, or waits for one; true if it goes on.
bool TransferBuffers::serve_stream() {
  BufferHolder& holder = *stream_holder_;
  // Buffers given out for data that was asked for come back only when it, which lies behind this,
  // has been read: then the reserve helps.
  const bool use_reserve = owner_.stream_uses_reserve();
  const Grant grant = lease(holder, holder.wanted_bytes, use_reserve);
  if (grant == Grant::yes) {
    stream_holder_ = nullptr;
    owner_.stream_granted(holder);
    return true;
  }
  if (holder.volume != nullptr &&
      (grant == Grant::volume_over_share ||
       (grant == Grant::memory_short && bytes_with(holder.volume) != 0))) {
    // It waits for its volume, and commands to others wait behind it in the stream. If the volume
    // hangs, or is slow because it is to be, this one is sent back instead.
    const block::BufferShare& share = holder.volume->buffers();
    const engine::Instant now = registry_.reactor_.now();
    if (share.hangs(now) || holder.volume->limiter().is_holding()) {
      stream_holder_ = nullptr;
      owner_.stream_refused(holder);
      return true;
    }
    owner_.look_again(std::max(share.hangs_from(), now + shortest_look));
  }
  wait_after(grant, holder.wanted_bytes, use_reserve);
  return false;
}

// First come, first served among the commands of one volume. What one volume is denied, because it
// is slow or wants much, another may get.
void TransferBuffers::serve_commands() {
  if (waiting_ == 0) return;
  const std::size_t first = first_served_++;
  for (std::size_t i = 0; i < uses_.size(); ++i) {
    if (!serve_volume((first + i) % uses_.size())) return;
  }
}

// False if there is no buffer for anybody.
bool TransferBuffers::serve_volume(std::size_t at) {
  const bool use_reserve = owner_.uses_reserve();
  while (uses_[at].first != nullptr && !owner_.is_ending()) {
    BufferHolder& holder = *uses_[at].first;
    const Grant grant = lease(holder, holder.wanted_bytes, use_reserve);
    if (grant != Grant::yes) {
      wait_after(grant, holder.wanted_bytes, use_reserve);
      return grant != Grant::no_buffer;
    }
    uses_[at].first = std::exchange(holder.next_waiting, nullptr);
    if (uses_[at].first == nullptr) uses_[at].last = nullptr;
    holder.waits = false;
    --waiting_;
    owner_.buffer_granted(holder);
  }
  return true;
}

// Two bounds. What a volume may hold, over all connections: a disk that hangs gives nothing back.
// And what a connection may hold because of its host, with what it has going on the same volume: a
// host may not send or not read. Both shrink with what is free, so that some always is, however
// many there are; buffers that another volume sits on do not count against this one.
TransferBuffers::Grant TransferBuffers::may_hold(const BufferHolder& holder,
                                                 std::uint32_t bytes) const {
  const engine::MemoryBudget& budget = registry_.budget_;
  if (holder.volume != nullptr && !holder.volume->buffers().admits(bytes, budget)) {
    return Grant::volume_over_share;
  }
  const std::uint64_t held = held_by_host() + bytes_with(holder.volume);
  const std::uint64_t with_pinned = held + output_.pinned_bytes();
  // Data in the stream is bounded by the queue's depth, and the stream would stand still.
  if (with_pinned != 0 && held + bytes > small_bytes && &holder != stream_holder_ &&
      with_pinned + bytes > ceiling_bytes_) {
    return Grant::connection_over_share;
  }
  return memory_allows(held, bytes) ? Grant::yes : Grant::memory_short;
}

bool TransferBuffers::memory_allows(std::uint64_t held, std::uint64_t bytes) const {
  const std::uint64_t wanted = held + bytes;
  const bool is_little = held == 0 || wanted <= small_bytes;
  return registry_.budget_.has_free({is_little ? 2 * bytes : 4 * wanted});
}

TransferBuffers::Grant TransferBuffers::lease(BufferHolder& holder, std::uint32_t bytes,
                                              bool use_reserve) {
  if (holder.kept_bytes == 0) release(holder);
  const Grant allowed = may_hold(holder, bytes);
  std::optional<engine::BufferLease> got;
  if (allowed == Grant::yes) got = registry_.reactor_.lane().buffers().lease({bytes});
  if (!got && allowed != Grant::volume_over_share && use_reserve &&
      bytes <= largest_reserve_bytes) {
    got = registry_.reserve_.lease({bytes});
  }
  if (!got) return allowed == Grant::yes ? Grant::no_buffer : allowed;
  if (const std::uint32_t kept = std::exchange(holder.kept_bytes, 0); kept != 0) {
    CHECK(kept <= bytes && kept <= holder.lease.bytes().size());
    std::memcpy(got->bytes().data(), holder.lease.bytes().data(), kept);
    release(holder);
  }
  holder.lease = std::move(*got);
  holder.held_bytes = holder.lease.bytes().size();
  holder.held_for = holder.volume;
  held_bytes_ += holder.held_bytes;
  if (holder.held_for != nullptr) {
    holder.held_for->buffers().take(holder.held_bytes, registry_.reactor_.now());
  }
  return Grant::yes;
}

// Sees to it that serve() is called when it is worth trying again.
void TransferBuffers::wait_after(Grant denied, std::uint32_t bytes, bool use_reserve) {
  engine::BufferPool& pool = registry_.reactor_.lane().buffers();
  if (denied == Grant::no_buffer) {
    if (!pool_wait_.is_linked()) {
      owner_.counters().buffer_waits.fetch_add(1, std::memory_order_relaxed);
      pool.wait(pool_wait_);
    }
  } else if (denied != Grant::connection_over_share) {  // whose end the connection itself sees
    if (!memory_wait_.is_linked()) pool.watch(memory_wait_);
  }
  if (use_reserve && bytes <= largest_reserve_bytes && !reserve_wait_.is_linked()) {
    registry_.reserve_.wait(reserve_wait_);
  }
}

TransferBuffers::VolumeUse& TransferBuffers::use_of(block::BlockVolume* volume) {
  VolumeUse* unused = nullptr;
  for (VolumeUse& use : uses_) {
    if (use.volume == volume) return use;
    if (use.bytes == 0 && use.first == nullptr) unused = &use;
  }
  if (unused == nullptr) {
    unused = &uses_.emplace_back();
    serve_again_ = true;  // who walks through them has lost count
  }
  unused->volume = volume;
  return *unused;
}

std::size_t TransferBuffers::bytes_with(const block::BlockVolume* volume) const {
  for (const VolumeUse& use : uses_) {
    if (use.volume == volume) return use.bytes;
  }
  return 0;
}

void TransferBuffers::give_to_volume(BufferHolder& holder) {
  if (holder.held_for == nullptr || holder.with_volume) return;
  holder.with_volume = true;
  use_of(holder.held_for).bytes += holder.held_bytes;
  bytes_with_volumes_ += holder.held_bytes;
}

void TransferBuffers::hand_over(BufferHolder& holder) {
  const std::size_t bytes = std::exchange(holder.held_bytes, 0);
  held_bytes_ -= bytes;
  block::BlockVolume* volume = std::exchange(holder.held_for, nullptr);
  if (volume == nullptr) return;
  volume->buffers().give_back(bytes, registry_.reactor_.now());
  if (!std::exchange(holder.with_volume, false)) return;
  use_of(volume).bytes -= bytes;
  bytes_with_volumes_ -= bytes;
}

void TransferBuffers::release(BufferHolder& holder) {
  if (!holder.lease) return;
  holder.lease.release();
  hand_over(holder);
  registry_.tell_reserve_waiters();
}

}  // namespace target
