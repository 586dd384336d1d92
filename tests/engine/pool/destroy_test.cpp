// Destroying a volume of a file pool: what it refuses, and what the power may leave of it.
#include <gtest/gtest.h>

#include <cerrno>
#include <optional>
#include <string>

#include "engine/pool/file_pool.h"
#include "engine/pool/journal_file.h"
#include "engine/pool/marker_file.h"
#include "tests/engine/pool/sim_directory.h"

namespace engine {
namespace {

using ErrorKind = PoolError::Kind;

constexpr BlockSize page_block{4096};
const VolumeWish two_wishes[] = {{"kept", 1_MiB, page_block}, {"gone", 1_MiB, page_block}};

const VolumeRecord* record_called(const FilePool& pool, const std::string& name) {
  for (const VolumeRecord& record : pool.volumes()) {
    if (record.name == name) return &record;
  }
  return nullptr;
}

Result<std::unique_ptr<FilePool>, PoolError> open_pool(SimDirectoryDisk& disk,
                                                       SimDirectory::Fault fault = {},
                                                       std::uint64_t seed = 1) {
  return FilePool::open(std::make_unique<SimDirectory>(disk, fault, seed));
}

// A pool of two volumes, with a marker and a journal beside the one.
struct PoolOfTwo {
  SimDirectoryDisk disk;
  Uuid kept;
  Uuid gone;

  PoolOfTwo() {
    SimDirectory fresh(disk, {}, 1);
    EXPECT_TRUE(init_file_pool(fresh));
    auto pool = open_pool(disk);
    for (const auto& made : pool.value()->ensure(two_wishes)) EXPECT_TRUE(made);
    kept = record_called(*pool.value(), "kept")->uuid;
    gone = record_called(*pool.value(), "gone")->uuid;
    for (const std::string& beside : {marker_name("gone.raw"), journal_name("gone.raw")}) {
      EXPECT_TRUE(fresh.write(beside, std::vector<std::byte>(4096)));
    }
    EXPECT_TRUE(fresh.sync());
  }
  [[nodiscard]] bool has_files_of(const std::string& name) const {
    for (const auto& [file, id] : disk.names) {
      if (file.starts_with(name + ".raw")) return true;
    }
    return false;
  }
};

// Whole, or not there at all; and the other as it was.
void expect_all_or_nothing(PoolOfTwo& pool, bool asked, bool answered) {
  const auto opened = open_pool(pool.disk);
  ASSERT_TRUE(opened) << opened.error().text;
  FilePool& now = *opened.value();
  const VolumeRecord* const kept = record_called(now, "kept");
  ASSERT_NE(kept, nullptr);
  EXPECT_EQ(kept->uuid, pool.kept);
  const VolumeRecord* const gone = record_called(now, "gone");
  if (gone != nullptr) {
    EXPECT_FALSE(answered);
    EXPECT_TRUE(gone->ready);
    EXPECT_EQ(gone->uuid, pool.gone);
  } else {
    EXPECT_TRUE(asked);
    EXPECT_FALSE(pool.has_files_of("gone"));
  }
  const bool was_there = gone != nullptr;
  for (const auto& answer : now.ensure(two_wishes)) ASSERT_TRUE(answer) << answer.error().text;
  EXPECT_EQ(record_called(now, "gone")->uuid == pool.gone, was_there);
}

TEST(Destroy, NothingOfTheVolumeIsLeftAndItsNameIsFree) {
  PoolOfTwo pool;
  {
    const auto opened = open_pool(pool.disk);
    const auto destroyed = opened.value()->destroy("gone", pool.gone);
    ASSERT_TRUE(destroyed) << destroyed.error().text;
    EXPECT_EQ(record_called(*opened.value(), "gone"), nullptr);
  }
  expect_all_or_nothing(pool, true, true);
}

TEST(Destroy, OnlyTheVolumeThatIsNamed) {
  PoolOfTwo pool;
  auto opened = open_pool(pool.disk);
  EXPECT_EQ(opened.value()->destroy("gone", pool.kept).error().kind, ErrorKind::other_volume);
  EXPECT_EQ(opened.value()->destroy("other", pool.gone).error().kind, ErrorKind::other_volume);
  EXPECT_NE(record_called(*opened.value(), "gone"), nullptr);
  opened.value().reset();
  expect_all_or_nothing(pool, false, false);
}

TEST(Destroy, NotWhatBelongsTogetherWithACache) {
  PoolOfTwo pool;
  const auto opened = open_pool(pool.disk);
  FilePool& now = *opened.value();
  CacheBinding cache = attached({}, Uuid::random(), {});
  for (const auto state : {format::CacheBindingState::dirty, format::CacheBindingState::clean}) {
    cache.state = state;
    ASSERT_TRUE(now.bind("gone", cache));
    const auto refused = now.destroy("gone", pool.gone);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().kind, ErrorKind::cache_missing);
    EXPECT_NE(refused.error().text.find(cache.device.text()), std::string::npos)
        << refused.error().text;
  }
  const auto other = now.destroy("gone", pool.gone, Uuid::random());
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().kind, ErrorKind::cache_missing);
  EXPECT_TRUE(now.destroy("gone", pool.gone, cache.device)) << "it is named, too";
}

TEST(Destroy, AnImageThatIsMissingIsNoObstacle) {
  PoolOfTwo pool;
  SimDirectory directory(pool.disk, {}, 1);
  ASSERT_TRUE(directory.remove("gone.raw"));
  ASSERT_TRUE(directory.sync());
  ASSERT_TRUE(open_pool(pool.disk).value()->destroy("gone", pool.gone));
  expect_all_or_nothing(pool, true, true);
}

TEST(Destroy, PowerLossAtEveryStepLeavesAllOfItOrNothing) {
  std::uint64_t states = 0;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    for (std::uint64_t step = 1;; ++step) {
      SCOPED_TRACE("seed " + std::to_string(seed) + " step " + std::to_string(step));
      PoolOfTwo pool;
      SeededRandom random(seed * 1000 + step);
      bool asked = false;
      bool crashed = false;
      try {
        const auto opened = open_pool(pool.disk, {.step = step, .error = 0}, seed);
        asked = true;
        (void)opened.value()->destroy("gone", pool.gone);
      } catch (const SimCrash&) {
        crashed = true;
        pool.disk.crash(random);
      }
      if (!crashed) break;
      ++states;
      // Every second one also in the middle of the start that ends what was begun.
      if (step % 2 == 0) {
        try {
          (void)open_pool(pool.disk, {.step = 1 + seed, .error = 0}, seed);
        } catch (const SimCrash&) {
          pool.disk.crash(random);
        }
      }
      expect_all_or_nothing(pool, asked, false);
      if (testing::Test::HasFailure()) return;
    }
  }
  EXPECT_GT(states, 200U);
}

TEST(Destroy, ARefusedStepIsToldAndCanBeRepeated) {
  for (std::uint64_t step = 1;; ++step) {
    SCOPED_TRACE("step " + std::to_string(step));
    PoolOfTwo pool;
    auto opened = open_pool(pool.disk, {.step = step, .error = EIO}, step);
    if (!opened) continue;
    const auto destroyed = opened.value()->destroy("gone", pool.gone);
    if (destroyed) {
      EXPECT_GT(step, 8U);
      opened.value().reset();
      expect_all_or_nothing(pool, true, true);
      return;
    }
    EXPECT_NE(destroyed.error().text.find("Input/output error"), std::string::npos)
        << destroyed.error().text;
    // What of it is not there any more is not served as if it were.
    const VolumeRecord* const gone = record_called(*opened.value(), "gone");
    ASSERT_NE(gone, nullptr);
    if (!gone->ready) {
      const auto answer = opened.value()->ensure({&two_wishes[1], 1})[0];
      ASSERT_FALSE(answer);
      EXPECT_NE(answer.error().text.find("is being destroyed"), std::string::npos);
    }
    EXPECT_TRUE(opened.value()->destroy("gone", pool.gone));
    opened.value().reset();
    expect_all_or_nothing(pool, true, true);
    if (testing::Test::HasFailure()) return;
  }
}

}  // namespace
}  // namespace engine
