// kill -9 while hosts write: whatever was acknowledged is there after the restart, and what was not
// is either the old or the new block. (This proves recovery after the death of the process only.)
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <map>
#include <thread>

#include "engine/foundation/random.h"
#include "tests/end_to_end/harness/daemon.h"
#include "tests/end_to_end/harness/host.h"

namespace end_to_end {
namespace {

constexpr std::size_t writers = 4;
constexpr std::uint64_t extents = 512;        // of each writer
constexpr std::uint32_t extent_bytes = 8192;  // 2 blocks of 4096 or 16 of 512
constexpr std::size_t depth = 16;
constexpr std::uint16_t aborted_queue_deleted = 0x08;

// One host, its own part of one namespace, and what it knows of each extent: what was acknowledged
// last and the change that was under way when the connection broke. While it writes it also reads
// and compares what it has written before.
class Writer {
 public:
  Writer(std::size_t index, std::uint64_t seed)
      : index_(index), nsid_(index % 2 == 0 ? 1 : 2), random_(seed + index) {}

  void connect(const client::Endpoint& endpoint) {
    const bool digests = index_ < 2;
    host_ = std::make_unique<Host>(
        endpoint, HostOptions{.transport = {.header_digest = digests, .data_digest = digests}});
  }

  // Reads everything and settles what the crash left open.
  void verify() {
    ASSERT_TRUE(host_->connected());
    for (std::uint64_t extent = 0; extent < extents; ++extent) {
      Bytes found = read(*host_->queue, nsid_, lba(extent), blocks(), block_bytes());
      ASSERT_EQ(found.size(), extent_bytes);
      Extent& known = extents_[extent];
      const bool changing = is_change(known.under_way);
      const Bytes newer = changing ? content_after(known.under_way, extent) : known.content;
      // Several blocks are not one atomic write: each of them is old or new.
      for (std::size_t at = 0; at < extent_bytes; at += block_bytes()) {
        ASSERT_TRUE(same(found, known.content, at) || same(found, newer, at))
            << "writer " << index_ << " extent " << extent << " byte " << at
            << (changing ? ": neither the old nor the new block" : ": not what was acknowledged");
      }
      known = {.content = std::move(found)};
    }
  }

  // Until the target dies. Every failure but a broken connection fails the test.
  void write_until_broken() {
    Queue& queue = *host_->queue;
    for (;;) {
      while (queue.in_flight() < depth) {
        if (!submit(queue)) return;
      }
      const auto done = queue.await_any();
      if (!done) {
        using client::ErrorKind;
        const ErrorKind kind = done.error().kind;
        EXPECT_TRUE(kind == ErrorKind::closed || kind == ErrorKind::reset)
            << done.error().describe();
        return;
      }
      // Not started when the target stopped: whoever asks again may have it done.
      if (done.value().kind() == aborted_queue_deleted && !done.value().do_not_retry()) continue;
      ASSERT_TRUE(done.value().ok()) << done.value().describe();
      ASSERT_NO_FATAL_FAILURE(completed(done.value()));
    }
  }

  std::atomic<std::uint64_t> acknowledged{0};

 private:
  enum class Doing : std::uint8_t { nothing, writing, zeroing, deallocating, reading };
  struct Extent {
    Bytes content = Bytes(extent_bytes);  // as acknowledged, or as found after a crash
    Doing under_way = Doing::nothing;     // one at a time: commands that overlap have no order
    std::uint64_t version = 0;            // that is being written
  };

  static bool is_change(Doing what) { return what != Doing::nothing && what != Doing::reading; }
  [[nodiscard]] Bytes content_after(Doing change, std::uint64_t extent) const {
    return change == Doing::writing ? data(extent, extents_[extent].version) : Bytes(extent_bytes);
  }
  [[nodiscard]] std::uint32_t block_bytes() const { return nsid_ == 1 ? 4096 : 512; }
  [[nodiscard]] std::uint32_t blocks() const { return extent_bytes / block_bytes(); }
  // One block off, so that the extents of 512-byte blocks share 4096-byte blocks of the disk.
  [[nodiscard]] std::uint64_t lba(std::uint64_t extent) const {
    return 1 + (index_ / 2 * extents + extent) * blocks();
  }
  [[nodiscard]] Bytes data(std::uint64_t extent, std::uint64_t version) const {
    return pattern(extent_bytes, (index_ * extents + extent) << 32 | version);
  }
  [[nodiscard]] bool same(const Bytes& a, const Bytes& b, std::size_t at) const {
    const auto first = a.begin() + static_cast<std::ptrdiff_t>(at);
    return std::equal(first, first + block_bytes(), b.begin() + static_cast<std::ptrdiff_t>(at));
  }
  // Mostly writes; a sixteenth of zeroing and of deallocation each, a quarter of reads.
  Doing choose() {
    const std::uint64_t chance = random_.below(16);
    if (chance < 4) return Doing::reading;
    if (chance == 4) return Doing::zeroing;
    return chance == 5 ? Doing::deallocating : Doing::writing;
  }
  client::Command command_for(std::uint64_t extent) {
    switch (extents_[extent].under_way) {
      case Doing::reading:
        return client::io::read(nsid_, lba(extent), blocks(), block_bytes());
      case Doing::zeroing:
        return client::io::write_zeroes(nsid_, lba(extent), blocks());
      case Doing::deallocating:
        return client::io::write_zeroes(nsid_, lba(extent), blocks(), true);
      case Doing::writing:
      case Doing::nothing:
        break;
    }
    auto command =
        client::io::write(nsid_, lba(extent), content_after(Doing::writing, extent), block_bytes());
    if (random_.chance(1, 2)) command.transfer = client::Transfer::by_r2t;
    return command;
  }
  bool submit(Queue& queue) {
    std::uint64_t extent = random_.below(extents);
    while (extents_[extent].under_way != Doing::nothing) extent = random_.below(extents);
    extents_[extent].under_way = choose();
    extents_[extent].version = ++version_;
    const auto cid = queue.submit(command_for(extent));
    if (!cid) return false;
    pending_[cid.value()] = extent;
    return true;
  }
  void completed(const client::Completion& done) {
    const std::uint64_t index = pending_[done.cid];
    Extent& extent = extents_[index];
    const Doing was = std::exchange(extent.under_way, Doing::nothing);
    if (was == Doing::reading) {
      ASSERT_TRUE(done.data == extent.content)
          << "writer " << index_ << " extent " << index << ": read is not what was acknowledged";
      return;
    }
    extent.content = content_after(was, index);
    ++acknowledged;
  }

  const std::size_t index_;
  const std::uint32_t nsid_;
  engine::SeededRandom random_;
  std::unique_ptr<Host> host_;
  std::uint64_t version_ = 0;
  std::array<Extent, extents> extents_;
  std::map<std::uint16_t, std::uint64_t> pending_;  // CID -> extent
};

// Dies somewhere on its way to being ready: its own recovery is cut off, too.
void start_and_kill(Daemon& daemon, engine::SeededRandom& random) {
  daemon.launch();
  std::this_thread::sleep_for(std::chrono::microseconds(random.below(60'000)));
  daemon.kill();
}

// Every writer finds what it knows to be written.
void start_and_verify(Daemon& daemon, const std::vector<std::unique_ptr<Writer>>& all) {
  ASSERT_TRUE(daemon.start());
  // What a killed daemon had under way may take its time on a busy disk.
  ASSERT_TRUE(daemon.await_status(
      [](const boost::json::value& status) { return status.at("healthy").as_bool(); }));
  for (const auto& writer : all) {
    writer->connect(daemon.endpoint());
    ASSERT_NO_FATAL_FAILURE(writer->verify());
  }
}

// What the volumes stand on. `granularity`: as PMEM2_FORCE_GRANULARITY has it.
struct Ground {
  const char* name;
  const char* granularity;  // null: no cache
};

class Durability : public testing::TestWithParam<Ground> {
 protected:
  // Volumes are larger than the cache: it fills, writes back and reclaims between the kills.
  [[nodiscard]] ConfigText config() {
    ConfigText config = file_config(workplace.make_pool("pool"));
    config.reactors = 2;
    if (GetParam().granularity == nullptr) return config;
    config.caches = {{.path = workplace.make_cache("cache", "12MiB", environment())}};
    for (VolumeText& volume : config.volumes) volume.cache = "device: front, max_dirty_age: 1s";
    config.volumes.back().cache += ", mode: write-through";
    if (std::string(GetParam().granularity) == "CACHE_LINE") {
      config.volumes.front().cache += ", ordered: journal";
    }
    return config;
  }
  static std::vector<std::string> environment() {
    if (GetParam().granularity == nullptr) return {};
    return {std::string("PMEM2_FORCE_GRANULARITY=") + GetParam().granularity};
  }

  Workplace workplace;
};

INSTANTIATE_TEST_SUITE_P(On, Durability,
                         testing::Values(Ground{"Disk", nullptr}, Ground{"CacheOfPages", "PAGE"},
                                         Ground{"CacheOfLines", "CACHE_LINE"}),
                         [](const auto& ground) { return std::string(ground.param.name); });

TEST_P(Durability, WhatWasAcknowledgedSurvivesKillAfterKill) {
  constexpr std::uint64_t seed = 20261122;
  Daemon daemon(workplace, config());
  daemon.environment = environment();
  std::vector<std::unique_ptr<Writer>> all;
  for (std::size_t i = 0; i < writers; ++i) all.push_back(std::make_unique<Writer>(i, seed));
  engine::SeededRandom random(seed);
  const int kills = rounds(10, 200);
  std::uint64_t total = 0;
  for (int kill = 0; kill <= kills; ++kill) {
    SCOPED_TRACE(fmt::format("seed {}, after {} kills", seed, kill));
    if (random.chance(1, 4)) start_and_kill(daemon, random);
    ASSERT_NO_FATAL_FAILURE(start_and_verify(daemon, all));
    if (kill == kills) break;
    for (const auto& writer : all) writer->acknowledged = 0;
    std::vector<std::thread> threads;
    for (const auto& writer : all) {
      threads.emplace_back([&writer] { writer->write_until_broken(); });
    }
    // Not after a time but after work: each writer has had some acknowledged.
    const std::uint64_t wanted = 20 + random.below(200);
    const auto deadline = SteadyClock::now() + Milliseconds{60'000};
    const auto enough = [&] {
      return std::all_of(all.begin(), all.end(),
                         [&](const auto& writer) { return writer->acknowledged >= wanted; });
    };
    while (!enough() && SteadyClock::now() < deadline) std::this_thread::yield();
    daemon.kill();
    for (std::thread& thread : threads) thread.join();
    EXPECT_TRUE(enough()) << "the writers came to a standstill";
    for (const auto& writer : all) total += writer->acknowledged;
    ASSERT_FALSE(HasFatalFailure());
  }
  daemon.stop();
  EXPECT_GE(total, static_cast<std::uint64_t>(kills) * writers * 20);
  fmt::print("{} kills, {} changes acknowledged, none lost\n", kills, total);
}

// SIGTERM finishes what was accepted, and a clean restart shows it.
TEST_P(Durability, AnOrderlyStopUnderLoadLosesNothing) {
  Daemon daemon(workplace, config());
  daemon.environment = environment();
  std::vector<std::unique_ptr<Writer>> all;
  for (std::size_t i = 0; i < writers; ++i) all.push_back(std::make_unique<Writer>(i, 7));
  for (int round = 0; round < 3; ++round) {
    ASSERT_NO_FATAL_FAILURE(start_and_verify(daemon, all));
    for (const auto& writer : all) writer->acknowledged = 0;
    std::vector<std::thread> threads;
    for (const auto& writer : all) {
      threads.emplace_back([&writer] { writer->write_until_broken(); });
    }
    const auto deadline = SteadyClock::now() + Milliseconds{60'000};
    while (all[0]->acknowledged < 100 && SteadyClock::now() < deadline) std::this_thread::yield();
    daemon.stop();
    for (std::thread& thread : threads) thread.join();
  }
  ASSERT_NO_FATAL_FAILURE(start_and_verify(daemon, all));
}

}  // namespace
}  // namespace end_to_end
