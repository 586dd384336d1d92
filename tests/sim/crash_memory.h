// CrashMemory: memory of which only settled stores are sure to survive a crash. The medium under
// SimPmem (units are cache lines, words 8 bytes) and SimPmemPages (pages, 512 bytes).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <unordered_map>
#include <vector>

#include "engine/foundation/units.h"
#include "tests/sim/crash_chooser.h"

namespace engine {

// What a crash may leave, and why everything above must survive it:
// - a unit with unsettled stores has the content of before them, or of after any number of them, in
//   the order in which they were made: caches write back when they like;
// - or each of its words has, independently: power fails in the middle of a write-back;
// - or, where asked for (Tearing::destroys), nothing of it is left, not even what was not to
// change:
//   power fails in the middle of rewriting one large sector;
// - units are independent of each other: nothing orders them but settling.
// An actor settles its own stores only. Where others have stored to the same unit, theirs stay
// unsettled, except for bytes that the settled stores have overwritten since.
//
// A crash is a new CrashMemory in the same place: it borrows its parent's memory, changes only what
// the crash and whoever opens it afterwards change, and puts everything back when it ends. So a
// state costs what it touches, not what the memory is long. The parent must not be used meanwhile.
// Crashes nest. Not thread-safe.
//
// Invariants: memory() is each unit's base with all its unsettled stores applied, in order; a unit
// without unsettled stores is not in `units_`.
template <std::size_t unit_size, std::size_t word_size>
class CrashMemory {
 public:
  static constexpr std::size_t unit_bytes = unit_size;
  static constexpr std::size_t word_bytes = word_size;
  using Actor = std::uint32_t;
  // Stored before the process was killed, by nobody who could still settle it.
  static constexpr Actor nobody = 0;

  // Zeros, all settled. `size`: whole units.
  explicit CrashMemory(ByteCount size);
  enum class Tearing : std::uint8_t { mixes, destroys };
  // In one of so many ways, each unit that is not settled is destroyed.
  static constexpr std::size_t destroying_ways = 6;
  static constexpr std::size_t destroying_choice = 2;
  // What is left of `parent` after a crash, all settled.
  CrashMemory(CrashMemory& parent, CrashChooser& choose, Tearing tearing = Tearing::mixes);
  CrashMemory(const CrashMemory&) = delete;
  CrashMemory& operator=(const CrashMemory&) = delete;
  ~CrashMemory();

  [[nodiscard]] std::byte* memory() const { return arena_.memory; }
  [[nodiscard]] ByteCount size() const { return {arena_.size}; }

  // All of it, settled. Before anything else is done with it; of no crash.
  void load(std::span<const std::byte> image);
  void store(Actor actor, std::uint64_t offset, std::span<const std::byte> bytes);
  // What nobody owns in this range becomes this actor's, as if stored again.
  void adopt(Actor actor, std::uint64_t offset, std::uint64_t length);
  void settle(Actor actor);
  void settle_everyone();
  // The actor, or everybody, is gone with its stores unsettled.
  void orphan(Actor actor);
  void orphan_everyone();
  // Whatever is unsettled now is settled by nothing but a new store to its unit: the kernel
  // believes that it was written.
  void forget();

  // The units of this range, just stored to, were unreadable before.
  void was_unreadable_before(std::uint64_t offset, std::uint64_t length);
  // Units that this crash has left as they were before: unreadable.
  [[nodiscard]] const std::vector<std::uint64_t>& unreadable() const { return unreadable_; }

  [[nodiscard]] std::size_t unsettled() const { return units_.size(); }
  // How many crashes there are without tears; the largest number if there are more.
  [[nodiscard]] std::uint64_t crashes() const;
  void check_invariants() const;

 private:
  using Bytes = std::array<std::byte, unit_bytes>;
  struct Store {
    Actor actor;
    std::uint32_t begin;  // inside the unit
    std::uint32_t end;
    Bytes bytes;  // [begin, end) count
  };
  struct Unit {
    Bytes base;
    std::vector<Store> stores;
    bool forgotten = false;
    bool unreadable_base = false;
  };
  struct Saved {
    std::uint64_t unit;
    std::uint32_t stamp;
    Bytes bytes;
  };
  // The root's; borrowed by all crashes.
  struct Arena {
    explicit Arena(std::uint64_t bytes);
    std::unique_ptr<std::byte[]> owner;
    std::byte* memory;  // page-aligned inside `owner`
    std::uint64_t size;
    std::vector<std::uint32_t> stamps;  // which world has saved, or may change, a unit
    std::uint32_t worlds = 0;
  };

  [[nodiscard]] std::byte* place_of(std::uint64_t unit) const {
    return arena_.memory + unit * unit_bytes;
  }
  // Before the first change of a unit in this world.
  void save(std::uint64_t unit);
  // `versions` is scratch.
  void choose_unit(std::uint64_t number, const Unit& unit, CrashChooser& choose, Tearing tearing,
                   std::vector<Bytes>& versions);
  static void apply(Bytes& to, const Store& store);
  static void list_versions(const Unit& unit, std::vector<Bytes>& versions);
  // Calls `use(unit number, begin, end inside it, bytes before it)` for each unit of a range.
  template <class Use>
  static void for_each_unit(std::uint64_t offset, std::uint64_t length, const Use& use);
  template <class Predicate>
  void settle_unit(std::uint64_t number, const Predicate& settles);

  std::unique_ptr<Arena> own_arena_;
  Arena& arena_;
  CrashMemory* const parent_ = nullptr;
  bool lent_ = false;  // to a crash that still lives
  std::uint32_t world_;
  std::vector<Saved> saved_;
  std::unordered_map<std::uint64_t, Unit> units_;
  std::unordered_map<Actor, std::vector<std::uint64_t>>
      pending_;  // may name units twice, or settled
  std::vector<std::uint64_t> unreadable_;
};

using LineMemory = CrashMemory<64, 8>;
using PageMemory = CrashMemory<4096, 512>;
extern template class CrashMemory<64, 8>;
extern template class CrashMemory<4096, 512>;

}  // namespace engine
