// ExtentBacking: a volume of a device pool as a backing, over the members that its extents lie on.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "engine/format/device_pool_format.h"
#include "engine/media/backing_device.h"
#include "engine/pool/extent_map.h"

namespace engine {

// One member's disk, as this volume reaches it: a FileDevice of its own, whose IoSource names the
// disk, so that a member that hangs takes no room in a lane from the others.
struct MemberDisk {
  std::uint32_t member = 0;  // its index in the pool
  std::unique_ptr<BackingDevice> disk;
};

// What is read or written is cut where the map changes to another member or place, and the pieces
// are under way together, at most `most_pieces` at once. It ends when all have ended, with the
// error of the first piece in address order that has one; after an error no more pieces begin. What
// a write that failed has changed is not known, as of any disk.
//
// A sync goes to each member that a write, zeroing or discard has ended on since the last sync that
// succeeded there began; the others have nothing that is not durable. It fails if one of them
// fails, and always while a member needs to be reopened. Otherwise members do not stand in for each
// other: while one needs to be reopened, writes to the others are still taken, and durable when
// that was asked for. Whoever reopens does that member by member (see `disk`).
//
// Invariants: the map covers size(); each member in the map has its disk.
class ExtentBacking final : public BackingDevice {
 public:
  static constexpr std::size_t most_pieces = 64;

  // `size`: of the volume, at most the map's.
  ExtentBacking(ExtentMap map, ByteCount size, std::vector<MemberDisk> disks);
  ~ExtentBacking() override;

  [[nodiscard]] ByteCount size() const override;
  void submit(IoLane& lane, BackingIo& io) override;
  // True while any member's disk says so.
  [[nodiscard]] bool needs_reopen() const override;
  [[nodiscard]] std::uint64_t errors() const override;
  [[nodiscard]] std::optional<Instant> silent_since(Instant now) override;

  // The map has more units behind those it had, perhaps on members that had no part before: theirs
  // are `added`. One thread at a time, while others submit.
  void grow(ExtentMap map, ByteCount size, std::vector<MemberDisk> added);

  // Null: the volume has no part of that member. Any thread.
  [[nodiscard]] BackingDevice* disk(std::uint32_t member) const;

 private:
  class Request;
  struct Layout {
    ExtentMap map;
    ByteCount size;
  };
  struct Member {
    std::unique_ptr<BackingDevice> disk;
    // Changes that were not durable when they ended, and up to which of them a sync has them.
    std::atomic<std::uint64_t> changes{0};
    std::atomic<std::uint64_t> synced{0};
  };

  [[nodiscard]] const Layout& layout() const { return *layout_.load(std::memory_order_acquire); }
  [[nodiscard]] Member& member(std::uint32_t index) const;
  void add(std::vector<MemberDisk> disks);
  void use(Layout layout);

  // By index; one that is there stays. Changed only in front of a new layout that needs it.
  std::array<std::atomic<Member*>, format::most_members> members_{};
  std::vector<std::unique_ptr<Member>> owned_;
  std::atomic<const Layout*> layout_{nullptr};
  // Somebody may still look at an earlier one; a volume is seldom grown.
  std::vector<std::unique_ptr<const Layout>> layouts_;
};

// What the volume promises of a write of so many bytes at a multiple of them: it lands whole or not
// at all, also when power fails. `disks`: the same of each member that it lies on (0: not known,
// then it is 0). It divides chunks, slices and where the first slice begins, so such a write never
// lies on two members; a larger one may, and each part lands or not for itself.
[[nodiscard]] std::uint32_t atomic_write_bytes(const PoolShape& shape,
                                               std::span<const std::uint32_t> disks);

}  // namespace engine
