// CacheTraffic: what a volume's commands found in its cache, and what went around it.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace engine {

// Any thread counts, each as the writer that its CacheLane is; any thread copies. Writers have
// places of their own, where a count is a plain store; those beyond share one.
class CacheTraffic {
 public:
  enum class Event : std::uint8_t {
    hit,         // a read that the cache had whole
    miss,        // a read of which it lacked something
    fill,        // a piece of a miss that has been put into it
    first_read,  // pieces of misses that were left out: not read before, as far as is remembered
    sequential,  // part of a stream
    no_room,     // that was to be filled
    by_mode,     // and whatever the mode leaves to the backing, writes too
  };
  static constexpr std::size_t events = 7;

  struct Counts {
    std::array<std::uint64_t, events> of_event{};
    [[nodiscard]] std::uint64_t of(Event event) const {
      return of_event[static_cast<std::size_t>(event)];
    }
  };

  void count(std::uint32_t writer, Event event) {
    const std::size_t place = writer < owned ? writer : owned;
    auto& counter = places_[place].counters[static_cast<std::size_t>(event)];
    constexpr auto relaxed = std::memory_order_relaxed;
    if (place != owned) return counter.store(counter.load(relaxed) + 1, relaxed);
    counter.fetch_add(1, relaxed);
  }
  [[nodiscard]] Counts counts() const {
    Counts sum;
    for (const Place& place : places_) {
      for (std::size_t i = 0; i < events; ++i) {
        sum.of_event[i] += place.counters[i].load(std::memory_order_relaxed);
      }
    }
    return sum;
  }

 private:
  static constexpr std::size_t owned = 15;
  struct alignas(64) Place {
    std::array<std::atomic<std::uint64_t>, events> counters{};
  };
  std::array<Place, owned + 1> places_;
};

}  // namespace engine
