#include "tests/crash/reclaim_driver.h"

#include <array>
#include <set>
#include <utility>

#include "engine/foundation/check.h"

namespace engine::test {
namespace {

constexpr std::size_t most_pinned = 2;

struct Ignore final : CompletionSink {
  void complete(CommitRecord& /*record*/) override {}
};

}  // namespace

ReclaimDriver::ReclaimDriver(CrashWorld& world, CacheActor& actor, Reclaim::DirtyTail dirty_tail,
                             PageCommitter* committer)
    : world_(world), actor_(actor), committer_(committer) {
  for (std::uint32_t slot = 0; slot < world_volumes; ++slot) {
    reclaims_[slot] = std::make_unique<Reclaim>(world.volume(slot), dirty_tail);
  }
}

Reclaim::Step ReclaimDriver::step_of(std::uint32_t slot) {
  works_ = slot;
  const Reclaim& reclaim = *reclaims_[slot];
  const std::uint64_t passed = reclaim.figures().ksets;
  const Reclaim::Step done = reclaims_[slot]->step(actor_);
  if (reclaim.figures().ksets != passed) moved_before_[slot] = reclaim.figures().moved;
  works_.reset();
  if (done == Reclaim::Step::stopped && trouble_.empty()) {
    const auto& damage = reclaims_[slot]->damage();
    const auto& error = reclaims_[slot]->error();
    trouble_ = "reclaim stops: " + (damage  ? damage->text()
                                    : error ? error->text
                                            : std::string("not writable"));
  }
  return done;
}

void ReclaimDriver::step() {
  for (std::uint32_t slot = 0; slot < world_volumes; ++slot) (void)step_of(slot);
}

std::uint64_t ReclaimDriver::moved() const {
  std::uint64_t sum = 0;
  for (const auto& reclaim : reclaims_) sum += reclaim->figures().moved;
  return sum;
}

void ReclaimDriver::drain(std::uint32_t slot, std::uint64_t sequence) {
  for (int round = 0; round < 10'000 && trouble_.empty(); ++round) {
    if (world_.device().volumes()[slot].tails.key_tail >= sequence) return;
    const Reclaim::Step done = step_of(slot);
    if (done == Reclaim::Step::idle) return;
    // As long as something is on its way, a step changes nothing.
    if (done == Reclaim::Step::waits) CHECK(step_of(slot) == done);
    works_ = slot;
    while (actor_.end_turn() || (committer_ != nullptr && committer_->step())) {
    }
    works_.reset();
  }
  if (trouble_.empty()) trouble_ = "reclaim does not come to an end";
}

std::vector<std::byte> ReclaimDriver::bytes_of(const VolumeCache::Hit& hit) {
  std::vector<std::byte> bytes(hit.count.value * sector_size);
  CHECK(world_.device().region().read({hit.value.place.value * format::place_bytes}, bytes));
  return bytes;
}

void ReclaimDriver::let_go() {
  if (pinned_.empty()) return;
  if (bytes_of(pinned_.front().hit) != pinned_.front().bytes) trouble_ = "pinned data has changed";
  pinned_.erase(pinned_.begin());
}

void ReclaimDriver::read_some(std::uint32_t slot, SeededRandom& random) {
  const std::uint64_t count = 1 + random.below(64);
  const SectorRange range{{world_base.value + random.below(world_sectors - count)}, {count}};
  std::vector<std::byte> bytes(count * sector_size);
  world_.volume(slot).read(range, bytes, ExtentIndex::Heat::warm, [](const CacheGap&) {});
  if (random.chance(1, 2)) pin(slot, range);
}

void ReclaimDriver::pin(std::uint32_t slot, SectorRange range) {
  if (pinned_.size() == most_pinned) let_go();
  world_.volume(slot).index().look_up(range, ExtentIndex::Heat::warm, [](const Piece&) {});
  std::array<VolumeCache::Hit, 1> front;
  if (world_.volume(slot).pin_front(range, front) == 0) return;
  pinned_.push_back({.hit = std::move(front[0]), .bytes = {}});
  pinned_.back().bytes = bytes_of(pinned_.back().hit);
}

namespace {

// Sectors of volume 0 of which the cache has data.
std::set<std::uint64_t> hits(CrashWorld& world, bool hot_only) {
  std::set<std::uint64_t> found;
  world.volume(0).index().for_each([&](const Fragment& part) {
    if (part.value.kind == ExtentKind::zero || (hot_only && part.value.heat == 0)) return;
    for (std::uint64_t at = 0; at < part.range.count.value; ++at) {
      found.insert(part.range.begin.value + at);
    }
  });
  return found;
}

// As write-back ends: everything is on volume 0's backing.
void write_back(CrashWorld& world) {
  LogTails tails = world.device().volumes()[0].tails;
  tails.dirty_tail = world.volume(0).commit().published();
  tails.dirty_tail_chunk = world.volume(0).log().chunk_of_next();
  CHECK(world.device().volumes().set_tails(world.writer(), 0, tails));
}

// Many small writes, one over the other, behind a long log.
void write_much(CrashWorld& world, CacheActor& actor, SeededRandom& random) {
  Ignore sink;
  CommitRecord record(sink);
  // So long that log segments with nobody else in them become free.
  std::vector<SectorRange> zeroes;
  for (std::uint64_t at = 0; at < 120; ++at) zeroes.push_back({{world_base.value + 3 * at}, {1}});
  for (int command = 0; command < 40; ++command) {
    CHECK(world.volume(0).write_zeroes(actor, record, zeroes));
    while (actor.end_turn()) {
    }
  }
  for (Writer writer = 1; writer <= 220; ++writer) {
    const std::uint64_t count = 1 + random.below(4);
    const Sector at{world_base.value + random.below(world_sectors - count)};
    std::vector<std::byte> data(count * sector_size);
    for (std::uint64_t sector = 0; sector < count; ++sector) {
      fill_sector(std::span(data).subspan(sector * sector_size, sector_size), writer,
                  at.value + sector);
    }
    CHECK(world.volume(0).write(actor, record, {at, {count}}, data));
    while (actor.end_turn()) {
    }
  }
}

std::string judge(SimPmem& after, const VolumeModel::State& expected,
                  const std::set<std::uint64_t>& hot) {
  CrashWorld world(after);
  if (!world.trouble().empty()) return world.trouble();
  if (world.state(0, expected) != expected) return "it does not read as it did";
  const auto found = hits(world, false);
  for (const std::uint64_t sector : hot) {
    if (!found.contains(sector)) {
      return "sector " + std::to_string(sector) + " is hot, and the cache has lost it";
    }
  }
  return {};
}

}  // namespace

void run_reclaim(CrashCounts& counts) {
  for (const bool crc : {false, true}) {
    SeededRandom random(crc ? 5 : 4);
    const auto pmem = make_world_pmem(crc, 24);
    CrashWorld world(*pmem);
    const auto actor = CacheActor::make(world.device()).value();
    write_much(world, *actor, random);
    write_back(world);
    const VolumeModel::State expected = world.state(0, VolumeModel::State(world_sectors, 0));
    std::vector<std::byte> bytes(world_sectors / 3 * sector_size);
    world.volume(0).read({world_base, {world_sectors / 3}}, bytes, ExtentIndex::Heat::warm,
                         [](const CacheGap&) {});
    const auto hot = hits(world, true);
    CHECK(!hot.empty() && hot.size() < hits(world, false).size());
    pmem->on_persist_point([&](PersistPoint) {
      for (int sample = 0; sample < 2 && counts.violations == 0; ++sample) {
        counts.count(CrashKind::reclaim);
        LoseEverything lose;
        RandomChooser choose(random);
        const auto after = sample == 0 ? pmem->crash(lose) : pmem->crash(choose);
        const std::string found = judge(*after, expected, hot);
        if (found.empty()) continue;
        ++counts.violations;
        counts.first_violation = "crash in reclaim: " + found;
      }
    });
    ReclaimDriver driver(world, *actor, Reclaim::DirtyTail::ours);
    // Once round: what is logged again twice is cold in the end.
    driver.drain(0, world.device().volumes()[0].tails.dirty_tail);
    pmem->on_persist_point({});
    // Round and round, until all is cold; beside a reader who does not let go.
    driver.pin(0, {world_base, {world_sectors}});
    driver.drain(0);
    driver.let_go();
    if (driver.trouble().empty() && hits(world, false).empty()) continue;
    ++counts.violations;
    counts.first_violation = "reclaim leaves something behind; " + driver.trouble();
  }
}

void run_overtaken_fill(CrashCounts& counts) {
  const auto pmem = make_world_pmem(false, 24);
  CrashWorld world(*pmem);
  const auto actor = CacheActor::make(world.device()).value();
  Ignore sink;
  CommitRecord record(sink);
  const SectorRange range{world_base, {1}};
  MissPart miss;
  world.volume(0).misses().begin(range, miss);
  std::array<std::byte, sector_size> data{};
  fill_sector(data, 1, world_base.value);
  CHECK(world.volume(0).write(*actor, record, range, data));
  while (actor->end_turn()) {
  }
  write_back(world);
  ReclaimDriver driver(world, *actor);
  driver.drain(0);
  // What the miss has read before the write.
  data = {};
  CHECK(world.volume(0).fill(*actor, record, range, data, &miss.overtaken()));
  while (actor->end_turn()) {
  }
  world.volume(0).misses().end(miss);
  VolumeModel::State backing(world_sectors, 0);
  backing[0] = 1;
  if (world.state(0, backing) == backing) return;
  ++counts.violations;
  counts.first_violation = "a miss has filled what a write had overtaken";
}

}  // namespace engine::test
