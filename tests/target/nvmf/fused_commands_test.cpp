// Fused Compare and Write: what makes a pair, what each half is answered, and that nobody comes
// between its read and its write.
#include <chrono>
#include <functional>

#include "tests/target/nvmf/io_queue_kit.h"
#include "tests/target/nvmf/manual_clock.h"

namespace target::nvmf {
namespace {

using namespace std::chrono_literals;
using Kind = engine::VolumeIo::Kind;
namespace status = protocol::nvme::status;

struct TimedPair {
  ManualClock clock;
};

class FusedCommands : private TimedPair, public IoQueueTest {
 protected:
  FusedCommands() : IoQueueTest(&(TimedPair::clock)) {}
  using TimedPair::clock;

  static nvme::SubmissionEntry half(IoOpcode opcode, std::uint16_t cid, std::uint64_t lba,
                                    std::uint32_t blocks = 1) {
    auto e = entry(opcode, cid, lba, blocks);
    e.flags |= opcode == IoOpcode::compare ? nvme::fuse_first : nvme::fuse_second;
    return e;
  }
  // Compare 1 and Write 2, by in-capsule data.
  static void run_pair(Path& path, std::uint64_t lba, int expected, int next,
                       std::uint32_t blocks = 1) {
    auto compare = half(IoOpcode::compare, 1, lba, blocks);
    auto write = half(IoOpcode::write, 2, lba, blocks);
    compare.data_pointer.identifier = write.data_pointer.identifier = nvme::sgl_in_capsule;
    path.run(compare, pattern(blocks, expected));
    path.run(write, pattern(blocks, next));
  }
  void expect(Path& path, nvme::Status of_compare, nvme::Status of_write) {
    EXPECT_TRUE(path.status_of(1).is(of_compare)) << nvme::name_of(path.status_of(1));
    EXPECT_TRUE(path.status_of(2).is(of_write)) << nvme::name_of(path.status_of(2));
    EXPECT_TRUE(block_volume.write_order().idle());
    EXPECT_EQ(block_volume.buffers().held(), 0U);
  }
  static bool answered(Path& path, std::uint16_t cid) {
    return path.port.answer_to(cid) != nullptr;
  }
};

TEST_F(FusedCommands, WhatIsEqualIsWritten) {
  Path path(*this);
  write(path, 9, 4, 0x5a, 3);
  run_pair(path, 4, 0x5a, 0x77, 3);
  expect(path, status::success, status::success);
  EXPECT_EQ(volume.block(6)[511], std::byte{0x77});
  EXPECT_EQ(owner.counters().read_commands.load(), 1U);
  EXPECT_EQ(owner.counters().write_commands.load(), 2U);
}

TEST_F(FusedCommands, WhatDiffersIsNotWrittenAndTheErrorLogHasBoth) {
  Path path(*this);
  write(path, 9, 4, 0x5a);
  run_pair(path, 4, 0x5b, 0x77);
  expect(path, status::compare_failure, status::aborted_failed_fused);
  EXPECT_TRUE(path.status_of(2).do_not_retry);
  EXPECT_EQ(volume.block(4)[0], std::byte{0x5a});
  ASSERT_EQ(owner.failures.size(), 2U);
  EXPECT_EQ(owner.failures[0].cid, 1);
  EXPECT_EQ(owner.failures[1].cid, 2);
}

TEST_F(FusedCommands, BothHalvesMayHaveTheirDataFetched) {
  Path path(*this);
  path.port.no_buffers = true;
  path.run(half(IoOpcode::compare, 1, 0));
  EXPECT_TRUE(path.port.waiting.empty()) << "alone it asks for nothing";
  path.run(half(IoOpcode::write, 2, 0));
  ASSERT_EQ(path.port.waiting.size(), 1U) << "one after the other";
  EXPECT_EQ(path.port.waiting[0]->entry.command_id, 1);
  path.port.no_buffers = false;
  path.port.host_data = pattern(1, 0);
  path.port.data_ready = [&path](CommandPermit permit) {
    path.port.host_data = pattern(1, 0x33);
    path.queue.data_ready(std::move(permit));
  };
  path.port.receive_from_host(*path.port.waiting[0], block_bytes);
  expect(path, status::success, status::success);
  EXPECT_EQ(volume.block(0)[5], std::byte{0x33});
}

// A write by anybody that overlaps waits until the pair has been answered.
TEST_F(FusedCommands, NobodyComesBetweenTheReadAndTheWrite) {
  Path path(*this);
  Path other(*this);
  volume.hold = true;
  run_pair(path, 8, 0, 0x77, 2);
  ASSERT_EQ(volume.held().size(), 1U);
  write(other, 7, 9, 0x99);
  EXPECT_EQ(volume.held().size(), 1U);
  volume.end(*volume.held().front());
  ASSERT_EQ(volume.held().size(), 1U);
  EXPECT_EQ(volume.held().front()->kind, Kind::write);
  EXPECT_FALSE(answered(other, 7));
  volume.end(*volume.held().front());
  EXPECT_EQ(volume.block(9)[0], std::byte{0x77});
  reactor.run_until_idle();
  volume.end(*volume.held().front());
  EXPECT_TRUE(other.status_of(7).is_success());
  EXPECT_EQ(volume.block(9)[0], std::byte{0x99});
  expect(path, status::success, status::success);
}

TEST_F(FusedCommands, OfTwoThatCompareTheSameOneWins) {
  Path a(*this);
  Path b(*this);
  volume.hold = true;
  run_pair(a, 8, 0, 0x0a);
  run_pair(b, 8, 0, 0x0b);
  for (int turn = 0; turn < 4; ++turn) {
    while (!volume.held().empty()) volume.end(*volume.held().back());
    reactor.run_until_idle();
  }
  expect(a, status::success, status::success);
  expect(b, status::compare_failure, status::aborted_failed_fused);
  EXPECT_EQ(volume.block(8)[0], std::byte{0x0a});
}

TEST_F(FusedCommands, HalvesThatAreNotNextToEachOtherAreNoPair) {
  Path path(*this);
  path.run(half(IoOpcode::write, 2, 0));
  EXPECT_TRUE(path.status_of(2).is(status::aborted_missing_fused)) << "a second without a first";
  path.run(half(IoOpcode::compare, 1, 0));
  EXPECT_FALSE(answered(path, 1));
  path.run(entry(IoOpcode::read, 3));
  EXPECT_TRUE(path.status_of(1).is(status::aborted_missing_fused)) << "something came between";
  EXPECT_TRUE(path.status_of(3).is_success());
  path.run(half(IoOpcode::write, 4, 0));
  EXPECT_TRUE(path.status_of(4).is(status::aborted_missing_fused));
  path.run(half(IoOpcode::compare, 5, 0));
  path.run(half(IoOpcode::compare, 6, 0));
  EXPECT_TRUE(path.status_of(5).is(status::aborted_missing_fused)) << "two firsts";
  EXPECT_FALSE(answered(path, 6));
  path.run(half(IoOpcode::write, 7, 0));
  EXPECT_TRUE(path.status_of(6).is_success());
  EXPECT_TRUE(path.status_of(7).is_success());
}

TEST_F(FusedCommands, AHostThatSendsOneHalfOnlyIsNotWaitedForForEver) {
  Path path(*this);
  path.run(half(IoOpcode::compare, 1, 0));
  clock.advance(9s);
  reactor.run_until_idle();
  EXPECT_FALSE(answered(path, 1));
  clock.advance(2s);
  reactor.run_until_idle();
  EXPECT_TRUE(path.status_of(1).is(status::aborted_missing_fused));
}

TEST_F(FusedCommands, EveryRefusalOfOneHalfEndsBoth) {
  struct Case {
    const char* name;
    std::function<void(nvme::SubmissionEntry&, nvme::SubmissionEntry&)> damage;
    nvme::Status of_compare;
    nvme::Status of_write;
  };
  const nvme::Status failed = status::aborted_failed_fused;
  const nvme::Status bad = status::invalid_field;
  const Case cases[] = {
      {"other blocks", [](auto&, auto& w) { w.cdw10 = 4; }, bad, bad},
      {"another count", [](auto&, auto& w) { w.cdw12 = 1; }, bad, bad},
      {"another namespace", [](auto&, auto& w) { w.nsid = 2; }, bad, bad},
      {"no namespace", [](auto& c, auto& w) { c.nsid = w.nsid = 2; }, status::invalid_namespace,
       failed},
      {"beyond the end", [](auto& c, auto& w) { c.cdw10 = w.cdw10 = volume_blocks; },
       status::lba_out_of_range, failed},
      {"more than MDTS", [](auto& c, auto& w) { c.cdw12 = w.cdw12 = 2048; }, bad, failed},
      {"a Read as the first", [](auto& c, auto&) { c.opcode = 2; }, bad, failed},
      {"a Compare as the second", [](auto&, auto& w) { w.opcode = 5; }, failed, bad},
      {"SGL of the Compare", [](auto& c, auto&) { c.data_pointer.length = 511; },
       status::data_sgl_length_invalid, failed},
      {"SGL of the Write", [](auto&, auto& w) { w.data_pointer.length = 511; }, failed,
       status::data_sgl_length_invalid},
      {"protection information", [](auto&, auto& w) { w.cdw12 = 1U << 29; }, failed,
       status::invalid_protection_information},
  };
  for (const Case& each : cases) {
    SCOPED_TRACE(each.name);
    Path path(*this);
    auto compare = half(IoOpcode::compare, 1, 0);
    auto write = half(IoOpcode::write, 2, 0);
    each.damage(compare, write);
    volume.seen.clear();
    path.run(compare);
    path.run(write);
    expect(path, each.of_compare, each.of_write);
    EXPECT_TRUE(volume.seen.empty());
  }
}

TEST_F(FusedCommands, WhatTheVolumeSaysGoesToTheHalfThatAskedIt) {
  Path path(*this);
  volume.outcome = engine::IoStatus::media_error;
  run_pair(path, 0, 0, 1);
  expect(path, status::unrecovered_read_error, status::aborted_failed_fused);
  Path other(*this);
  volume.outcome = engine::IoStatus::ok;
  volume.hold = true;
  run_pair(other, 0, 0, 1);
  volume.end(*volume.held().front());
  volume.outcome = engine::IoStatus::read_only;
  volume.end(*volume.held().front());
  expect(other, status::success, status::namespace_write_protected);
  EXPECT_EQ(owner.counters().media_errors.load(), 1U);
  volume.hold = false;
  space.ana_state = AnaState::inaccessible;
  Path moved(*this);
  run_pair(moved, 0, 0, 1);
  expect(moved, status::ana_inaccessible, status::ana_inaccessible);
}

TEST_F(FusedCommands, WhatWaitsCanBeAbortedByEitherHalf) {
  for (const std::uint16_t cid : {std::uint16_t{1}, std::uint16_t{2}}) {
    Path path(*this);
    Path other(*this);
    volume.hold = true;
    write(other, 7, 0, 1);
    run_pair(path, 0, 0, 2);
    ASSERT_EQ(volume.held().size(), 1U);
    EXPECT_TRUE(path.queue.abort(cid));
    EXPECT_TRUE(path.status_of(cid).is(status::abort_requested));
    const auto partner = static_cast<std::uint16_t>(3 - cid);
    EXPECT_TRUE(path.status_of(partner).is(status::aborted_failed_fused));
    EXPECT_FALSE(path.status_of(partner).do_not_retry);
    volume.end(*volume.held().front());
    EXPECT_TRUE(volume.held().empty());
  }
  Path alone(*this);
  alone.run(half(IoOpcode::compare, 1, 0));
  EXPECT_TRUE(alone.queue.abort(1));
  EXPECT_TRUE(alone.status_of(1).is(status::abort_requested));
  alone.run(half(IoOpcode::write, 2, 0));
  EXPECT_TRUE(alone.status_of(2).is(status::aborted_failed_fused));
}

TEST_F(FusedCommands, AnEndBetweenTheReadAndTheWriteWritesNothing) {
  Path path(*this);
  volume.hold = true;
  run_pair(path, 0, 0, 2);
  path.queue.end();
  volume.end(*volume.held().front());
  EXPECT_TRUE(volume.held().empty());
  expect(path, status::aborted_queue_deleted, status::aborted_queue_deleted);
  Path alone(*this);
  alone.run(half(IoOpcode::compare, 1, 0));
  alone.queue.end();
  EXPECT_TRUE(alone.status_of(1).is(status::aborted_queue_deleted));
}

// The connection answers one half itself: its data did not come, or its capsule was not executed.
TEST_F(FusedCommands, AHalfThatTheConnectionAnswersTakesTheOtherAlong) {
  Path path(*this);
  path.port.no_buffers = true;
  path.run(half(IoOpcode::compare, 1, 0));
  path.run(half(IoOpcode::write, 2, 0));
  ASSERT_EQ(path.port.waiting.size(), 1U);
  path.queue.partner_lost(*path.port.waiting[0]);
  EXPECT_TRUE(path.status_of(2).is(status::aborted_failed_fused));
  EXPECT_FALSE(path.status_of(2).do_not_retry);
  EXPECT_FALSE(answered(path, 1));
  path.port.respond(*path.port.waiting[0], status::transient_transport_error, 0);

  path.run(half(IoOpcode::compare, 11, 0));
  path.queue.not_executed(half(IoOpcode::write, 12, 0));
  EXPECT_TRUE(path.status_of(11).is(status::aborted_failed_fused));
  path.queue.not_executed(half(IoOpcode::compare, 13, 0));
  path.run(half(IoOpcode::write, 14, 0));
  EXPECT_TRUE(path.status_of(14).is(status::aborted_failed_fused));
  path.run(half(IoOpcode::compare, 15, 0));
  path.queue.not_executed(entry(IoOpcode::write, 16));
  EXPECT_TRUE(path.status_of(15).is(status::aborted_missing_fused));
}

TEST_F(FusedCommands, ItPaysForBothHalves) {
  block_volume.limiter().set_limits({.read_commands = 10, .write_commands = 5}, clock.now());
  Path path(*this);
  run_pair(path, 0, 0, 1);
  EXPECT_TRUE(answered(path, 2));
  Path next(*this);
  run_pair(next, 0, 1, 2);
  EXPECT_FALSE(answered(next, 1));
  clock.advance(100ms);
  reactor.run_until_idle();
  reactor.run_until_idle();
  EXPECT_FALSE(answered(next, 1)) << "its read is paid for, its write not";
  clock.advance(200ms);
  reactor.run_until_idle();
  reactor.run_until_idle();
  expect(next, status::success, status::success);
}

}  // namespace
}  // namespace target::nvmf
