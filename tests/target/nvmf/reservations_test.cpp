// Reservations as two NVMe hosts meet them: commands, what they are kept from, and what is aborted.
#include "target/block/reservations.h"

#include <gtest/gtest.h>

#include <cstring>
#include <memory>

#include "tests/target/nvmf/io_queue_kit.h"

namespace target::nvmf {
namespace {

using block::ReservationType;
namespace status = nvme::status;

class NvmeReservations : public IoQueueTest {
 protected:
  // A host with one queue.
  struct Host {
    Host(NvmeReservations& test, std::uint64_t number) : port(test.reactor.get()) {
      owner.host = block::test_host(number);
      owner.namespaces[1] = &test.space;
      port.data_ready = [this](CommandPermit permit) { queue.data_ready(std::move(permit)); };
    }
    FakeOwner owner;
    FakePort port;
    IoQueue queue{owner, port, 1};
    std::uint16_t cid = 100;
  };

  static std::vector<std::byte> keys(std::uint64_t first, std::uint64_t second = 0) {
    const std::array<nvme::wire_types::U64, 2> both{nvme::wire_types::U64(first),
                                                    nvme::wire_types::U64(second)};
    std::vector<std::byte> bytes(sizeof(both));
    std::memcpy(bytes.data(), both.data(), bytes.size());
    return bytes;
  }
  // The answer, or nullopt while there is none.
  std::optional<nvme::Status> answer(Host& host, std::uint16_t cid) {
    reactor.run_until_idle();
    const auto* const found = host.port.answer_to(cid);
    return found == nullptr ? std::nullopt : std::optional(found->status);
  }
  std::uint16_t start(Host& host, IoOpcode opcode, std::uint32_t dword10, std::uint64_t key,
                      std::uint64_t other = 0) {
    auto e = entry(opcode, ++host.cid);
    e.cdw10 = dword10;
    e.cdw11 = 0;
    e.cdw12 = 0;
    e.data_pointer.length = 16;
    host.port.host_data = keys(key, other);
    host.queue.execute(CommandPermit(host.port.command(e)));
    return host.cid;
  }
  nvme::Status run(Host& host, IoOpcode opcode, std::uint32_t dword10, std::uint64_t key,
                   std::uint64_t other = 0) {
    const auto cid = start(host, opcode, dword10, key, other);
    return answer(host, cid).value_or(status::internal_error);
  }
  std::uint16_t start_io(Host& host, IoOpcode opcode, std::uint64_t lba = 0) {
    host.port.host_data = pattern(1, 7);
    host.queue.execute(CommandPermit(host.port.command(entry(opcode, ++host.cid, lba))));
    return host.cid;
  }
  nvme::Status io(Host& host, IoOpcode opcode) {
    const auto cid = start_io(host, opcode);
    return answer(host, cid).value_or(status::internal_error);
  }
  void register_both() {
    ASSERT_EQ(run(a, IoOpcode::reservation_register, 0, 0, 0xa), status::success);
    ASSERT_EQ(run(b, IoOpcode::reservation_register, 0, 0, 0xb), status::success);
  }
  static std::uint32_t acquire(unsigned action, ReservationType type) {
    return action | (static_cast<std::uint32_t>(type) << 8);
  }

  Host a{*this, 0xa};
  Host b{*this, 0xb};
};

TEST_F(NvmeReservations, WhoHoldsItKeepsTheOtherOut) {
  register_both();
  const auto opcode = IoOpcode::reservation_acquire;
  ASSERT_EQ(run(a, opcode, acquire(0, ReservationType::write_exclusive), 0xa), status::success);
  EXPECT_EQ(io(a, IoOpcode::write), status::success);
  EXPECT_EQ(io(b, IoOpcode::read), status::success);
  for (const auto refused :
       {IoOpcode::write, IoOpcode::write_zeroes, IoOpcode::write_uncorrectable, IoOpcode::flush}) {
    EXPECT_TRUE(io(b, refused).is(status::reservation_conflict)) << static_cast<int>(refused);
  }
  EXPECT_EQ(b.owner.failures.back().status, status::reservation_conflict);
  ASSERT_EQ(run(a, IoOpcode::reservation_release, 1U << 8, 0xa), status::success);
  ASSERT_EQ(run(b, opcode, acquire(0, ReservationType::exclusive_access), 0xb), status::success);
  for (const auto refused : {IoOpcode::read, IoOpcode::compare, IoOpcode::verify}) {
    EXPECT_TRUE(io(a, refused).is(status::reservation_conflict)) << static_cast<int>(refused);
  }
}

TEST_F(NvmeReservations, AWriteWhoseDataComesAfterTheReservationIsNotDone) {
  register_both();
  a.port.no_buffers = true;
  const auto cid = start_io(a, IoOpcode::write);
  ASSERT_EQ(
      run(b, IoOpcode::reservation_acquire, acquire(0, ReservationType::exclusive_access), 0xb),
      status::success);
  a.port.no_buffers = false;
  nvmf::Command& waiting = *a.port.waiting.front();
  a.port.receive_from_host(waiting, block_bytes);
  EXPECT_TRUE(answer(a, cid)->is(status::reservation_conflict));
  EXPECT_TRUE(volume.seen.empty());
}

TEST_F(NvmeReservations, EachStatusOfTheCommandsThemselves) {
  EXPECT_TRUE(
      run(a, IoOpcode::reservation_acquire, acquire(0, ReservationType::write_exclusive), 0xa)
          .is(status::reservation_conflict));
  EXPECT_TRUE(run(a, IoOpcode::reservation_register, 0, 0, 0).is(status::invalid_field));
  register_both();
  EXPECT_TRUE(run(a, IoOpcode::reservation_register, 0, 0, 0xaa).is(status::reservation_conflict));
  EXPECT_EQ(run(a, IoOpcode::reservation_register, 2, 0xa, 0xaa), status::success);
  EXPECT_EQ(run(a, IoOpcode::reservation_register, 2 | (1U << 3), 0xbad, 0xa), status::success);
  ASSERT_EQ(
      run(a, IoOpcode::reservation_acquire, acquire(0, ReservationType::write_exclusive), 0xa),
      status::success);
  EXPECT_TRUE(run(a, IoOpcode::reservation_release, 2U << 8, 0xa).is(status::invalid_field))
      << "another type than it has";
  EXPECT_EQ(run(b, IoOpcode::reservation_release, 1, 0xb), status::success) << "clear";
  EXPECT_TRUE(run(a, IoOpcode::reservation_register, 1, 0xa).is(status::reservation_conflict));
}

TEST_F(NvmeReservations, TheReportShowsBothProtocols) {
  register_both();
  struct Nobody final : block::ReservationListener {
    void reservation_notice(block::ReservationNotice) noexcept override {}
    void abort_commands(block::AbortTicket) noexcept override {}
  } nobody;
  const auto nexus = block::test_nexus("iqn.2026-11.com.example:n", 1);
  const block::ReservationPath path(block_volume.reservations(), nexus, nobody);
  block_volume.reservations().change(path, block::change::Register{.new_key = 0xc}, std::nullopt,
                                     [](auto) {});
  block_volume.reservations().change(
      path, block::change::Reserve{0xc, ReservationType::write_exclusive_registrants_only},
      std::nullopt, [](auto) {});
  auto e = entry(IoOpcode::reservation_report, 1);
  e.cdw10 = 63;
  e.cdw11 = 1;
  e.cdw12 = 0;
  e.data_pointer.length = 256;
  a.queue.execute(CommandPermit(a.port.command(e)));
  ASSERT_EQ(answer(a, 1), status::success);
  const auto& page = a.port.answer_to(1)->data;
  ASSERT_EQ(page.size(), 256U) << "as much as was asked for, whatever there is";
  EXPECT_EQ(std::to_integer<int>(page[0]), 3) << "generation";
  EXPECT_EQ(std::to_integer<int>(page[4]), 3) << "type";
  EXPECT_EQ(std::to_integer<int>(page[5]), 3) << "registrants";
  EXPECT_EQ(std::to_integer<int>(page[64 + 8]), 0xa);
  EXPECT_EQ(std::memcmp(page.data() + 64 + 16, a.owner.host.bytes().data(), 16), 0);
  const auto id = nexus.as_host_id();
  EXPECT_EQ(std::to_integer<int>(page[64 * 3 + 2]), 1) << "holds it";
  EXPECT_EQ(std::memcmp(page.data() + 64 * 3 + 16, id.data(), 16), 0);
}

TEST_F(NvmeReservations, PreemptAndAbortWaitsForWhatIsUnderWayAndEndsWhatWaits) {
  register_both();
  volume.hold = true;
  const auto under_way = start_io(a, IoOpcode::write, 5);
  const auto behind_it = start_io(a, IoOpcode::write, 5);
  ASSERT_EQ(volume.held().size(), 1U);
  const auto preempt = start(b, IoOpcode::reservation_acquire,
                             acquire(2, ReservationType::exclusive_access), 0xb, 0xa);
  EXPECT_EQ(answer(b, preempt), std::nullopt) << "the write may still reach the disk";
  EXPECT_TRUE(answer(a, behind_it)->is(status::aborted_preempted));
  // Once more: both wait for the same write.
  ASSERT_EQ(run(a, IoOpcode::reservation_register, 0, 0, 0xa), status::success);
  const auto again = start(b, IoOpcode::reservation_acquire,
                           acquire(2, ReservationType::exclusive_access), 0xb, 0xa);
  EXPECT_EQ(answer(b, again), std::nullopt);
  volume.end(*volume.held().front());
  EXPECT_EQ(answer(a, under_way), status::success);
  EXPECT_EQ(answer(b, preempt), status::success);
  EXPECT_EQ(answer(b, again), status::success);
  volume.hold = false;
}

TEST_F(NvmeReservations, CommandsOfACutConnectionAreWaitedForToo) {
  register_both();
  volume.hold = true;
  (void)start_io(a, IoOpcode::write, 5);
  a.queue.end();
  const auto preempt = start(b, IoOpcode::reservation_acquire,
                             acquire(2, ReservationType::exclusive_access), 0xb, 0xa);
  EXPECT_EQ(answer(b, preempt), std::nullopt);
  volume.end(*volume.held().front());
  EXPECT_EQ(answer(b, preempt), status::success);
  volume.hold = false;
}

TEST_F(NvmeReservations, WhatTheLimitsOfTheVolumeHoldBackIsEndedAtOnce) {
  register_both();
  // Each write is charged the most there is, far longer than this takes.
  block_volume.limiter().set_limits({.write_bytes = 1}, reactor.get().now());
  const auto passed = start_io(a, IoOpcode::write, 5);
  EXPECT_EQ(answer(a, passed), status::success);
  const auto held = start_io(a, IoOpcode::write, 9);
  EXPECT_EQ(answer(a, held), std::nullopt);
  EXPECT_EQ(run(b, IoOpcode::reservation_acquire, acquire(2, ReservationType::exclusive_access),
                0xb, 0xa),
            status::success);
  EXPECT_TRUE(answer(a, held)->is(status::aborted_preempted));
}

TEST_F(NvmeReservations, APlainPreemptionWaitsForNothing) {
  register_both();
  volume.hold = true;
  const auto under_way = start_io(a, IoOpcode::write, 5);
  EXPECT_EQ(
      run(b, IoOpcode::reservation_acquire, acquire(1, ReservationType::write_exclusive), 0xb, 0xa),
      status::success);
  volume.end(*volume.held().front());
  EXPECT_EQ(answer(a, under_way), status::success);
  volume.hold = false;
}

}  // namespace
}  // namespace target::nvmf
