// HoldCount: how many hold something that may be freed when nobody does.
#pragma once

#include <atomic>
#include <cstdint>
#include <utility>

namespace engine {

// Any thread. Who frees it sees to it that nobody can take a hold any more, but by a copy of one
// that there is: then is_held() that was false once stays so, and all that was done under a hold
// has happened before.
class HoldCount {
 public:
  class Hold {
   public:
    Hold() = default;
    Hold(const Hold& other) : of_(other.of_) {
      if (of_ != nullptr) of_->count_.fetch_add(1, std::memory_order_relaxed);
    }
    Hold(Hold&& other) noexcept : of_(std::exchange(other.of_, nullptr)) {}
    Hold& operator=(Hold other) noexcept {
      std::swap(of_, other.of_);
      return *this;
    }
    // The last touch of what is held.
    ~Hold() {
      if (of_ != nullptr) of_->count_.fetch_sub(1, std::memory_order_acq_rel);
    }

   private:
    friend class HoldCount;
    explicit Hold(HoldCount& of) : of_(&of) { of.count_.fetch_add(1, std::memory_order_relaxed); }
    HoldCount* of_ = nullptr;
  };

  HoldCount() = default;
  HoldCount(const HoldCount&) = delete;
  HoldCount& operator=(const HoldCount&) = delete;

  [[nodiscard]] Hold take() { return Hold(*this); }
  [[nodiscard]] bool is_held() const { return count_.load(std::memory_order_acquire) != 0; }

 private:
  std::atomic<std::uint32_t> count_{0};
};

}  // namespace engine
