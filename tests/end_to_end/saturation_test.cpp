// A data path that is full. What is left for others is the machine's too: nothing runs beside this.
#include <gtest/gtest.h>

#include <atomic>
#include <boost/json.hpp>
#include <thread>

#include "tests/end_to_end/harness/attacker.h"
#include "tests/end_to_end/harness/bystander.h"
#include "tests/end_to_end/harness/daemon.h"

namespace end_to_end {
namespace {

Milliseconds since(SteadyClock::time_point begin) {
  return std::chrono::duration_cast<Milliseconds>(SteadyClock::now() - begin);
}

// Whatever else a host asks of its admin queue.
void ask_admin(Controller& controller) {
  EXPECT_GOOD(controller.active_namespaces());
  EXPECT_GOOD(controller.identify({.cns = 1}));
  EXPECT_GOOD(controller.read_log({.lid = 0x01, .bytes = 512}));
  EXPECT_GOOD(controller.read_log({.lid = 0x02, .bytes = 512}));
  EXPECT_GOOD(controller.read_log({.lid = 0x0c, .bytes = 1024}));
  EXPECT_GOOD(controller.feature(0x07));
}

// All queues are full, of one volume as fast as it goes, of another as its limits let it; a
// controller that does nothing but keep itself alive is served in time, and so are the admin queues
// of those that fill them.
TEST(Timeouts, KeepAliveIsServedWhileTheDataPathIsSaturated) {
  Workplace workplace;
  ConfigText config = attack_config();
  config.volumes[1].qos = "iops: 400";
  Daemon daemon(workplace, config);
  ASSERT_TRUE(daemon.start());
  constexpr std::uint32_t kato_ms = 5'000;
  const auto idle =
      attach(daemon.endpoint(), {.subsystem = prey_subsystem, .keep_alive_ms = kato_ms});
  ASSERT_TRUE(idle);
  std::atomic<bool> stop{false};
  std::atomic<std::uint64_t> done{0};
  std::vector<std::unique_ptr<Host>> hosts;
  std::vector<std::thread> threads;
  constexpr int connections = 8;
  constexpr int limited = 2;  // of them: their commands wait for most of a second
  for (int i = 0; i < connections; ++i) {
    hosts.push_back(
        std::make_unique<Host>(daemon.endpoint(), HostOptions{.keep_alive_ms = 4 * kato_ms}));
    ASSERT_TRUE(hosts.back()->connected());
  }
  std::atomic<int> failed{0};
  for (int i = 0; i < connections; ++i) {
    const std::uint32_t nsid = i < limited ? 2 : 1;
    threads.emplace_back(
        [&stop, &done, &failed, nsid, &queue = *hosts[static_cast<std::size_t>(i)]->queue] {
          const std::uint32_t block_bytes = nsid == 1 ? 4096 : 512;
          const Bytes data = pattern(8 * block_bytes, 1);
          for (std::uint64_t lba = 0; !stop; lba = (lba + 8) % 8192) {
            while (queue.in_flight() < 127) {
              if (!queue.submit(lba % 16 == 0 ? client::io::write(nsid, lba, data, block_bytes)
                                              : client::io::read(nsid, lba, 8, block_bytes))) {
                ++failed;
                return;
              }
            }
            const auto ended = queue.await_any();
            if (!ended || !ended.value().ok()) {
              ++failed;
              return;
            }
            ++done;
          }
        });
  }
  // At half of KATO each, as a host would send them, over several times KATO; in the long form an
  // hour.
  constexpr int hour = 3'600'000 / (kato_ms / 2);
  const int beats = rounds(5, hour);
  for (int beat = 0; beat < beats; ++beat) {
    const auto begin = SteadyClock::now();
    EXPECT_GOOD(idle->keep_alive());
    EXPECT_LE(since(begin).count(), kato_ms / 2) << "keep-alive " << beat;
    ask_admin(*idle);
    EXPECT_LT(since(begin).count(), kato_ms) << "beat " << beat;
    for (const auto& host : hosts) EXPECT_GOOD(host->controller->keep_alive());
    ask_admin(*hosts[static_cast<std::size_t>(beat % connections)]->controller);
    EXPECT_LT(since(begin).count(), 4 * kato_ms) << "all of them, beat " << beat;
    EXPECT_EQ(failed, 0);
    if (testing::Test::HasFailure()) break;
    EXPECT_TRUE(idle->admin().raw().stays_silent(Milliseconds{kato_ms / 2}));
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
  EXPECT_GT(done, 1'000U) << "the data path was not busy";
  EXPECT_EQ(failed, 0);
  const auto held = named(daemon.status(), "volumes", "small").at("qos");
  EXPECT_GT(held.at("reads_held_total").to_number<int>(), 100) << "the limits held nothing back";
}

}  // namespace
}  // namespace end_to_end
