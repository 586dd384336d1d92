// StripeShard: a lock, and the stripes whose number hashes to it.
#pragma once

#include <cstdint>
#include <memory>
#include <new>

#include "engine/cache/stripe.h"
#include "engine/foundation/spin_lock.h"

namespace engine {

[[nodiscard]] constexpr std::uint64_t stripe_hash(std::uint64_t number) {  // murmur3's finalizer
  number = (number ^ (number >> 33)) * 0xff51afd7ed558ccd;
  number = (number ^ (number >> 33)) * 0xc4ceb9fe1a85ec53;
  return number ^ (number >> 33);
}

// An open-addressed table of slots, made when the first stripe comes; it grows by a quarter and
// never shrinks. `lock` guards everything else, the blocks of its stripes included; it is taken
// before IndexMemory's and never together with another shard's.
//
// Invariants: at least a fifth of the slots is vacant; every stripe is found from its hash on
// without crossing a vacant slot; its stripes' blocks and entries add up to `held`.
class StripeShard {
 public:
  SpinLock lock;

  // Null if there is none. Valid until the next insert, remove or adopt.
  [[nodiscard]] StripeSlot* find(std::uint64_t number);
  // There must be room, and no such stripe.
  StripeSlot& insert(std::uint64_t number);
  void remove(StripeSlot& slot);

  [[nodiscard]] bool has_room() const { return (used_ + 1) * 5 <= capacity_ * 4; }
  // How many slots the next table should have.
  [[nodiscard]] std::uint32_t next_capacity() const;
  // Moves everything into a larger table, made without the lock; gives the old one back, to be
  // freed without it.
  [[nodiscard]] std::unique_ptr<StripeSlot[]> adopt(std::unique_ptr<StripeSlot[]> slots,
                                                    std::uint32_t capacity);

  [[nodiscard]] std::span<StripeSlot> slots() const { return {slots_.get(), capacity_}; }
  [[nodiscard]] HeldMemory& held() { return held_; }
  [[nodiscard]] Stripe stripe(IndexMemory& memory, StripeSlot& slot) {
    return {RunStore(memory, held_), slot};
  }
  void check_invariants(IndexMemory& memory);

 private:
  [[nodiscard]] std::uint32_t home(std::uint64_t number) const {
    const std::uint64_t low = stripe_hash(number) & 0xffff'ffff;
    return static_cast<std::uint32_t>((low * capacity_) >> 32);
  }
  [[nodiscard]] std::uint32_t after(std::uint32_t at) const {
    return at + 1 == capacity_ ? 0 : at + 1;
  }

  std::uint32_t used_ = 0;
  std::uint32_t capacity_ = 0;
  HeldMemory held_;
  std::unique_ptr<StripeSlot[]> slots_;
};
static_assert(sizeof(StripeShard) == 32);

}  // namespace engine
