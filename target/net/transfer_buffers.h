// TransferBuffers: the buffers that the commands of one connection hold and wait for, and the
// bounds on them: for the connection, for each volume, and when memory is short.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "engine/foundation/clock.h"
#include "engine/media/buffer_pool.h"
#include "target/block/block_volume.h"
#include "target/net/connection_counters.h"
#include "target/net/output_queue.h"

namespace target {

class ConnectionRegistry;

// What a command's slot has of transfer buffers: a base of the slot.
struct BufferHolder {
  // Both are the command's, and live as long as the slot.
  BufferHolder(engine::BufferLease& buffer, block::BlockVolume* const& for_volume)
      : lease(buffer), volume(for_volume) {}
  BufferHolder(const BufferHolder&) = delete;
  BufferHolder& operator=(const BufferHolder&) = delete;

  engine::BufferLease& lease;
  // What the data is for, so that it counts towards what this volume may hold; nullptr: nothing.
  // Set before a buffer is asked for.
  block::BlockVolume* const& volume;
  // Of the buffer that it has, so much is copied to the front of the next one that it gets. Not
  // more than fits there. 0: the old one is given back first. For lease_now() only: if all who hold
  // one waited for a longer one, they could wait for ever.
  std::uint32_t kept_bytes = 0;

  // The rest is TransferBuffers' own.
  std::uint32_t wanted_bytes = 0;
  bool waits = false;
  // How the lease counts: its length, towards which volume, and whether it is still the host on
  // whom it depends, or that volume.
  bool with_volume = false;
  std::size_t held_bytes = 0;
  block::BlockVolume* held_for = nullptr;
  BufferHolder* next_waiting = nullptr;
};

// A member of a connection; its reactor's thread only. A slot may hold one buffer, and wait for
// one.
//
// Two ways to wait. A command whose data has not begun to arrive, or that has data to send, waits
// in the queue of its volume (wait()); commands to other volumes overtake it. A command whose data
// is next in the stream makes all that follows wait too (wait_in_stream()); one at a time.
class TransferBuffers {
 public:
  // The connection.
  class Owner {
   public:
    // What wait() asked for is in holder.lease. Called from inside wait() too.
    virtual void buffer_granted(BufferHolder& holder) = 0;
    // What wait_in_stream() asked for is in holder.lease; called from inside too.
    virtual void stream_granted(BufferHolder& holder) = 0;
    // It is not going to get one, because its volume hangs, or its limits hold so much back: its
    // data is to be thrown away, and it is to be tried again later. Called from inside
    // wait_in_stream() too.
    virtual void stream_refused(BufferHolder& holder) = 0;
    // The stream had stood still for a buffer, and goes on after this turn's calls.
    virtual void stream_goes_on() = 0;
    // Whether small buffers may come of what is kept for those that cannot wait: commands by which
    // a host manages its session; and data in the stream, if other buffers come free only behind
    // it.
    [[nodiscard]] virtual bool uses_reserve() const = 0;
    [[nodiscard]] virtual bool stream_uses_reserve() const = 0;
    // Nobody is served any more.
    [[nodiscard]] virtual bool is_ending() const = 0;
    [[nodiscard]] virtual ConnectionCounters& counters() = 0;
    // serve() is to be called no later.
    virtual void look_again(engine::Instant deadline) = 0;

   protected:
    ~Owner() = default;
  };

  // All outlive it. `ceiling_bytes`: what a host that does not take or send its data can tie up,
  // and as much again with each volume; less when memory is short.
  TransferBuffers(Owner& owner, ConnectionRegistry& registry, const OutputQueue& output,
                  std::size_t ceiling_bytes);
  TransferBuffers(const TransferBuffers&) = delete;
  TransferBuffers& operator=(const TransferBuffers&) = delete;

  // `bytes` is not 0 and at most engine::BufferPool::largest; the holder does not wait already.
  void wait(BufferHolder& holder, std::uint32_t bytes);
  // Whatever the connection holds already: so `bytes` should be no more than what is coming.
  void wait_in_stream(BufferHolder& holder, std::uint32_t bytes);
  // A buffer now, or none: nobody waits. Counts as wait() does.
  [[nodiscard]] bool lease_now(BufferHolder& holder, std::uint32_t bytes);
  // Takes one out that waits by wait(); false: it does not.
  [[nodiscard]] bool stop_waiting(BufferHolder& holder);
  // The first that waits by wait() for which `which(holder)` holds; nullptr.
  template <class F>
  [[nodiscard]] BufferHolder* find_waiting(F&& which) {
    for (VolumeUse& use : uses_) {
      for (BufferHolder* holder = use.first; holder != nullptr; holder = holder->next_waiting) {
        if (which(*holder)) return holder;
      }
    }
    return nullptr;
  }

  // From here on it is not the host on whom the buffer depends, but the volume, if there is one.
  void give_to_volume(BufferHolder& holder);
  // The buffer is moved to the output, which counts it from here on. Before the lease is moved.
  void hand_over(BufferHolder& holder);
  // Gives the buffer back, if it has one.
  void release(BufferHolder& holder);

  // Those that wait try again, because more may be free, or this connection holds less.
  void serve();
  // Nobody waits any more; what is held stays held.
  void stop();

  [[nodiscard]] bool has_waiting() const { return waiting_ != 0 || stream_holder_ != nullptr; }
  // The stream stands still.
  [[nodiscard]] bool blocks_stream() const { return stream_holder_ != nullptr; }
  // By commands; what is being sent is counted by the output.
  [[nodiscard]] std::size_t held_bytes() const { return held_bytes_; }
  // Of buffers, for as long as the host wants.
  [[nodiscard]] std::uint64_t held_by_host() const {
    return held_bytes_ - bytes_with_volumes_ + output_.leased_bytes();
  }
  // Whether `bytes` more may stay where they lie in the cache until the host has taken them.
  [[nodiscard]] bool may_pin(std::uint64_t bytes) const {
    return held_by_host() + output_.pinned_bytes() + bytes <= ceiling_bytes_;
  }
  // Whether enough is left to the others if one who holds so much gets so much more.
  [[nodiscard]] bool memory_allows(std::uint64_t held, std::uint64_t bytes) const;

 private:
  // Told when a transfer buffer has come free.
  struct Wake final : engine::BufferWaiter {
    explicit Wake(TransferBuffers& owner) : buffers(owner) {}
    void buffer_available() override { buffers.serve(); }
    void stop() {
      if (is_linked()) unlink();
    }
    TransferBuffers& buffers;
  };
  // Whether a command gets a buffer now.
  enum class Grant : std::uint8_t {
    yes,
    volume_over_share,      // its volume holds too much
    connection_over_share,  // the connection does
    memory_short,           // little is free, and the connection has something
    no_buffer,              // the pool has none: others wait, or all is taken
  };
  // What this connection has going on one volume.
  struct VolumeUse {
    block::BlockVolume* volume = nullptr;  // nullptr: commands without one
    std::size_t bytes = 0;                 // of buffers that are with the volume
    BufferHolder* first = nullptr;         // of those that wait for a buffer
    BufferHolder* last = nullptr;
  };

  [[nodiscard]] bool serve_stream();
  void serve_commands();
  [[nodiscard]] bool serve_volume(std::size_t at);
  void stop_needless_waits();
  [[nodiscard]] Grant lease(BufferHolder& holder, std::uint32_t bytes, bool use_reserve);
  [[nodiscard]] Grant may_hold(const BufferHolder& holder, std::uint32_t bytes) const;
  void wait_after(Grant denied, std::uint32_t bytes, bool use_reserve);
  [[nodiscard]] VolumeUse& use_of(block::BlockVolume* volume);
  [[nodiscard]] std::size_t bytes_with(const block::BlockVolume* volume) const;

  // What one command may take of the registry's reserve.
  static constexpr std::uint32_t largest_reserve_bytes = 64U << 10;
  // What a connection may hold of buffers when memory is short.
  static constexpr std::uint32_t small_bytes = 64U << 10;
  // Data that waits in the stream for its volume is looked at no more often.
  static constexpr engine::Duration shortest_look = std::chrono::milliseconds(10);

  Owner& owner_;
  ConnectionRegistry& registry_;
  const OutputQueue& output_;
  const std::size_t ceiling_bytes_;
  std::size_t held_bytes_ = 0;
  std::size_t bytes_with_volumes_ = 0;  // of held_bytes_: they depend on a disk, not on the host
  std::vector<VolumeUse> uses_;         // those that are not in use are used again
  std::size_t first_served_ = 0;        // of uses_: each is the first in turn
  std::uint32_t waiting_ = 0;           // by wait()
  BufferHolder* stream_holder_ = nullptr;
  bool serving_ = false;
  bool serve_again_ = false;
  Wake pool_wait_;     // for any buffer at all
  Wake memory_wait_;   // until more is free
  Wake reserve_wait_;  // for the reserve
};

}  // namespace target
