// What a random workload would meet too seldom.
#include <algorithm>
#include <utility>

#include "engine/cache/kset.h"
#include "tests/crash/crash_run.h"
#include "tests/crash/crash_write_back.h"
#include "tests/crash/rotten_kset.h"

namespace engine::test {
namespace {

struct Waits final : CompletionSink {
  void complete(CommitRecord& /*record*/) override { ++done; }
  int done = 0;
};

void write(CrashWorld& world, CacheActor& actor, Sector sector, Writer writer) {
  Waits sink;
  CommitRecord record(sink);
  std::array<std::byte, sector_size> data{};
  fill_sector(data, writer, sector.value);
  CHECK(world.volume(0).write(actor, record, {sector, {1}}, data));
  CHECK(!actor.end_turn());
}

void write(CrashWorld& world, Sector sector, Writer writer) {
  const auto actor = CacheActor::make(world.device()).value();
  write(world, *actor, sector, writer);
}

void violate(CrashCounts& counts, const std::string& what) {
  if (counts.violations++ == 0) counts.first_violation = what;
}

}  // namespace

// A kset reached one copy, which then could not be read, so the log was gone on with without it;
// and when that copy can be read again, it must not count.
void run_transient_error(CrashCounts& counts) {
  const auto pmem = make_world_pmem(false, 14);
  std::vector<std::byte> before;
  MediaOffset place;
  {
    CrashWorld world(*pmem);
    write(world, world_base, 1);
    before.assign(pmem->content().begin(), pmem->content().end());
    place = world.volume(0).log().places()[0] + ByteCount{world.volume(0).log().offset()};
    write(world, world_base, 2);
  }
  const std::uint64_t bytes = kset_bytes(1, 64);
  std::copy_n(pmem->content().begin() + static_cast<std::ptrdiff_t>(place.value), bytes,
              before.begin() + static_cast<std::ptrdiff_t>(place.value));
  SimPmem crashed(before);
  crashed.poison(place, {bytes});
  {
    CrashWorld world(crashed);
    if (!world.trouble().empty()) {
      return violate(counts, "one copy of a torn kset cannot be read: " + world.trouble());
    }
    write(world, world_base, 3);
  }
  SimPmem readable(crashed.content());
  counts.count(CrashKind::rotten_kset);
  CrashWorld world(readable);
  const VolumeModel::State nothing(world_sectors, 0);
  if (world.trouble().empty() && world.state(0, nothing)[0] == 3) return;
  violate(counts, "a kset that recovery had left behind counts again: " + world.trouble());
}

// Both copies of a kset have rotted, and whole chunks lie behind it: they are read beside the one
// that is damaged, and nothing of them counts.
void run_chunks_behind_damage(CrashCounts& counts) {
  constexpr std::uint64_t rotten = 10;
  const auto pmem = make_world_pmem(false, 14);
  ChunkPlaces first;
  {
    CrashWorld world(*pmem);
    first = world.volume(0).log().places();
    const auto actor = CacheActor::make(world.device()).value();
    for (Writer writer = 1; writer <= 300; ++writer) write(world, *actor, world_base, writer);
    CHECK(world.device().chunks_of(0).chunks.size() > 2);
    rot_kset(*pmem, first, world.device().layout().first_kset() + (rotten - 1) * kset_bytes(1, 64));
  }
  counts.count(CrashKind::rotten_kset);
  CrashWorld world(*pmem);
  const VolumeModel::State nothing(world_sectors, 0);
  if (world.is_open() && world.damaged(0) && world.state(0, nothing)[0] == rotten - 1) return;
  violate(counts, "what lies behind damage counts: " + world.trouble());
}

// Data has rotted in the cache: what was logged before it reaches the backing, the rot does not,
// and nothing behind it either, until a newer write covers it.
void run_rotten_payload(CrashCounts& counts) {
  const auto pmem = make_world_pmem(true, 14);
  const VolumeModel::State nothing(world_sectors, 0);
  CrashWorld world(*pmem);
  for (const Writer writer : {1U, 2U, 3U}) {
    write(world, {world_base.value + writer}, writer);
    if (writer != 2) continue;
    world.volume(0).index().for_each([&](const Fragment& part) {
      if (part.range.begin.value != world_base.value + 2) return;
      const auto store = pmem->make_writer().value();
      const std::array<std::byte, 8> rot{};
      CHECK(store->copy({part.value.place.value * format::place_bytes}, rot));
      store->fence();
    });
  }
  SeededRandom random(1);
  CrashDisks disks;
  for (auto& disk : disks) {
    disk = std::make_unique<CrashDisk>(world_base, BackingImage{.sectors = nothing, .mark = {}});
  }
  CrashWriteBack write_back(world, disks, random);
  write_back.of(0).set_draining(true);
  for (int turn = 0; turn < 500; ++turn) write_back.turn();
  counts.count(CrashKind::write_back);
  VolumeModel::State expected = nothing;
  expected[1] = 1;
  const auto trouble = write_back.of(0).status().trouble;
  if (disks[0]->current() != expected || !trouble ||
      trouble->kind != WriteBackTrouble::Kind::bad_checksum || trouble->sequence != 2) {
    return violate(counts, "rot in the cache has reached the backing, or held up too much");
  }
  write(world, {world_base.value + 2}, 4);
  if (!write_back.bring(0)) return violate(counts, "what was overwritten still stops write-back");
  expected[2] = 4;
  expected[3] = 3;
  if (disks[0]->current() != expected) violate(counts, "the backing is not what was written");
}

}  // namespace engine::test
