// A file system that fills up under load: hosts get Capacity Exceeded before, and never after, a
// write is answered.
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <map>
#include <thread>

#include "tests/end_to_end/harness/daemon.h"
#include "tests/end_to_end/harness/host.h"

namespace end_to_end {
namespace {

constexpr std::uint16_t capacity_exceeded = 0x81;
constexpr std::uint32_t chunk_blocks = 16;  // of 4096 bytes

struct ThinPool : testing::Test {
  Workplace workplace;

  // A file system of 96 MiB over the pool's directory, which this thread's processes alone see.
  template <class Body>
  void in_small_file_system(const Body& body) {
    std::thread([&] {
      ASSERT_EQ(::unshare(CLONE_NEWNS), 0) << "needs CAP_SYS_ADMIN, as root has";
      ASSERT_EQ(::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
      const std::string place = workplace.path("small");
      ASSERT_EQ(::mkdir(place.c_str(), 0700), 0);
      ASSERT_EQ(::mount("none", place.c_str(), "tmpfs", 0, "size=96m"), 0);
      body(workplace.make_pool("small/pool"));
      EXPECT_EQ(::umount2(place.c_str(), MNT_DETACH), 0);
    }).join();
  }
  [[nodiscard]] ConfigText config(const std::string& pool) {
    ConfigText config = file_config(pool);
    config.pools[0].options = "provisioning: thin, reserve: 16MiB, warn_at: 60%";
    config.caches = {{.name = "front", .path = workplace.make_cache("cache", "64MiB")}};
    config.volumes = {
        {.name = "db", .pool = "disk", .size = "1GiB", .cache = "device: front, max_dirty_age: 1s"},
        {.name = "logs", .pool = "disk", .size = "1GiB"}};
    config.subsystems[0].namespaces = {{.nsid = 1, .volume = "db"}, {.nsid = 2, .volume = "logs"}};
    return config;
  }
};

TEST_F(ThinPool, WritesAreRefusedBeforeTheyAreAnsweredAndNothingAnsweredIsLost) {
  in_small_file_system([this](const std::string& pool) {
    std::map<std::uint64_t, std::uint64_t> written[2];  // chunk -> seed, of NSID 1 and 2
    Daemon daemon(workplace, config(pool));
    ASSERT_TRUE(daemon.start());
    {
      Host host(daemon.endpoint());
      ASSERT_TRUE(host.connected());
      const auto write_chunk = [&](std::uint32_t nsid, std::uint64_t chunk, std::uint64_t seed) {
        const Bytes data = pattern(chunk_blocks * 4096, seed);
        const std::uint16_t status =
            status_of(*host.queue, client::io::write(nsid, chunk * chunk_blocks, data, 4096));
        if (status == 0) written[nsid - 1][chunk] = seed;
        return status;
      };
      // Both volumes, until each is refused.
      bool full[2] = {false, false};
      for (std::uint64_t chunk = 0; !full[0] || !full[1]; ++chunk) {
        ASSERT_LT(chunk, 2000U) << "the file system holds less than that";
        for (const std::uint32_t nsid : {1U, 2U}) {
          const std::uint16_t status = write_chunk(nsid, chunk, 1 + chunk * 2 + nsid);
          ASSERT_TRUE(status == 0 || status == capacity_exceeded) << std::hex << status;
          full[nsid - 1] = full[nsid - 1] || status != 0;
        }
      }
      EXPECT_GT(written[0].size() + written[1].size(), 800U) << "of 64 KiB: 96 MiB less the rest";
      // Overwrites go on, and whatever takes no space.
      EXPECT_EQ(write_chunk(1, 0, 5000), 0);
      EXPECT_EQ(write_chunk(2, 0, 5001), 0);
      EXPECT_EQ(status_of(*host.queue, client::io::write_zeroes(1, 200'000, 16)), 0);
      // Everything finds its place, and the reserve is there still.
      EXPECT_TRUE(daemon.await_status([](const boost::json::value& status) {
        return named(status, "volumes", "db").at("dirty_bytes").to_number<std::uint64_t>() == 0;
      }));
      const auto now = named(daemon.status(), "pools", "disk");
      EXPECT_GE(now.at("free_bytes").to_number<std::uint64_t>(), 32ULL << 20);
      EXPECT_EQ(now.at("reserve_bytes").to_number<std::uint64_t>(), 16ULL << 20);
      EXPECT_EQ(now.at("provisioning").as_string(), "thin");
      EXPECT_EQ(named(daemon.status(), "volumes", "db").at("state").as_string(), "online");
      const Outcome screen =
          run({.arguments = {FOREBAYCTL, "status", "--socket", daemon.config().control_socket}});
      EXPECT_EQ(screen.exit.code, 0) << screen.output;
      EXPECT_NE(screen.output.find("- pool disk: 60% of its file system is used or promised"),
                std::string::npos)
          << screen.output;
      EXPECT_TRUE(daemon.await_log({"pools.disk.warn_at", "60% of its file system is used"}));
    }
    daemon.stop();
    ASSERT_TRUE(daemon.start());
    Host host(daemon.endpoint());
    ASSERT_TRUE(host.connected());
    for (const std::uint32_t nsid : {1U, 2U}) {
      for (const auto& [chunk, seed] : written[nsid - 1]) {
        ASSERT_TRUE(read(*host.queue, nsid, chunk * chunk_blocks, chunk_blocks, 4096) ==
                    pattern(chunk_blocks * 4096, seed))
            << "NSID " << nsid << " chunk " << chunk;
      }
      // What is given back is there for the next.
      for (std::uint64_t lba = 0; lba < 4096; lba += 1024) {
        EXPECT_EQ(status_of(*host.queue, client::io::write_zeroes(nsid, lba, 1024, true)), 0);
      }
    }
    EXPECT_TRUE(daemon.await_status([](const boost::json::value& status) {
      return !named(status, "pools", "disk").at("filling").as_bool();
    }));
    EXPECT_TRUE(daemon.await_log({"pool=disk", "less than 60% of its file system is used again"}));
    const Bytes data = pattern(chunk_blocks * 4096, 9);
    EXPECT_EQ(status_of(*host.queue, client::io::write(2, 200'000, data, 4096)), 0);
  });
}

}  // namespace
}  // namespace end_to_end
