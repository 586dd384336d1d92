// Controllers whose I/O is held by a volume that does not answer: Abort and keep-alive.
#include <gtest/gtest.h>

#include "target/nvmf/controller.h"
#include "tests/target/nvmf/held_volume.h"
#include "tests/target/nvmf/target_harness.h"

namespace target::nvmf {
namespace {

using namespace std::chrono_literals;

class HeldIo : public TargetHarness {
 protected:
  // A namespace holds its volume, and the target outlives these here.
  ~HeldIo() override { (void)target.remove_namespace(subsystem_a, 9); }
  nvme::SubmissionEntry write(std::uint64_t lba) {
    auto entry = entry_of(std::uint8_t{0x01}, 4096);
    entry.nsid = 9;
    entry.cdw10 = static_cast<std::uint32_t>(lba);
    return entry;
  }
  HeldVolume held{engine::BlockSize{4096}, 64};
  block::BlockVolume block_held{held};
};

TEST_F(HeldIo, WaitingWriteIsAbortedAndRunningOneIsNot) {
  held.hold = true;
  EXPECT_TRUE(target.add_namespace(subsystem_a, {.nsid = 9, .volume = &block_held, .hosts = {}}));
  auto made = admin();
  auto queue = io(1);
  EXPECT_EQ(queue->run(write(5)), nullptr);
  const auto running = queue->last_command();
  EXPECT_EQ(queue->run(write(5)), nullptr);
  const auto waiting = queue->last_command();

  made->run(abort_entry(1, waiting));
  const auto first = made->last_command();
  made->run(abort_entry(1, running));
  const auto second = made->last_command();
  reactor.run_until_idle();
  EXPECT_EQ(made->port.answer_to(first)->result, nvme::abort_done);
  ASSERT_NE(queue->port.answer_to(waiting), nullptr);
  EXPECT_EQ(queue->port.answer_to(waiting)->status.code, status::abort_requested.code);
  EXPECT_EQ(made->port.answer_to(second)->result, nvme::abort_not_done);
  EXPECT_EQ(queue->port.answer_to(running), nullptr);
  held.end(*held.held().front());
  EXPECT_EQ(queue->port.answer_to(running)->status, status::success);
}

TEST_F(HeldIo, ExpiredKeepAliveCancelsWhatHasNotStarted) {
  held.hold = true;
  EXPECT_TRUE(target.add_namespace(subsystem_a, {.nsid = 9, .volume = &block_held, .hosts = {}}));
  auto made = admin({.keep_alive_ms = 1000});
  auto queue = io(1);
  queue->run(write(5));
  const auto running = queue->last_command();
  queue->run(write(5));
  const auto waiting = queue->last_command();
  for (int i = 0; i < 3; ++i) pass(1s);
  EXPECT_TRUE(queue->ended());
  ASSERT_NE(queue->port.answer_to(waiting), nullptr);
  EXPECT_EQ(queue->port.answer_to(waiting)->status.code, status::aborted_queue_deleted.code);
  EXPECT_EQ(queue->port.answer_to(running), nullptr);
  held.end(*held.held().front());
  EXPECT_NE(queue->port.answer_to(running), nullptr) << "answered into nothing";
}

// As RetiredVolumes has it asked for, every second.
TEST_F(HeldIo, ARemovedNamespaceIsKeptUntilItsLastCommandHasEnded) {
  EXPECT_TRUE(target.add_namespace(subsystem_a, {.nsid = 9, .volume = &block_held, .hosts = {}}));
  auto made = admin();
  auto busy = io(1);
  auto idle = io(2);
  EXPECT_EQ(idle->must(write(1)).status, status::success);
  held.hold = true;
  busy->run(write(5));
  const auto running = busy->last_command();
  EXPECT_TRUE(target.remove_namespace(subsystem_a, 9));
  const auto forget = [&] {
    target.forget_removed_namespaces();
    reactor.run_until_idle();
  };
  forget();
  EXPECT_TRUE(block_held.holds().is_held()) << "a command is under way";
  EXPECT_EQ(idle->must(write(1)).status.code, status::invalid_namespace.code);
  held.end(*held.held().front());
  EXPECT_EQ(busy->port.answer_to(running)->status, status::success);
  EXPECT_TRUE(block_held.holds().is_held()) << "the queue may use it again, as far as it knows";
  forget();
  EXPECT_FALSE(block_held.holds().is_held()) << "neither the queues nor their controller keep it";
  EXPECT_TRUE(block_held.write_order().idle());
}

// The association that saturates itself: every command it may have waits, for a disk that does not
// answer or for a buffer that nobody gives back, and there is no memory left.
TEST_F(HeldIo, KeepAliveHoldsASaturatedAssociationWithoutBuffers) {
  held.hold = true;
  EXPECT_TRUE(target.add_namespace(subsystem_a, {.nsid = 9, .volume = &block_held, .hosts = {}}));
  auto made = admin({.keep_alive_ms = 5000});
  auto queue = io(1, {.sqsize = 63});
  for (std::uint64_t i = 0; i < 32; ++i) EXPECT_EQ(queue->run(write(i % 4)), nullptr);
  queue->port.no_buffers = true;
  for (std::uint64_t i = 0; i < 32; ++i) EXPECT_EQ(queue->run(write(i % 4)), nullptr);
  std::vector<engine::BufferLease> everything;
  auto& buffers = reactor.get().lane().buffers();
  for (std::size_t bytes = 1U << 20; bytes >= 4096; bytes /= 2) {
    while (auto lease = buffers.lease({bytes})) everything.push_back(std::move(*lease));
  }
  made->port.no_buffers = true;
  EXPECT_EQ(made->run(identify_entry(1)), nullptr) << "Identify waits, Keep Alive does not";
  const auto waiting = made->last_command();
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(made->must(entry_of(nvme::AdminOpcode::keep_alive)).status, status::success);
    pass(4900ms);
    ASSERT_FALSE(made->port.ended) << i;
  }
  EXPECT_EQ(made->must(abort_entry(0, waiting)).result, nvme::abort_done);
  EXPECT_EQ(queue->port.waiting.size(), 32U);
  // What waits is no traffic: a host that falls silent now is gone.
  for (int i = 0; i < 3; ++i) pass(5s);
  EXPECT_EQ(made->port.ended, EndReason::keep_alive_timeout);
  EXPECT_TRUE(queue->ended());
  while (!held.held().empty()) {
    held.end(*held.held().front());
    reactor.run_until_idle();
  }
}

}  // namespace
}  // namespace target::nvmf
