// Who is late is disconnected, when the configuration says so and not before; who is not late
// stays.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <thread>

#include "tests/end_to_end/harness/attacker.h"
#include "tests/end_to_end/harness/bystander.h"
#include "tests/end_to_end/harness/daemon.h"

namespace end_to_end {
namespace {

// A machine may be slow; a time-out must not be early.
constexpr Milliseconds slack{5'000};

Milliseconds since(SteadyClock::time_point begin) {
  return std::chrono::duration_cast<Milliseconds>(SteadyClock::now() - begin);
}

ConfigText short_times(const char* times) {
  ConfigText config = attack_config();
  config.listeners = {{.options = times}};
  return config;
}

// Waits for the end of the connection, which must come within [limit, limit + slack].
void expect_end_after(Attacker& attacker, SteadyClock::time_point begin, Milliseconds limit) {
  ASSERT_GOOD(attacker.raw().await_end(limit + slack));
  EXPECT_GE(since(begin).count(), limit.count() - 20);
}

TEST(Timeouts, NoIcReq) {
  Workplace workplace;
  Daemon daemon(workplace, short_times("icreq_timeout: 500ms"));
  ASSERT_TRUE(daemon.start());
  Bystander bystander(daemon.endpoint());
  {
    const auto begin = SteadyClock::now();
    Attacker silent(daemon.endpoint(), Stage::fresh);
    ASSERT_TRUE(silent.ready());
    expect_end_after(silent, begin, Milliseconds{500});
  }
  {  // Byte by byte does not help: the time counts from the connection.
    Attacker slow(daemon.endpoint(), Stage::fresh);
    ASSERT_TRUE(slow.ready());
    const auto begin = SteadyClock::now();
    const Bytes request = client::encode(client::to_pdu(client::IcRequest{}), {});
    std::size_t sent = 0;
    while (sent < request.size() && slow.raw().stays_silent(Milliseconds{40}) &&
           slow.raw().send(std::span(request).subspan(sent, 1))) {
      ++sent;
    }
    EXPECT_LT(sent, request.size());
    EXPECT_LE(since(begin).count(), (Milliseconds{500} + slack).count());
  }
  daemon.await_log({"127.0.0.1", "reason="});
  bystander.expect_undisturbed();
}

TEST(Timeouts, NoConnect) {
  Workplace workplace;
  Daemon daemon(workplace, short_times("connect_timeout: 500ms"));
  ASSERT_TRUE(daemon.start());
  const auto begin = SteadyClock::now();
  Attacker silent(daemon.endpoint(), Stage::negotiated);
  Attacker refused(daemon.endpoint(), Stage::negotiated);
  Attacker connected(daemon.endpoint(), Stage::io);
  ASSERT_TRUE(silent.ready() && refused.ready() && connected.ready());
  (void)refused.queue().connect({.host_id = {std::byte{1}},
                                 .subsystem_nqn = "nqn.2026-11.com.example:none",
                                 .host_nqn = "nqn.2026-11.com.example:h"});
  expect_end_after(silent, begin, Milliseconds{500});
  EXPECT_GOOD(refused.raw().await_end(Milliseconds{500} + slack));
  // Who has connected may be silent.
  EXPECT_TRUE(connected.raw().stays_silent(Milliseconds{1'000}));
  write_and_read_back(connected.queue(), 1, 0, 1, 4096, 1);
}

TEST(Timeouts, AHostThatOwesBytes) {
  Workplace workplace;
  Daemon daemon(workplace, short_times("idle_timeout: 1s"));
  ASSERT_TRUE(daemon.start());
  Bystander bystander(daemon.endpoint());
  auto command = client::io::write(1, 0, Bytes(4096), 4096);
  command.entry.sgl(client::sgl_in_capsule, 0, 4096).cid(5);
  for (const std::size_t stop_at : {1U, 8U, 71U, 72U, 1000U}) {
    SCOPED_TRACE(fmt::format("stops after {} bytes of a capsule", stop_at));
    Attacker attacker(daemon.endpoint(), Stage::io);
    ASSERT_TRUE(attacker.ready());
    const Bytes capsule = client::encode(
        client::command_capsule(command.entry.bytes(), command.data_out), attacker.raw().outgoing);
    const auto begin = SteadyClock::now();
    ASSERT_GOOD(attacker.raw().send(std::span(capsule).first(stop_at)));
    expect_end_after(attacker, begin, Milliseconds{1'000});
  }
  {  // The data of a write that the target has asked for.
    Attacker attacker(daemon.endpoint(), Stage::io);
    ASSERT_TRUE(attacker.ready());
    auto held = client::io::write(1, 0, Bytes(65536), 4096);
    held.hold_data = true;
    const auto begin = SteadyClock::now();
    const auto cid = attacker.queue().submit(std::move(held));
    ASSERT_GOOD(cid);
    ASSERT_GOOD(attacker.queue().await_r2t(cid.value()));
    expect_end_after(attacker, begin, Milliseconds{1'000});
  }
  {  // Who owes nothing may be silent as long as it likes.
    Attacker idle(daemon.endpoint(), Stage::io);
    ASSERT_TRUE(idle.ready());
    EXPECT_TRUE(idle.raw().stays_silent(Milliseconds{2'500}));
    write_and_read_back(idle.queue(), 1, 0, 1, 4096, 1);
  }
  bystander.expect_undisturbed();
}

TEST(Timeouts, AHostThatClosesItsHalfInTheMiddleIsDropped) {
  Workplace workplace;
  Daemon daemon(workplace, attack_config());
  ASSERT_TRUE(daemon.start());
  for (const Stage stage : {Stage::fresh, Stage::negotiated, Stage::admin, Stage::io}) {
    Attacker attacker(daemon.endpoint(), stage);
    ASSERT_TRUE(attacker.ready());
    ASSERT_GOOD(attacker.raw().send(Bytes(3, std::byte{4})));
    attacker.raw().half_close();
    attacker.await_end();
  }
}

// KATO of one host: all of its queues end, and nobody else's.
TEST(Timeouts, KeepAliveEndsTheWholeAssociationAndNoOther) {
  Workplace workplace;
  Daemon daemon(workplace, attack_config());
  ASSERT_TRUE(daemon.start());
  Bystander bystander(daemon.endpoint());
  constexpr std::uint32_t kato_ms = 1'500;
  const auto begin = SteadyClock::now();
  auto dying = attach(daemon.endpoint(), {.subsystem = prey_subsystem, .keep_alive_ms = kato_ms});
  auto living = attach(daemon.endpoint(), {.subsystem = prey_subsystem, .keep_alive_ms = kato_ms});
  ASSERT_TRUE(dying && living);
  std::vector<std::unique_ptr<Queue>> queues;
  for (std::uint16_t id = 1; id <= 3; ++id) {
    queues.push_back(open_queue(*dying, id, 32));
    ASSERT_TRUE(queues.back());
  }
  const auto spare = open_queue(*living, 1, 32);
  ASSERT_TRUE(spare);
  std::atomic<bool> stop{false};
  std::string trouble;
  std::thread keeper([&] {
    while (!stop) {
      const auto kept = living->keep_alive();
      if (!kept) {
        trouble = kept.error().describe();
        return;
      }
      std::this_thread::sleep_for(Milliseconds{200});
    }
  });
  for (const auto& queue : queues) {
    EXPECT_GOOD(queue->raw().await_end(Milliseconds{kato_ms} * 2 + slack));
  }
  EXPECT_GOOD(dying->admin().raw().await_end(slack));
  EXPECT_GE(since(begin).count(), kato_ms);
  stop = true;
  keeper.join();
  EXPECT_EQ(trouble, "");
  write_and_read_back(*spare, 1, 0, 1, 4096, 1);
  daemon.await_log({dying->options().host_nqn, "keep-alive"});
  // The same host may come back at once.
  Host again(daemon.endpoint(),
             {.subsystem = prey_subsystem, .host_nqn = dying->options().host_nqn});
  ASSERT_TRUE(again.connected());
  write_and_read_back(*again.queue, 1, 0, 1, 4096, 2);
  bystander.expect_undisturbed();
}

TEST(Timeouts, WithoutKatoAnIdleHostStays) {
  Workplace workplace;
  Daemon daemon(workplace, attack_config());
  ASSERT_TRUE(daemon.start());
  const auto controller = attach(daemon.endpoint(), {.keep_alive_ms = 0});
  ASSERT_TRUE(controller);
  EXPECT_TRUE(controller->admin().raw().stays_silent(Milliseconds{3'000}));
  EXPECT_GOOD(controller->keep_alive());
}

}  // namespace
}  // namespace end_to_end
