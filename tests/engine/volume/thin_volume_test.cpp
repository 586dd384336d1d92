// Thin volumes on a file system that fills up: what is answered has its place there, and what has
// none is refused before it is answered.
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>

#include "tests/engine/volume/cached_engine_kit.h"

namespace engine {
namespace {

using Kind = VolumeIo::Kind;
constexpr std::uint64_t mib_blocks = 256;  // of 4096 bytes

// In a file system of 64 MiB that nobody else sees.
class ThinVolume : public CachedEngine {
 protected:
  static constexpr ByteCount file_system{64_MiB};
  static constexpr ByteCount reserve{8_MiB};
  static constexpr ByteCount size{256_MiB};

  [[nodiscard]] PoolSpec pool() const override {
    PoolSpec thin = CachedEngine::pool();
    thin.provisioning = Provisioning::thin;
    thin.reserve = reserve;
    thin.warn_at = 50;
    return thin;
  }
  template <class Body>
  void in_small_file_system(const Body& body) {
    std::thread([&] {
      ASSERT_EQ(::unshare(CLONE_NEWNS), 0) << "needs CAP_SYS_ADMIN, as root has";
      ASSERT_EQ(::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
      const std::string bulk = path_of("bulk");
      ASSERT_EQ(::mount("none", bulk.c_str(), "tmpfs", 0, "size=64m"), 0);
      ASSERT_TRUE(init_file_pool(bulk));
      body();
      EXPECT_EQ(::umount2(bulk.c_str(), MNT_DETACH), 0);
    }).join();
  }
  [[nodiscard]] ByteCount free_now() const {
    struct statvfs status {};
    EXPECT_EQ(::statvfs(path_of("bulk").c_str(), &status), 0);
    return {status.f_bavail * status.f_frsize};
  }
  [[nodiscard]] static PoolStatus status(const Life& life) { return life.engine->pools()[0]; }

  // MiB by MiB from block `lba` on, then block by block; returns the blocks that were taken.
  static std::uint64_t fill(Life& life, const std::string& volume, std::uint64_t lba, int value) {
    std::uint64_t taken = 0;
    for (const std::uint64_t step : {mib_blocks, std::uint64_t{1}}) {
      for (;;) {
        const IoStatus status = life.write(volume, lba + taken, step, value);
        if (status == IoStatus::capacity_exceeded) break;
        EXPECT_EQ(status, IoStatus::ok) << "after " << taken << " blocks";
        if (status != IoStatus::ok) return taken;
        taken += step;
        if (taken * block > size.value) return taken;
      }
    }
    return taken;
  }
  static IoStatus deallocate(Life& life, const std::string& volume, std::uint64_t lba,
                             std::uint64_t blocks) {
    return run(*life.engine->find(volume), *life.lane, Kind::deallocate, lba, blocks);
  }
  static void begin_draining(Life& life, const std::string& volume) {
    std::promise<void> begun;
    life.engine->drain(volume, [&begun](const auto& done) {
      EXPECT_TRUE(done);
      begun.set_value();
    });
    begun.get_future().wait();
  }
  // Zeros, too.
  static void drain(Life& life, const std::string& volume) {
    begin_draining(life, volume);
    EXPECT_TRUE(life.wait_for([&] { return !life.engine->cache_of(volume)->draining; }));
  }
  // Once what was kept for what the file system might write down has been given out, too.
  static std::uint64_t fill_up(Life& life, const std::string& volume) {
    std::uint64_t taken = 0;
    for (std::uint64_t more = 1; more != 0; taken += more) {
      more = fill(life, volume, taken, 7);
      drain(life, volume);
    }
    return taken;
  }
};

TEST_P(ThinVolume, AWriteIsRefusedBeforeItCouldNotBeWrittenBack) {
  in_small_file_system([this] {
    Life life(*this, {cached("db01", size), direct("logs", size)}, {cache()});
    ASSERT_EQ(life.condition("db01").state, VolumeState::online) << life.reason("db01");
    const std::uint64_t taken = fill(life, "db01", 0, 7);
    if (HasFailure()) return;
    // All but the reserve, 16 MiB and two tables for the pool itself, and what the rest may cost.
    EXPECT_GT(taken, 36 * mib_blocks);
    EXPECT_LT(taken, 40 * mib_blocks);
    EXPECT_GT(status(life).promised, ByteCount{}) << "some of it is dirty";
    // Nobody else gets it, and everything else goes on.
    EXPECT_EQ(life.write("logs", 0, 1, 1), IoStatus::capacity_exceeded);
    EXPECT_EQ(life.read("logs", 0), 0);
    EXPECT_EQ(life.read("db01", taken), 0) << "what was refused was not written";
    for (std::uint64_t lba = 0; lba < taken; ++lba) ASSERT_EQ(life.read("db01", lba), 7) << lba;
    for (std::uint64_t lba = 0; lba < taken; lba += 100) {
      ASSERT_EQ(life.write("db01", lba, 1, 8), IoStatus::ok) << lba << ": it has its place";
    }
    ASSERT_EQ(life.write("db01", taken / 2, mib_blocks, 8), IoStatus::ok)
        << "dirty in part, and in part on the pool";
    EXPECT_EQ(life.condition("db01").state, VolumeState::online);
    // All of it finds its place.
    drain(life, "db01");
    EXPECT_GE(free_now(), reserve + 16_MiB);
    EXPECT_EQ(life.read("db01", 0), 8);
    (void)fill(life, "db01", taken, 7);
    EXPECT_EQ(life.write("logs", 0, 1, 1), IoStatus::capacity_exceeded);
    // And what is given back is there for anybody.
    EXPECT_EQ(deallocate(life, "db01", 0, 4 * mib_blocks), IoStatus::ok);
    drain(life, "db01");
    EXPECT_EQ(life.write("logs", 0, mib_blocks, 3), IoStatus::ok);
    EXPECT_EQ(life.write("db01", 40 * mib_blocks, mib_blocks, 3), IoStatus::ok);
    EXPECT_EQ(life.read("logs", 5), 3);
    EXPECT_EQ(life.read("db01", 5), 0);
  });
}

TEST_P(ThinVolume, WhatIsBeingDeallocatedIsNoPlace) {
  in_small_file_system([this] {
    Life life(*this, {cached("db01", size)}, {cache()});
    const std::uint64_t taken = fill_up(life, "db01");
    ASSERT_EQ(life.write("db01", 20, 1, 8), IoStatus::ok);
    ASSERT_EQ(deallocate(life, "db01", 0, 16), IoStatus::ok);
    // It may go to the pool before the write, and others may take what is free then.
    EXPECT_EQ(life.write("db01", 0, 1, 9), IoStatus::capacity_exceeded);
    EXPECT_EQ(life.write("db01", 15, 2, 9), IoStatus::capacity_exceeded);
    EXPECT_EQ(life.read("db01", 0), 0);
    EXPECT_EQ(life.read("db01", 16), 7);
    drain(life, "db01");
    EXPECT_EQ(life.write("db01", taken, 15, 9), IoStatus::ok);
    drain(life, "db01");
    EXPECT_EQ(life.write("db01", 0, 2, 9), IoStatus::capacity_exceeded);
  });
}

TEST_P(ThinVolume, WhatACacheHasToWriteBackIsNobodyElsesAfterARestart) {
  in_small_file_system([this] {
    constexpr std::uint64_t dirty = 8 * mib_blocks;
    {
      Life life(*this, {cached("db01", size)}, {cache()});
      for (std::uint64_t lba = 0; lba < dirty; lba += mib_blocks) {
        ASSERT_EQ(life.write("db01", lba, mib_blocks, 7), IoStatus::ok);
      }
      EXPECT_GE(status(life).free, 60_MiB - 1_MiB) << "nothing is written back";
    }
    {
      // Its cache is late: what is owed is known by its marker.
      Life life(*this, {cached("db01", size), direct("logs", size)},
                {{.name = "pmem0", .path = path_of("elsewhere")}});
      const std::uint64_t taken = fill(life, "logs", 0, 1);
      EXPECT_LE(taken, 40 * mib_blocks - dirty);
      EXPECT_GE(taken, 36 * mib_blocks - dirty);
      EXPECT_EQ(deallocate(life, "logs", 0, taken), IoStatus::ok);
    }
    Life life(*this, {cached("db01", size), direct("logs", size)}, {cache()});
    ASSERT_EQ(life.condition("db01").state, VolumeState::online) << life.reason("db01");
    const std::uint64_t taken = fill(life, "logs", 0, 1);
    EXPECT_LE(taken, 40 * mib_blocks - dirty);
    EXPECT_GE(taken, 36 * mib_blocks - dirty);
    drain(life, "db01");
    EXPECT_GE(free_now(), reserve + 16_MiB);
    EXPECT_EQ(life.read("db01", dirty - 1), 7);
  });
}

TEST_P(ThinVolume, WhereOthersFillTheFileSystemNothingIsLost) {
  in_small_file_system([this] {
    Life life(*this, {cached("db01", size)}, {cache()});
    ASSERT_EQ(life.write("db01", 0, mib_blocks, 7), IoStatus::ok);
    drain(life, "db01");
    for (std::uint64_t mib = 1; mib < 4; ++mib) {
      ASSERT_EQ(life.write("db01", mib * mib_blocks, mib_blocks, 8), IoStatus::ok);
    }
    // Somebody who does not know of the reserve, and takes that, too.
    const std::string foreign = path_of("bulk") + "/foreign";
    {
      const int fd = ::open(foreign.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
      const std::vector<char> bytes(4096, 1);
      while (::write(fd, bytes.data(), bytes.size()) > 0) {
      }
      EXPECT_EQ(errno, ENOSPC);
      ::close(fd);
    }
    begin_draining(life, "db01");
    EXPECT_TRUE(
        life.wait_for([&life] { return life.condition("db01").state == VolumeState::degraded; }));
    EXPECT_TRUE(contains(life.reason("db01"), "capacity exceeded")) << life.reason("db01");
    EXPECT_TRUE(life.wait_for([&life] { return status(life).free == ByteCount{}; }));
    EXPECT_EQ(life.write("db01", 9 * mib_blocks, 1, 9), IoStatus::capacity_exceeded);
    EXPECT_EQ(life.read("db01", 5), 7);
    EXPECT_EQ(life.write("db01", 5, 1, 9), IoStatus::ok) << "it has its place";
    EXPECT_EQ(life.write("db01", mib_blocks, 1, 9), IoStatus::ok) << "and so has what is dirty";
    EXPECT_EQ(::unlink(foreign.c_str()), 0);
    EXPECT_TRUE(life.wait_for([&life] {
      return life.condition("db01").state == VolumeState::online &&
             life.engine->cache_of("db01")->dirty == ByteCount{};
    }));
    EXPECT_EQ(life.read("db01", 5), 9);
    EXPECT_EQ(life.read("db01", mib_blocks), 9);
    for (std::uint64_t lba = mib_blocks + 1; lba < 4 * mib_blocks; ++lba) {
      ASSERT_EQ(life.read("db01", lba), 8) << lba;
    }
    EXPECT_EQ(life.write("db01", 9 * mib_blocks, 1, 9), IoStatus::ok);
  });
}

TEST_P(ThinVolume, TheOperatorIsToldWhenMuchIsUsedAndOnceMoreWhenItIsNot) {
  in_small_file_system([this] {
    Life life(*this, {cached("db01", size)}, {cache()});
    const auto told = [&life] { return life.finding(Finding::About::pool_warn_at, "bulk"); };
    EXPECT_EQ(told(), "");
    EXPECT_EQ(status(life).reserve, reserve);
    EXPECT_EQ(status(life).warn_at, 50U);
    // Half of it, none of which is on the file system yet.
    for (std::uint64_t lba = 0; lba < 14 * mib_blocks; lba += mib_blocks) {
      ASSERT_EQ(life.write("db01", lba, mib_blocks, 7), IoStatus::ok);
    }
    std::ofstream(path_of("bulk") + "/foreign").close();
    ASSERT_EQ(::truncate((path_of("bulk") + "/foreign").c_str(), 0), 0);
    const int fd = ::open((path_of("bulk") + "/foreign").c_str(), O_WRONLY | O_CLOEXEC);
    ASSERT_EQ(::posix_fallocate(fd, 0, 20 << 20), 0);
    EXPECT_TRUE(life.wait_for([&] { return status(life).filling; }));
    EXPECT_TRUE(contains(told(), "50% of its file system is used, or promised")) << told();
    // Just below is no news.
    ASSERT_EQ(::ftruncate(fd, 18 << 20), 0);
    EXPECT_TRUE(life.wait_for([&] { return status(life).free >= 45_MiB; }));
    EXPECT_TRUE(status(life).filling);
    ASSERT_EQ(::ftruncate(fd, 0), 0);
    EXPECT_TRUE(life.wait_for([&] { return !status(life).filling; }));
    EXPECT_EQ(told(), "");
    ::close(fd);
  });
}

TEST_P(ThinVolume, ConfiguredOtherwiseItStaysWhatItIs) {
  { Life life(*this, {cached("db01", size)}, {cache()}); }
  PoolSpec thick = pool();
  thick.provisioning = Provisioning::thick;
  const auto findings = Engine::inspect({thick}, {cached("db01", size)}, {.caches = {cache()}});
  ASSERT_EQ(findings.size(), 1U);
  EXPECT_EQ(findings[0].about, Finding::About::pool_provisioning);
  EXPECT_EQ(findings[0].text, "thick is for new volumes; volume db01 is thin and stays so");
  EXPECT_TRUE(Engine::inspect({pool()}, {cached("db01", size)}, {.caches = {cache()}}).empty());
}

INSTANTIATE_TEST_SUITE_P(Granularities, ThinVolume, testing::Values("PAGE", "CACHE_LINE"));

}  // namespace
}  // namespace engine
