// SimPmem: persistent memory of byte or cache-line granularity, as power loss, kill -9 and poison
// see it.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "engine/media/pmem_region.h"
#include "tests/sim/crash_memory.h"
#include "tests/sim/persist_point.h"

namespace engine {

// What may go wrong is in CrashMemory, with lines of 64 bytes torn at 8. Besides:
// - kill -9 loses nothing, but what was not fenced is fenced by nobody any more: power loss may
// take
//   it after it has been read (kill_process());
// - a line may become unreadable, until it is overwritten as a whole (poison()).
// Not thread-safe: actors are writers, not threads.
class SimPmem final : public PmemRegion {
 public:
  // Zeros, all persistent. `size`: whole lines.
  explicit SimPmem(ByteCount size, PmemGranularity granularity = PmemGranularity::cache_line);
  // The same with this content: a copy that lives as long as it likes.
  explicit SimPmem(std::span<const std::byte> image);

  [[nodiscard]] Result<std::unique_ptr<PmemWriter>, PmemError> make_writer() override;

  // What power loss at this moment leaves, to be opened anew: see CrashMemory for what it costs and
  // borrows. This region, with its writers, goes on where it was when the other has ended.
  [[nodiscard]] std::unique_ptr<SimPmem> crash(CrashChooser& choose);
  // The process ends and another starts: same content, no writers may be left.
  void kill_process();

  // Called after every store and fence; may crash() and look, but not store.
  void on_persist_point(PersistPoints::Hook hook) { points_.set_hook(std::move(hook)); }
  [[nodiscard]] std::uint64_t persist_points() const { return points_.count(); }

  // Lines with stores that no fence has settled.
  [[nodiscard]] std::size_t unsettled() const { return memory_.unsettled(); }
  // How many different crashes there are now, without tears; saturates.
  [[nodiscard]] std::uint64_t crashes() const { return memory_.crashes(); }
  // Everything that loads see now.
  [[nodiscard]] std::span<const std::byte> content() const {
    return {memory_.memory(), size().value};
  }

  // Whole lines around the range.
  void poison(MediaOffset offset, ByteCount length);
  // Off: an overwrite does not help.
  void heal_on_overwrite(bool heals) { heals_ = heals; }

  // Mutants: a suite that passes with one of them does not look.
  void forget_fence(bool forget) { forget_fence_ = forget; }  // fences do nothing
  // A fence settles every actor's stores, as one global set would.
  void fence_settles_everyone(bool everyone) { fence_settles_everyone_ = everyone; }

  void check_invariants() const { memory_.check_invariants(); }

 private:
  class Writer;
  static constexpr std::uint64_t line_bytes = LineMemory::unit_bytes;

  SimPmem(SimPmem& parent, CrashChooser& choose);
  [[nodiscard]] bool heal(MediaOffset to, std::span<const std::byte> bytes) override;

  LineMemory memory_;
  PersistPoints points_;
  LineMemory::Actor last_actor_ = LineMemory::nobody;
  std::size_t writers_ = 0;
  std::vector<PmemRange> just_healed_;  // by the store under way
  bool heals_ = true;
  bool forget_fence_ = false;
  bool fence_settles_everyone_ = false;
};

}  // namespace engine
