#include "target/nvmf/io_queue.h"

#include <numeric>

#include "protocol/nvme/dataset_management.h"
#include "tests/target/nvmf/io_queue_kit.h"
#include "tests/target/nvmf/settable_volume.h"

namespace target::nvmf {
namespace {

namespace status = protocol::nvme::status;

TEST_F(IoQueueTest, ReadReturnsWhatWasWritten) {
  Path path(*this);
  write(path, 1, 7, 0xab, 3);
  EXPECT_TRUE(path.status_of(1).is_success());
  path.run(entry(IoOpcode::read, 2, 6, 5));
  const auto* answer = path.port.answer_to(2);
  ASSERT_NE(answer, nullptr);
  ASSERT_EQ(answer->data.size(), 5U * block_bytes);
  EXPECT_EQ(answer->data[0], std::byte{0});
  EXPECT_EQ(answer->data[block_bytes], std::byte{0xab});
  EXPECT_EQ(answer->data[4 * block_bytes], std::byte{0});
  EXPECT_EQ(owner.counters().bytes_written.load(), 3U * block_bytes);
  EXPECT_EQ(owner.counters().bytes_read.load(), 5U * block_bytes);
  EXPECT_EQ(owner.traffic, 2);
}

TEST_F(IoQueueTest, InCapsuleDataIsTakenFromItsOffset) {
  Path path(*this);
  auto e = entry(IoOpcode::write, 1, 9);
  e.data_pointer.identifier = nvme::sgl_in_capsule;
  e.data_pointer.address = 64;
  auto data = pattern(2, 0x11);
  std::fill(data.begin() + 64, data.begin() + 64 + block_bytes, std::byte{0x77});
  path.run(e, data);
  EXPECT_TRUE(path.status_of(1).is_success());
  EXPECT_EQ(volume.block(9)[0], std::byte{0x77});
  EXPECT_EQ(volume.block(9)[block_bytes - 1], std::byte{0x77});
}

struct Refused {
  const char* name;
  std::function<void(nvme::SubmissionEntry&)> damage;
  nvme::Status expected;
};

TEST_F(IoQueueTest, EveryRefusalHasItsStatusAndChangesNothing) {
  const Refused cases[] = {
      {"one block past the end", [](auto& e) { e.cdw10 = volume_blocks; },
       status::lba_out_of_range},
      {"range that wraps around", [](auto& e) { e.cdw10 = e.cdw11 = 0xffffffff; },
       status::lba_out_of_range},
      {"last block and one more",
       [](auto& e) {
         e.cdw10 = volume_blocks - 1;
         e.cdw12 = 1;
         e.data_pointer.length = 1024;
       },
       status::lba_out_of_range},
      {"unknown namespace", [](auto& e) { e.nsid = 2; }, status::invalid_namespace},
      {"namespace 0", [](auto& e) { e.nsid = 0; }, status::invalid_namespace},
      {"broadcast namespace", [](auto& e) { e.nsid = 0xffffffff; }, status::invalid_namespace},
      {"more than MDTS",
       [](auto& e) {
         e.cdw12 = 2048;
         e.data_pointer.length = 2049 * 512;
       },
       status::invalid_field},
      {"SGL too short", [](auto& e) { e.data_pointer.length = 511; },
       status::data_sgl_length_invalid},
      {"SGL of another type", [](auto& e) { e.data_pointer.identifier = 0x20; },
       status::sgl_descriptor_type_invalid},
      {"fused", [](auto& e) { e.flags = e.flags | 3; }, status::invalid_field},
      {"protection information", [](auto& e) { e.cdw12 = e.cdw12 | (1U << 29); },
       status::invalid_protection_information},
  };
  for (const IoOpcode opcode : {IoOpcode::write, IoOpcode::read, IoOpcode::compare}) {
    for (const Refused& refused : cases) {
      Path path(*this);
      auto e = entry(opcode, 5, 3);
      refused.damage(e);
      volume.seen.clear();
      owner.failures.clear();
      path.port.host_data = pattern(1, 0xee);
      path.run(e);
      EXPECT_TRUE(path.status_of(5).is(refused.expected))
          << refused.name << " opcode " << int(e.opcode) << " gave "
          << nvme::name_of(path.status_of(5));
      EXPECT_TRUE(path.status_of(5).more) << refused.name << ": the error log has an entry";
      EXPECT_TRUE(volume.seen.empty()) << refused.name;
      ASSERT_EQ(owner.failures.size(), 1U) << refused.name;
      EXPECT_EQ(owner.failures[0].cid, 5);
    }
  }
}

TEST_F(IoQueueTest, UnknownOpcodesAreRefused) {
  for (unsigned opcode = 0; opcode < 0x100; ++opcode) {
    if (opcode == 0 || opcode == 1 || opcode == 2 || opcode == 4 || opcode == 5 || opcode == 8 ||
        opcode == 9 || opcode == 0xc || opcode == 0xd || opcode == 0xe || opcode == 0x11 ||
        opcode == 0x15 || opcode == 0x19)
      continue;
    Path path(*this);
    path.run(entry(static_cast<IoOpcode>(opcode), 1));
    EXPECT_TRUE(path.status_of(1).is(status::invalid_opcode)) << opcode;
  }
}

TEST_F(IoQueueTest, InCapsuleOffsetBeyondTheCapsuleIsRefused) {
  Path path(*this);
  auto e = entry(IoOpcode::write, 1, 0);
  e.data_pointer.identifier = nvme::sgl_in_capsule;
  e.data_pointer.address = 1;
  path.run(e, pattern(1, 1));
  EXPECT_TRUE(path.status_of(1).is(status::sgl_offset_invalid));
}

TEST_F(IoQueueTest, AControllerThatEndsTakesNoIoAndLetsTheHostTryElsewhere) {
  Path path(*this);
  owner.is_ready = false;
  path.run(entry(IoOpcode::read, 1));
  EXPECT_TRUE(path.status_of(1).is(status::aborted_queue_deleted));
  EXPECT_FALSE(path.status_of(1).do_not_retry);
}

TEST_F(IoQueueTest, AnInaccessibleNamespaceMakesTheHostQueue) {
  const std::pair<AnaState, nvme::Status> states[] = {
      {AnaState::inaccessible, status::ana_inaccessible},
      {AnaState::persistent_loss, status::ana_persistent_loss},
      {AnaState::change, status::ana_transition}};
  for (const auto& [state, expected] : states) {
    space.ana_state = state;
    Path path(*this);
    path.run(entry(IoOpcode::read, 1));
    EXPECT_TRUE(path.status_of(1).is(expected));
    EXPECT_FALSE(path.status_of(1).do_not_retry);
    EXPECT_TRUE(owner.failures.empty()) << "a path's state is no error of the command";
  }
}

TEST_F(IoQueueTest, EveryOutcomeOfTheVolumeHasOneStatus) {
  using engine::IoStatus;
  const std::tuple<IoStatus, nvme::Status, nvme::Status> outcomes[] = {
      {IoStatus::media_error, status::unrecovered_read_error, status::write_fault},
      {IoStatus::capacity_exceeded, status::capacity_exceeded, status::capacity_exceeded},
      {IoStatus::unavailable, status::namespace_not_ready, status::namespace_not_ready},
      {IoStatus::sync_failed, status::write_fault, status::write_fault},
      {IoStatus::timed_out, status::command_interrupted, status::command_interrupted},
      {IoStatus::read_only, status::namespace_write_protected, status::namespace_write_protected},
      {IoStatus::out_of_range, status::lba_out_of_range, status::lba_out_of_range},
  };
  for (const auto& [outcome, on_read, on_write] : outcomes) {
    volume.outcome = outcome;
    Path path(*this);
    path.run(entry(IoOpcode::read, 1));
    write(path, 2, 0, 1);
    EXPECT_TRUE(path.status_of(1).is(on_read)) << int(outcome);
    EXPECT_TRUE(path.status_of(2).is(on_write)) << int(outcome);
    // A write that was refused before it began may be tried again; one that may be lost not.
    if (outcome == IoStatus::unavailable) {
      EXPECT_FALSE(path.status_of(2).do_not_retry);
    }
    if (outcome == IoStatus::sync_failed) {
      EXPECT_TRUE(path.status_of(2).do_not_retry);
    }
    EXPECT_TRUE(block_volume.write_order().idle());
  }
  EXPECT_EQ(owner.counters().media_errors.load(), 2U);
}

TEST_F(IoQueueTest, WhatPassesAsksForADelayWhereTheHostKnowsDelays) {
  using engine::IoStatus;
  for (const bool knows : {false, true}) {
    owner.host_delays_retries = knows;
    for (const auto& [outcome, delayed] :
         {std::pair{IoStatus::unavailable, true}, std::pair{IoStatus::timed_out, true},
          std::pair{IoStatus::media_error, false}, std::pair{IoStatus::read_only, false}}) {
      volume.outcome = outcome;
      Path path(*this);
      write(path, 1, 0, 1);
      EXPECT_EQ(path.status_of(1).retry_delay, knows && delayed ? 1 : 0) << int(outcome);
      if (delayed) {
        EXPECT_FALSE(path.status_of(1).do_not_retry) << int(outcome);
      }
    }
  }
}

TEST_F(IoQueueTest, FlushSucceedsAlsoForAllNamespaces) {
  Path path(*this);
  path.run(entry(IoOpcode::flush, 1));
  auto all = entry(IoOpcode::flush, 2);
  all.nsid = 0xffffffff;
  path.run(all);
  EXPECT_TRUE(path.status_of(1).is_success());
  EXPECT_TRUE(path.status_of(2).is_success());
}

TEST_F(IoQueueTest, CompareTellsEqualFromDifferent) {
  Path path(*this);
  write(path, 1, 4, 0x5a, 2);
  path.port.host_data = pattern(2, 0x5a);
  path.run(entry(IoOpcode::compare, 2, 4, 2));
  EXPECT_TRUE(path.status_of(2).is_success());
  path.port.host_data = pattern(2, 0x5a);
  path.port.host_data.back() = std::byte{0};
  path.run(entry(IoOpcode::compare, 3, 4, 2));
  EXPECT_TRUE(path.status_of(3).is(status::compare_failure));
}

// The buffers they need beside that of their connection are bounded like all others.
TEST_F(IoQueueTest, VerifiesAndComparesCountTowardsWhatTheVolumeMayHold) {
  Path path(*this);
  volume.hold = true;
  for (std::uint16_t cid = 1; cid <= 20; ++cid) {
    path.port.host_data = pattern(128, 0);
    path.run(entry(IoOpcode::compare, cid, 0, 128));
  }
  EXPECT_EQ(block_volume.buffers().held(), 20U * 128 * block_bytes);
  std::size_t refused = 0;
  for (std::uint16_t cid = 100; cid < 1100; ++cid) {
    path.run(entry(IoOpcode::verify, cid, 0, 1024));
    const auto* answer = path.port.answer_to(cid);
    if (answer == nullptr) continue;
    ++refused;
    EXPECT_TRUE(answer->status.is(status::command_interrupted));
  }
  EXPECT_GT(refused, 100U);
  EXPECT_LT(refused, 900U);
  while (!volume.held().empty()) volume.end(*volume.held().front());
  EXPECT_EQ(block_volume.buffers().held(), 0U);
  path.run(entry(IoOpcode::verify, 2000, 0, 1024));
  EXPECT_EQ(volume.held().size(), 1U);
  volume.end(*volume.held().front());
}

TEST_F(IoQueueTest, WriteZeroesAndVerifyReachTheVolume) {
  Path path(*this);
  write(path, 1, 0, 0xff, 8);
  auto zero = entry(IoOpcode::write_zeroes, 2, 2, 4);
  path.run(zero);
  path.run(entry(IoOpcode::verify, 3, 0, 8));
  EXPECT_TRUE(path.status_of(2).is_success());
  EXPECT_TRUE(path.status_of(3).is_success());
  EXPECT_EQ(volume.block(1)[0], std::byte{0xff});
  EXPECT_EQ(volume.block(2)[0], std::byte{0});
  EXPECT_EQ(volume.block(5)[511], std::byte{0});
  EXPECT_EQ(volume.block(6)[0], std::byte{0xff});
  EXPECT_EQ(volume.seen.back(), engine::VolumeIo::Kind::verify);
}

TEST_F(IoQueueTest, WriteUncorrectableReachesTheVolumeInItsPlaceAmongWrites) {
  Path path(*this);
  volume.hold = true;
  path.port.host_data = pattern(4, 1);
  path.run(entry(IoOpcode::write, 1, 0, 4));
  path.run(entry(IoOpcode::write_uncorrectable, 2, 2, 4));
  ASSERT_EQ(volume.held().size(), 1U) << "it overlaps the write";
  volume.end(*volume.held().front());
  reactor.run_until_idle();
  ASSERT_EQ(volume.held().size(), 1U);
  engine::VolumeIo& io = *volume.held().front();
  EXPECT_EQ(io.kind, engine::VolumeIo::Kind::lose);
  EXPECT_EQ(io.lba, engine::Lba{2});
  EXPECT_EQ(io.blocks, engine::BlockCount{4});
  volume.outcome = engine::IoStatus::capacity_exceeded;
  volume.end(io);
  EXPECT_TRUE(path.status_of(2).is(status::capacity_exceeded)) << "no more can be lost";
  volume.hold = false;
  volume.outcome = engine::IoStatus::ok;
  path.run(entry(IoOpcode::write_uncorrectable, 3, 2, 4));
  EXPECT_TRUE(path.status_of(3).is_success());
  path.run(entry(IoOpcode::write_uncorrectable, 4, volume_blocks, 1));
  EXPECT_TRUE(path.status_of(4).is(status::lba_out_of_range));
}

nvme::SubmissionEntry deallocate(std::uint16_t cid, std::uint32_t ranges) {
  auto e = entry(IoOpcode::dataset_management, cid);
  e.cdw10 = ranges - 1;
  e.cdw11 = 4;  // AD
  e.cdw12 = 0;
  e.data_pointer.length = 4096;
  return e;
}

void put_range(std::vector<std::byte>& list, std::size_t at, std::uint64_t lba,
               std::uint32_t blocks) {
  nvme::DatasetRangeEntry range{};
  range.first_block = lba;
  range.block_count = blocks;
  std::memcpy(list.data() + at * sizeof(range), &range, sizeof(range));
}

TEST_F(IoQueueTest, DeallocateWorksThroughAllRanges) {
  Path path(*this);
  write(path, 1, 0, 0xff, 1024);
  path.port.host_data.assign(4096, std::byte{0});
  for (std::uint32_t i = 0; i < 256; ++i)
    put_range(path.port.host_data, i, 4 * i, i % 3);  // some are empty
  path.run(deallocate(2, 256));
  EXPECT_TRUE(path.status_of(2).is_success());
  for (std::uint64_t lba = 0; lba < 1024; ++lba) {
    const bool gone = lba % 4 < (lba / 4) % 3;
    ASSERT_EQ(volume.block(lba)[0], gone ? std::byte{0} : std::byte{0xff}) << lba;
  }
}

TEST_F(IoQueueTest, OneBadRangeMeansThatNoneIsDeallocated) {
  Path path(*this);
  write(path, 1, 0, 0xff, 8);
  path.port.host_data.assign(4096, std::byte{0});
  put_range(path.port.host_data, 0, 0, 8);
  put_range(path.port.host_data, 1, volume_blocks - 1, 2);
  path.run(deallocate(2, 2));
  EXPECT_TRUE(path.status_of(2).is(status::lba_out_of_range));
  EXPECT_EQ(volume.block(0)[0], std::byte{0xff});
}

TEST_F(IoQueueTest, ARangeListShorterThanItsCountIsRefused) {
  Path path(*this);
  auto e = deallocate(1, 3);
  e.data_pointer.length = 47;
  path.run(e);
  EXPECT_TRUE(path.status_of(1).is(status::data_sgl_length_invalid));
}

TEST_F(IoQueueTest, RangesThatOverlapOrTouchAreDeallocatedAllTheSame) {
  Path path(*this);
  write(path, 1, 0, 0xff, 32);
  path.port.host_data.assign(4096, std::byte{0});
  put_range(path.port.host_data, 0, 16, 4);
  put_range(path.port.host_data, 1, 2, 6);
  put_range(path.port.host_data, 2, 4, 2);
  put_range(path.port.host_data, 3, 8, 2);
  put_range(path.port.host_data, 4, 2, 0);
  path.run(deallocate(2, 5));
  EXPECT_TRUE(path.status_of(2).is_success());
  for (std::uint64_t lba = 0; lba < 32; ++lba) {
    const bool gone = (lba >= 2 && lba < 10) || (lba >= 16 && lba < 20);
    ASSERT_EQ(volume.block(lba)[0], gone ? std::byte{0} : std::byte{0xff}) << lba;
  }
  EXPECT_TRUE(block_volume.write_order().idle());
}

TEST_F(IoQueueTest, MoreThanTheLimitsOfDeallocationIsRefusedAndChangesNothing) {
  constexpr std::uint32_t gib = (1U << 30) / block_bytes;
  SettableVolume huge("huge", engine::Uuid{}, block_bytes, std::uint64_t{8} * gib);
  block::BlockVolume block_huge(huge);
  Namespace huge_space;
  huge_space.nsid = 1;
  huge_space.volume = &block_huge;
  owner.namespaces[1] = &huge_space;
  struct Case {
    const char* what;
    std::uint32_t first;
    std::uint32_t second;
    nvme::Status expected;
  };
  for (const auto& [what, first, second, expected] :
       {Case{"one range of the limit", gib, 0, status::success},
        Case{"one range of a block more", gib + 1, 0, status::command_size_limit_exceeded},
        Case{"two ranges of the limit together", gib / 2, gib / 2, status::success},
        Case{"two ranges of a block more together", gib / 2, gib / 2 + 1,
             status::command_size_limit_exceeded}}) {
    Path path(*this);
    path.port.host_data.assign(4096, std::byte{0});
    put_range(path.port.host_data, 0, 0, first);
    put_range(path.port.host_data, 1, 2 * gib, second);
    path.run(deallocate(1, 2));
    EXPECT_TRUE(path.status_of(1).is(expected)) << what;
    EXPECT_EQ(path.status_of(1).do_not_retry, !expected.is_success()) << what;
    EXPECT_TRUE(block_huge.write_order().idle()) << what;
  }
}

// As much as NLB can say is zeroed, also by hosts that do not look at WZSL; beyond the end nothing.
TEST_F(IoQueueTest, LongestWriteZeroesIsCarriedOutWhole) {
  HeldVolume long_volume(engine::BlockSize{block_bytes}, 65536 + 1);
  block::BlockVolume block_long(long_volume);
  Namespace long_space;
  long_space.nsid = 1;
  long_space.volume = &block_long;
  owner.namespaces[1] = &long_space;
  Path path(*this);
  for (std::uint64_t lba = 0; lba <= 65536; ++lba) long_volume.block(lba)[0] = std::byte{0xff};
  path.run(entry(IoOpcode::write_zeroes, 1, 2, 65536));
  EXPECT_TRUE(path.status_of(1).is(status::lba_out_of_range));
  EXPECT_TRUE(long_volume.seen.empty());
  path.run(entry(IoOpcode::write_zeroes, 2, 1, 65536));
  EXPECT_TRUE(path.status_of(2).is_success());
  EXPECT_EQ(long_volume.block(0)[0], std::byte{0xff});
  for (std::uint64_t lba = 1; lba <= 65536; ++lba) {
    ASSERT_EQ(long_volume.block(lba)[0], std::byte{0}) << lba;
  }
}

// The scenario of P4: a write held by a slow disk, its connection cut, the host back on a new one.
// The old data must never appear over the new, whatever the order in which the disk answers.
TEST_F(IoQueueTest, AWriteOfADeadAssociationNeverLandsOnANewerOne) {
  Path old_path(*this);
  Path new_path(*this);
  volume.hold = true;
  write(old_path, 1, 10, 0x01);
  ASSERT_EQ(volume.held().size(), 1U);
  old_path.queue.end();

  write(new_path, 1, 10, 0x02);
  if (volume.held().size() == 2)
    volume.end(*volume.held()[1]);  // without the barrier: the newer one first
  volume.end(*volume.held().front());
  reactor.run_until_idle();
  while (!volume.held().empty()) volume.end(*volume.held().front());

  EXPECT_TRUE(new_path.status_of(1).is_success());
  EXPECT_EQ(volume.block(10)[0], std::byte{0x02}) << "the old data came back";
  EXPECT_TRUE(block_volume.write_order().idle());
}

// The same with a deallocation: while it works on its first range, its second is taken already.
TEST_F(IoQueueTest, ALaterRangeOfADeadAssociationNeverLandsOnANewerOne) {
  Path old_path(*this);
  Path new_path(*this);
  old_path.port.host_data.assign(4096, std::byte{0});
  put_range(old_path.port.host_data, 0, 0, 4);
  put_range(old_path.port.host_data, 1, 8, 4);
  volume.hold = true;
  old_path.run(deallocate(1, 2));
  ASSERT_EQ(volume.held().size(), 1U);

  write(new_path, 1, 10, 0x02);
  write(new_path, 2, 6, 0x03);
  // Without the barrier: the newer ones first.
  while (volume.held().size() > 1) volume.end(*volume.held().back());
  EXPECT_TRUE(new_path.status_of(2).is_success()) << "between the ranges nothing waits";
  volume.end(*volume.held().front());
  while (!volume.held().empty()) {
    volume.end(*volume.held().front());
    reactor.run_until_idle();
  }

  EXPECT_TRUE(old_path.status_of(1).is_success());
  EXPECT_TRUE(new_path.status_of(1).is_success());
  EXPECT_EQ(volume.block(10)[0], std::byte{0x02}) << "the old data came back";
  EXPECT_TRUE(block_volume.write_order().idle());
}

TEST_F(IoQueueTest, AWriteThatWaitedWhenItsAssociationDiedNeverStarts) {
  Path first(*this);
  Path dying(*this);
  volume.hold = true;
  write(first, 1, 10, 0x01);
  write(dying, 2, 10, 0x02);
  ASSERT_EQ(volume.held().size(), 1U);
  dying.queue.end();
  EXPECT_TRUE(dying.status_of(2).is(status::aborted_queue_deleted));
  volume.end(*volume.held().front());
  reactor.run_until_idle();
  EXPECT_TRUE(volume.held().empty());
  EXPECT_EQ(volume.block(10)[0], std::byte{0x01});
  first.queue.end();
}

TEST_F(IoQueueTest, AWriteAdmittedJustBeforeItsAssociationDiedNeverStarts) {
  Path first(*this);
  Path dying(*this);
  volume.hold = true;
  write(first, 1, 10, 0x01);
  write(dying, 2, 10, 0x02);
  volume.end(*volume.held().front());  // admits the second; the news is still on its way
  dying.queue.end();
  reactor.run_until_idle();
  EXPECT_TRUE(volume.held().empty());
  EXPECT_TRUE(dying.status_of(2).is(status::aborted_queue_deleted));
  EXPECT_TRUE(block_volume.write_order().idle());
}

TEST_F(IoQueueTest, AbortAnswersOnlyWhatHasNotStarted) {
  Path path(*this);
  volume.hold = true;
  write(path, 1, 10, 0x01);
  write(path, 2, 10, 0x02);
  EXPECT_FALSE(path.queue.abort(1)) << "it is on its way to the disk";
  EXPECT_FALSE(path.queue.abort(3)) << "there is no such command";
  EXPECT_TRUE(path.queue.abort(2));
  EXPECT_TRUE(path.status_of(2).is(status::abort_requested));
  volume.end(*volume.held().front());
  reactor.run_until_idle();
  EXPECT_TRUE(path.status_of(1).is_success());
  EXPECT_EQ(volume.block(10)[0], std::byte{0x01});
}

TEST_F(IoQueueTest, AbortAnswersWhatWaitsForABuffer) {
  Path path(*this);
  path.port.no_buffers = true;
  write(path, 1, 10, 0x01);
  path.run(entry(IoOpcode::read, 2));
  EXPECT_FALSE(path.queue.abort(3));
  EXPECT_TRUE(path.queue.abort(2));
  EXPECT_TRUE(path.queue.abort(1));
  EXPECT_TRUE(path.status_of(1).is(status::abort_requested));
  EXPECT_TRUE(path.status_of(2).is(status::abort_requested));
  EXPECT_TRUE(volume.seen.empty());
}

TEST_F(IoQueueTest, DeallocateStopsBetweenRangesWhenItsAssociationDies) {
  Path path(*this);
  write(path, 1, 0, 0xff, 16);
  path.port.host_data.assign(4096, std::byte{0});
  put_range(path.port.host_data, 0, 0, 4);
  put_range(path.port.host_data, 1, 8, 4);
  volume.hold = true;
  path.run(deallocate(2, 2));
  path.queue.end();
  volume.end(*volume.held().front());
  reactor.run_until_idle();
  EXPECT_TRUE(volume.held().empty());
  EXPECT_EQ(volume.block(8)[0], std::byte{0xff});
  EXPECT_TRUE(path.status_of(2).is(status::aborted_queue_deleted));
}

}  // namespace
}  // namespace target::nvmf
