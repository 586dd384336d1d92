// A data path that is full. What is left for others is the machine's too: nothing runs beside this.
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "tests/end_to_end/harness/attacker.h"
#include "tests/end_to_end/harness/bystander.h"
#include "tests/end_to_end/harness/daemon.h"

namespace end_to_end {
namespace {

Milliseconds since(SteadyClock::time_point begin) {
  return std::chrono::duration_cast<Milliseconds>(SteadyClock::now() - begin);
}

// The data path is full; a controller that does nothing but keep itself alive is served in time,
// and so are its other admin commands.
TEST(Timeouts, KeepAliveIsServedWhileTheDataPathIsSaturated) {
  Workplace workplace;
  Daemon daemon(workplace, attack_config());
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
  for (int i = 0; i < connections; ++i) {
    hosts.push_back(std::make_unique<Host>(daemon.endpoint()));
    ASSERT_TRUE(hosts.back()->connected());
  }
  for (int i = 0; i < connections; ++i) {
    threads.emplace_back([&stop, &done, &queue = *hosts[static_cast<std::size_t>(i)]->queue] {
      const Bytes data = pattern(32768, 1);
      for (std::uint64_t lba = 0; !stop; lba = (lba + 8) % 8192) {
        while (queue.in_flight() < 127) {
          if (!queue.submit(lba % 16 == 0 ? client::io::write(1, lba, data, 4096)
                                          : client::io::read(1, lba, 8, 4096))) {
            return;
          }
        }
        if (!queue.await_any()) return;
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
    EXPECT_GOOD(idle->active_namespaces());
    EXPECT_LE(since(begin).count(), longest_reply.count()) << "keep-alive " << beat;
    EXPECT_TRUE(idle->admin().raw().stays_silent(Milliseconds{kato_ms / 2}));
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
  EXPECT_GT(done, 1'000U) << "the data path was not busy";
}

}  // namespace
}  // namespace end_to_end
