// ConnectionLimit: how many connections a listener may have open, and who goes when there are too
// many.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <optional>

namespace target {

// Any thread; lives as long as its last place.
//
// Invariants: open() <= most(); every place in `unsettled_` is counted in open().
class ConnectionLimit {
 public:
  explicit ConnectionLimit(std::uint32_t most) : most_(most) {}
  ConnectionLimit(const ConnectionLimit&) = delete;
  ConnectionLimit& operator=(const ConnectionLimit&) = delete;

 private:
  struct Entry {
    std::shared_ptr<ConnectionLimit> limit;
    // The rest is guarded by limit->mutex_.
    std::function<void()> evict;
    bool evicted = false;
    bool settled = false;
    std::list<Entry*>::iterator at;  // unless settled or evicted
  };

 public:
  // A place among the connections, given back when destroyed. One thread at a time.
  class Place {
   public:
    Place() = default;
    explicit Place(std::unique_ptr<Entry> entry) : entry_(std::move(entry)) {}
    Place(Place&&) = default;
    Place& operator=(Place&&) = delete;
    ~Place() { give_back(); }

    // `evict` is called, from any thread and maybe at once, when another connection has taken this
    // place; not after settle() or give_back() have returned, but for a call that is under way.
    void when_evicted(std::function<void()> evict);
    // From here on nobody takes it.
    void settle();
    void give_back();

   private:
    std::unique_ptr<Entry> entry_;
  };

  // When there are as many as there may be, the oldest that has not settled loses its place.
  // nullopt: all have.
  [[nodiscard]] static std::optional<Place> take(const std::shared_ptr<ConnectionLimit>& limit);

  [[nodiscard]] std::uint32_t open() const;
  [[nodiscard]] std::uint64_t evicted() const;
  [[nodiscard]] std::uint32_t most() const { return most_; }

 private:
  const std::uint32_t most_;
  mutable std::mutex mutex_;  // guards the rest; a leaf
  std::uint32_t open_ = 0;
  std::uint64_t evicted_ = 0;
  std::list<Entry*> unsettled_;  // oldest first
};

}  // namespace target
