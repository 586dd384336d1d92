// P7 for pools: whenever the power goes or the file system refuses, what was answered is there, and
// what was not is finished or forgotten by the next start.
#include <gtest/gtest.h>

#include <cerrno>
#include <map>
#include <string>

#include "engine/pool/file_pool.h"
#include "tests/engine/pool/sim_directory.h"
#include "tests/sim/rounds.h"

namespace engine {
namespace {

using ErrorKind = PoolError::Kind;

constexpr BlockSize block{4096};

// What the daemon has been told and may rely on.
VolumeWish thin(const std::string& name, ByteCount size) {
  return {.name = name, .size = size, .block_size = block, .provisioning = Provisioning::thin};
}

struct Acknowledged {
  bool pool = false;
  std::map<std::string, VolumeRecord> volumes;

  void note(const Result<VolumeRecord, PoolError>& answer) {
    if (answer) volumes[answer.value().name] = answer.value();
  }
};

// Makes a pool, volumes in two batches, and grows two of them; goes on as far as errors let it.
// Throws SimCrash.
void live(SimDirectoryDisk& disk, SimDirectory::Fault fault, std::uint64_t seed,
          Acknowledged& acknowledged) {
  auto directory = std::make_unique<SimDirectory>(disk, fault, seed);
  if (!acknowledged.pool) {
    const auto made = init_file_pool(*directory);
    if (!made && made.error().kind != ErrorKind::already_labelled) return;
    acknowledged.pool = true;
  }
  auto opened = FilePool::open(std::move(directory));
  if (!opened) return;
  FilePool& pool = *opened.value();
  const VolumeWish first[] = {{"a", 1_MiB, block}, thin("b", 2_MiB)};
  for (const auto& answer : pool.ensure(first)) acknowledged.note(answer);
  const VolumeWish second[] = {
      {"a", 1_MiB, block}, thin("b", 3_MiB), {"c", 1_MiB, block}, {"d", 1_MiB, block}};
  for (const auto& answer : pool.ensure(second)) acknowledged.note(answer);
  acknowledged.note(pool.grow("a", 4_MiB));
  CacheBinding cache;
  for (const VolumeRecord& record : pool.volumes()) {
    if (record.name == "c") cache = record.cache;
  }
  if (cache.state == format::CacheBindingState::none) cache = attached(cache, pool.uuid(), {});
  acknowledged.note(pool.bind("c", cache));
  cache.state = format::CacheBindingState::dirty;
  acknowledged.note(pool.bind("c", cache));
}

std::uint64_t image_bytes(const SimDirectoryDisk& disk, const VolumeRecord& record) {
  const auto found = disk.names.find(record.image);
  return found == disk.names.end() ? 0 : disk.files.at(found->second).length;
}

// The consistency check: reads a disk after a crash, changes it as every start does.
void expect_legal(SimDirectoryDisk& disk, const Acknowledged& acknowledged,
                  const std::string& where) {
  SCOPED_TRACE(where);
  if (!acknowledged.pool) {
    SimDirectory again(disk, {}, 1);
    const auto made = init_file_pool(again);
    if (!made) {
      ASSERT_EQ(made.error().kind, ErrorKind::already_labelled) << made.error().text;
    }
  }
  auto opened = FilePool::open(std::make_unique<SimDirectory>(disk, SimDirectory::Fault{}, 1));
  ASSERT_TRUE(opened) << opened.error().text;
  FilePool& pool = *opened.value();
  for (const auto& record : pool.volumes()) {
    if (!record.ready) continue;
    EXPECT_GE(image_bytes(disk, record), record.size.value) << record.name;
  }
  for (const auto& [name, wanted] : acknowledged.volumes) {
    bool found = false;
    for (const auto& record : pool.volumes()) {
      if (record.name != name) continue;
      found = true;
      EXPECT_TRUE(record.ready) << name;
      EXPECT_EQ(record.uuid, wanted.uuid) << name;
      EXPECT_EQ(record.provisioning, wanted.provisioning) << name;
      EXPECT_GE(record.size, wanted.size) << name;
      EXPECT_GE(record.cache.epoch, wanted.cache.epoch) << name;
      if (wanted.cache.state == format::CacheBindingState::dirty) {
        EXPECT_EQ(record.cache, wanted.cache) << name << ": the cache is forgotten";
      }
    }
    EXPECT_TRUE(found) << name << " was answered and is gone";
  }
  const VolumeWish wishes[] = {
      {"a", 4_MiB, block}, thin("b", 3_MiB), {"c", 1_MiB, block}, {"d", 1_MiB, block}};
  for (const auto& answer : pool.ensure(wishes)) {
    if (!answer && answer.error().kind == ErrorKind::cache_missing)
      continue;  // c, as is checked above
    ASSERT_TRUE(answer) << answer.error().text;
    const auto known = acknowledged.volumes.find(answer.value().name);
    if (known != acknowledged.volumes.end()) {
      EXPECT_EQ(answer.value().uuid, known->second.uuid);
    }
    EXPECT_GE(image_bytes(disk, answer.value()), answer.value().size.value);
  }
  for (const auto& [name, file] : disk.names)
    EXPECT_NE(name.front(), '.') << name << " is left over";
}

// One life that ends at `step`; false when it ends by itself before.
bool crash_at(SimDirectoryDisk& disk, std::uint64_t step, std::uint64_t seed,
              Acknowledged& acknowledged) {
  try {
    live(disk, {.step = step, .error = 0}, seed, acknowledged);
  } catch (const SimCrash&) {
    SeededRandom random(seed * 1000 + step);
    disk.crash(random);
    return true;
  }
  return false;
}

TEST(PoolCrash, PowerLossAtEveryStepLeavesALegalPool) {
  std::uint64_t states = 0;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    for (std::uint64_t step = first_step(seed);; step += stride()) {
      SimDirectoryDisk disk;
      Acknowledged acknowledged;
      if (!crash_at(disk, step, seed, acknowledged)) break;
      ++states;
      expect_legal(disk, acknowledged,
                   "seed " + std::to_string(seed) + " step " + std::to_string(step));
      if (HasFatalFailure()) return;
    }
  }
  RecordProperty("crash_states", std::to_string(states));
  EXPECT_GT(states, 1000 / stride());
}

TEST(PoolCrash, PowerLossDuringTheNextStartLeavesALegalPool) {
  std::uint64_t states = 0;
  for (std::uint64_t first = 1;; first += stride()) {
    bool crashed = true;
    for (std::uint64_t second = 1; crashed; ++second) {
      SimDirectoryDisk disk;
      Acknowledged acknowledged;
      if (!crash_at(disk, first, first + second, acknowledged)) {
        EXPECT_GT(states, 1000 / stride());
        return;
      }
      crashed = crash_at(disk, second, first * second, acknowledged);
      ++states;
      expect_legal(disk, acknowledged,
                   "steps " + std::to_string(first) + ", " + std::to_string(second));
      if (HasFatalFailure()) return;
    }
  }
}

TEST(PoolCrash, RefusedOperationAtEveryStepLeavesALegalPool) {
  for (const int error : {EIO, ENOSPC}) {
    for (std::uint64_t step = 1;; ++step) {
      SimDirectoryDisk disk;
      Acknowledged acknowledged;
      live(disk, {.step = step, .error = error}, step, acknowledged);
      if (disk.steps < step) {
        EXPECT_GT(step, 50U);
        break;
      }
      const bool after_a_crash = step % 2 == 0;
      if (after_a_crash) {
        SeededRandom random(step);
        disk.crash(random);
      }
      expect_legal(disk, acknowledged,
                   "error " + std::to_string(error) + " at step " + std::to_string(step));
      if (HasFatalFailure()) return;
    }
  }
}

// The guards off, one by one: whoever skips a sync must be noticed, or the tests above prove
// nothing.
class Unsynced final : public PoolDirectory {
 public:
  enum class Forgets { names, allocations };
  Unsynced(std::unique_ptr<PoolDirectory> below, Forgets what)
      : below_(std::move(below)), forgets_(what) {}
  const std::string& path() const override { return below_->path(); }
  FileResult<std::vector<std::string>> list() override { return below_->list(); }
  FileResult<std::vector<std::byte>> read(const std::string& name, std::size_t limit) override {
    return below_->read(name, limit);
  }
  FileResult<std::unique_ptr<PoolFile>> open(const std::string& name) override {
    return below_->open(name);
  }
  FileResult<void> write(const std::string& name, std::span<const std::byte> bytes) override {
    return below_->write(name, bytes);
  }
  FileResult<void> allocate(const std::string& name, ByteCount size,
                            Provisioning provisioning) override {
    return below_->allocate(name, size, provisioning);
  }
  FileResult<void> extend(const std::string& name, ByteCount from, ByteCount size,
                          Provisioning provisioning) override {
    return below_->extend(name, from, size, provisioning);
  }
  FileResult<std::optional<ByteCount>> size_of(const std::string& name) override {
    return below_->size_of(name);
  }
  FileResult<void> rename(const std::string& from, const std::string& to, bool replace) override {
    return below_->rename(from, to, replace);
  }
  FileResult<void> remove(const std::string& name) override { return below_->remove(name); }
  FileResult<void> sync() override {
    return forgets_ == Forgets::names ? boost::outcome_v2::success() : below_->sync();
  }
  FileResult<void> sync_allocated() override {
    return forgets_ == Forgets::allocations ? boost::outcome_v2::success()
                                            : below_->sync_allocated();
  }
  FileResult<ByteCount> allocated(const std::string& name) override {
    return below_->allocated(name);
  }
  FileResult<LockAnswer> lock(const std::string& name, const PoolDirectory* predecessor) override {
    return below_->lock(name, predecessor);
  }
  FileResult<Space> space() override { return below_->space(); }

 private:
  std::unique_ptr<PoolDirectory> below_;
  const Forgets forgets_;
};

int volumes_lost_by(Unsynced::Forgets what) {
  int lost = 0;
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    SimDirectoryDisk disk;
    SimDirectory first(disk, {}, seed);
    EXPECT_TRUE(init_file_pool(first));
    {
      auto below = std::make_unique<SimDirectory>(disk, SimDirectory::Fault{}, seed);
      auto pool = FilePool::open(std::make_unique<Unsynced>(std::move(below), what));
      const VolumeWish wish[] = {{"a", 1_MiB, block}};
      EXPECT_TRUE(pool && pool.value()->ensure(wish)[0]);
    }
    SeededRandom random(seed);
    disk.crash(random);
    auto pool = FilePool::open(std::make_unique<SimDirectory>(disk, SimDirectory::Fault{}, seed));
    const bool kept = pool && pool.value()->volumes().size() == 1 &&
                      pool.value()->volumes()[0].ready &&
                      image_bytes(disk, pool.value()->volumes()[0]) >= (1 << 20);
    lost += !kept;
  }
  return lost;
}

TEST(PoolCrash, EachMissingSyncIsNoticed) {
  EXPECT_GT(volumes_lost_by(Unsynced::Forgets::names), 20);
  EXPECT_GT(volumes_lost_by(Unsynced::Forgets::allocations), 20);
}

}  // namespace
}  // namespace engine
