// SimDisk: a disk with a volatile cache, as power loss sees it. The medium under SimBacking and
// SimLane.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <span>
#include <vector>

#include "engine/foundation/random.h"
#include "engine/foundation/units.h"
#include "tests/sim/zeroed_image.h"

namespace engine {

// What may go wrong, and why everything above must survive it:
// - whatever was written and not synced may be lost at a crash, each 512-byte sector by itself, in
// any
//   combination and in any of the versions it had since the last sync: caches reorder;
// - a sector may become unreadable, until it is overwritten;
// - a disk may lie: report a sync that it has not done. (Nothing above can survive that; a test
// that runs
//   with it must fail, which proves that the test looks.)
// Not thread-safe.
class SimDisk {
 public:
  static constexpr std::uint64_t sector_bytes = engine::sector_bytes;

  SimDisk(ByteCount size, std::uint64_t seed);
  // With this content on the medium.
  SimDisk(std::span<const std::byte> content, std::uint64_t seed);

  [[nodiscard]] ByteCount size() const { return {current_.size()}; }
  // Any alignment, inside size(). False: an unreadable sector was touched.
  [[nodiscard]] bool read(MediaOffset offset, std::span<std::byte> bytes) const;
  // Into the volatile cache.
  void write(MediaOffset offset, std::span<const std::byte> bytes);
  // Onto the medium: the sectors of this range and nothing else.
  void sync_range(MediaOffset offset, ByteCount length);
  void sync();
  // Power loss: decides from the seed what of the unsynced stays.
  void crash();
  // What a power loss now could leave of these sectors, by somebody else's choice.
  [[nodiscard]] std::vector<std::byte> after_crash(MediaOffset offset, ByteCount length,
                                                   SeededRandom& random) const;

  void break_sector(std::uint64_t sector) { broken_.insert(sector); }
  void lie_about_syncs(bool lie) { lying_ = lie; }
  void grow(ByteCount size);
  [[nodiscard]] std::size_t unsynced_sectors() const { return versions_.size(); }
  // What is on the medium now, whatever the cache holds.
  [[nodiscard]] std::span<const std::byte> durable() const { return durable_.bytes(); }

 private:
  using Sector = std::vector<std::byte>;
  [[nodiscard]] std::span<std::byte> sector_of(ZeroedImage& image, std::uint64_t sector);
  void persist(std::uint64_t sector);

  ZeroedImage current_;  // what reads see
  ZeroedImage durable_;
  std::map<std::uint64_t, std::vector<Sector>> versions_;  // of unsynced sectors, oldest first
  std::set<std::uint64_t> broken_;
  bool lying_ = false;
  SeededRandom random_;
};

}  // namespace engine
