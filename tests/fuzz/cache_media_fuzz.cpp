// Spoils a cache device with two volumes whose content is known, opens it, recovers them and reads
// every sector: what it was, an error for exactly that sector, or a volume that is reported as
// damaged and reads as it was before the damage. Never anything else without a word.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/foundation/byte_cursor.h"
#include "engine/foundation/check.h"
#include "engine/foundation/guard.h"
#include "engine/foundation/random.h"
#include "tests/crash/crash_world.h"

namespace engine {

#ifdef FOREBAY_PLANTED_BUG
bool guard_is_on(const char* name) { return std::string_view(name) != "payload crc of reads"; }
#endif

namespace test {
namespace {

struct Done final : CompletionSink {
  void complete(CommitRecord& record) override {
    CHECK(record.outcome() == CommitOutcome::committed);
  }
};

// What a volume was, kset by kset; each has one command.
class History {
 public:
  void add(std::uint64_t sequence, SectorRange range, Writer writer) {
    CHECK(sequence == states_.size());
    states_.push_back(states_.back());
    for (std::uint64_t at = 0; at < range.count.value; ++at) {
      states_.back()[range.begin.value - world_base.value + at] = writer;
    }
  }
  [[nodiscard]] std::uint64_t last() const { return states_.size() - 1; }
  [[nodiscard]] const VolumeModel::State& at(std::uint64_t sequence) const {
    return states_[sequence];
  }

 private:
  std::vector<VolumeModel::State> states_{VolumeModel::State(world_sectors, 0)};
};

// Chunks that are full, data that only the cache has, and data that the backings have too. What is
// the last kset is on record: of one volume by a clean stop, of the other by a bound.
class Base {
 public:
  static constexpr int commands = 220;  // of each volume
  static constexpr int written_back = 120;

  Base() {
    CrashWorld world(*pmem);
    CHECK(world.trouble().empty());
    const auto actor = CacheActor::make(world.device()).value();
    for (int command = 0; command < commands; ++command) {
      for (std::uint32_t slot = 0; slot < world_volumes; ++slot) {
        run_one(world, *actor, slot);
        if (command == written_back) write_back(world, slot);
      }
    }
    CHECK(world.volume(0).stop_clean(world.writer()));
    CHECK(world.volume(1).note_durable(world.writer()));
  }

  // An image of its own to spoil; one at a time.
  [[nodiscard]] std::unique_ptr<SimPmem> copy() const {
    KeepEverything all;
    return pmem->crash(all);
  }

  const std::unique_ptr<SimPmem> pmem = make_world_pmem(true, 24);
  std::array<History, world_volumes> histories;

 private:
  void run_one(CrashWorld& world, CacheActor& actor, std::uint32_t slot) {
    Done sink;
    CommitRecord record(sink);
    const std::uint64_t count = 1 + random_.below(random_.chance(1, 32) ? 40 : 6);
    const SectorRange range{{world_base.value + random_.below(world_sectors - count)}, {count}};
    const bool zeroes = random_.chance(1, 6);
    const Writer writer = zeroes ? 0 : next_writer_++;
    std::vector<std::byte> data(count * sector_size);
    for (std::uint64_t at = 0; at < count; ++at) {
      fill_sector(std::span(data).subspan(at * sector_size, sector_size), writer,
                  range.begin.value + at);
    }
    VolumeCache& volume = world.volume(slot);
    CHECK(zeroes ? volume.write_zeroes(actor, record, {&range, 1})
                 : volume.write(actor, record, range, data));
    while (actor.end_turn()) {
    }
    histories[slot].add(record.sequence(), range, writer);
  }
  void write_back(CrashWorld& world, std::uint32_t slot) {
    LogTails tails = world.device().volumes()[slot].tails;
    tails.dirty_tail = world.volume(slot).commit().published();
    tails.dirty_tail_chunk = world.volume(slot).log().chunk_of_next();
    CHECK(world.device().volumes().set_tails(world.writer(), slot, tails));
  }

  SeededRandom random_{3};
  Writer next_writer_ = 1;
};

// A place is a line of 64 bytes, counted from the beginning of an area.
struct Change {
  std::uint8_t kind;
  std::uint8_t area;
  std::uint16_t line;
  std::uint16_t from;  // copied from this line of the same area
  std::uint8_t offset;
  std::uint8_t value;  // or how many lines
};
static_assert(sizeof(Change) == 8);

constexpr std::uint64_t line_bytes = 64;

// No more than a byte with a value of the input's own: a checksum that matches is nothing that
// media make up.
class Spoiler {
 public:
  explicit Spoiler(SimPmem& pmem) : pmem_(pmem), writer_(pmem.make_writer().value()) {}
  ~Spoiler() { writer_->fence(); }

  void apply(const Change& change) {
    const std::uint64_t size = pmem_.size().value;
    // The tables at both ends, the first segments of the log, those of data behind them, anywhere.
    const std::array<std::pair<std::uint64_t, std::uint64_t>, 5> areas{
        {{0, 16U << 10},
         {size - (16U << 10), size},
         {64U << 10, 192U << 10},
         {192U << 10, size - (16U << 10)},
         {0, size}}};
    const auto [begin, end] = areas.at(change.area % areas.size());
    const std::uint64_t lines = (end - begin) / line_bytes;
    const std::uint64_t line = change.line % lines;
    const std::uint64_t from = change.from % lines;
    const std::uint64_t most = lines - std::max(line, from);
    const std::uint64_t count = std::min<std::uint64_t>(most, 1 + change.value);
    const MediaOffset place{begin + line * line_bytes};
    std::vector<std::byte> bytes(count * line_bytes);
    switch (change.kind % 5) {
      case 0:
        flip({place.value + change.offset % line_bytes}, std::byte{change.value});
        return;
      case 1:
        break;  // zeros
      case 2:
        std::ranges::fill(bytes, std::byte{0xff});
        break;
      case 3:
        // Somebody else's, as a write that went astray leaves it.
        if (!pmem_.read({begin + from * line_bytes}, bytes)) return;
        break;
      default:
        pmem_.poison(place, {count * line_bytes});
        return;
    }
    CHECK(writer_->copy(place, bytes));
  }

 private:
  void flip(MediaOffset place, std::byte bits) {
    std::array<std::byte, 1> byte{};
    if (!pmem_.read(place, byte)) return;
    byte[0] ^= bits;
    CHECK(writer_->copy(place, byte));
  }

  SimPmem& pmem_;
  const std::unique_ptr<PmemWriter> writer_;
};

// Its volume is served: see CacheSlot, which serves none whose log ends behind its image.
void check(CrashWorld& world, std::uint32_t slot, const History& history) {
  const CacheVolume& volume = world.device().volumes()[slot];
  const std::uint64_t last = world.volume(slot).commit().published();
  if (world.damaged(slot)) {
    CHECK(!world.trouble().empty());
    if (volume.damaged || last < volume.tails.dirty_tail) return;
  } else {
    CHECK(last == history.last());
  }
  CHECK(volume.tails.dirty_tail <= history.last());
  const VolumeModel::State& expected = history.at(last);
  const VolumeModel::State found = world.state(slot, history.at(volume.tails.dirty_tail));
  const auto agrees = [](Writer read, Writer wanted) { return read == lost || read == wanted; };
  const bool nothing_else_is_read = std::ranges::equal(found, expected, agrees);
  CHECK(nothing_else_is_read);
}

// Input: changes of eight bytes.
void run(std::span<const std::byte> input) {
  static const Base base;
  const auto pmem = base.copy();
  {
    Spoiler spoiler(*pmem);
    ByteReader reader(input);
    for (int most = 16; most > 0; --most) {
      const auto change = reader.read<Change>();
      if (!change) break;
      spoiler.apply(*change);
    }
  }
  CrashWorld world(*pmem);
  if (!world.is_open()) {
    CHECK(!world.trouble().empty());
    return;
  }
  for (std::uint32_t slot = 0; slot < world_volumes; ++slot) {
    check(world, slot, base.histories[slot]);
  }
}

}  // namespace
}  // namespace test
}  // namespace engine

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  engine::test::run(std::as_bytes(std::span(data, size)));
  return 0;
}
