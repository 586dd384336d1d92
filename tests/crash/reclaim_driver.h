// ReclaimDriver: the home lane's reclaim of every volume of a crash world, and readers beside it.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/cache/page_committer.h"
#include "engine/cache/reclaim.h"
#include "engine/foundation/random.h"
#include "tests/crash/crash_run.h"
#include "tests/crash/crash_world.h"

namespace engine::test {

// One actor's; a life of the world. The world and the actor outlive it.
class ReclaimDriver {
 public:
  // Page granularity: the committer outlives it too, and the actor is its own.
  ReclaimDriver(CrashWorld& world, CacheActor& actor,
                Reclaim::DirtyTail dirty_tail = Reclaim::DirtyTail::write_backs,
                PageCommitter* committer = nullptr);

  // One step of each volume's, whether it is wanted or not; what is logged again is committed at
  // the actor's next end_turn().
  void step();
  // Steps and turns until K is at `sequence`, or nothing can be given up any more. Nobody else is
  // at work.
  void drain(std::uint32_t slot, std::uint64_t sequence = ~std::uint64_t{0});
  // Reads, so that some of it is hot; and now and then keeps what it has read pinned for a while.
  void read_some(std::uint32_t slot, SeededRandom& random);
  // Keeps the front of the range pinned, if it is there, until others are.
  void pin(std::uint32_t slot, SectorRange range);
  // Of the oldest pin, if there is one.
  void let_go();

  // Sectors, ever.
  [[nodiscard]] std::uint64_t moved() const;
  // A step is under way.
  [[nodiscard]] bool works() const { return works_.has_value(); }
  // It is of a volume that has data on its way to another place, from the first piece that is
  // copied until K has passed the keys of where it was.
  [[nodiscard]] bool compacts() const {
    return works_ && reclaims_[*works_]->figures().moved != moved_before_[*works_];
  }
  // Empty, or what a reader or reclaim itself has found wrong.
  [[nodiscard]] const std::string& trouble() const { return trouble_; }

 private:
  struct Pinned {
    VolumeCache::Hit hit;
    std::vector<std::byte> bytes;  // as they were
  };
  [[nodiscard]] Reclaim::Step step_of(std::uint32_t slot);
  [[nodiscard]] std::vector<std::byte> bytes_of(const VolumeCache::Hit& hit);

  CrashWorld& world_;
  CacheActor& actor_;
  std::array<std::unique_ptr<Reclaim>, world_volumes> reclaims_;
  std::vector<Pinned> pinned_;
  PageCommitter* const committer_;
  std::optional<std::uint32_t> works_;  // for which volume
  // Sectors that had been moved when K moved last.
  std::array<std::uint64_t, world_volumes> moved_before_{};
  std::string trouble_;
};

// One scripted case: at every persist point of reclaim, what is hot is still in the cache after a
// crash, and everything reads as it did.
void run_reclaim(CrashCounts& counts);
// Another: a read of the backing that was overtaken by a write, which is written back and given up
// before the read comes to fill the cache.
void run_overtaken_fill(CrashCounts& counts);

}  // namespace engine::test
