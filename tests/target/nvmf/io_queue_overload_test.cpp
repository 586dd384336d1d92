// Commands that their volume has no room for.
#include "protocol/nvme/dataset_management.h"
#include "target/nvmf/io_queue.h"
#include "tests/target/nvmf/io_queue_kit.h"

namespace target::nvmf {
namespace {

using namespace std::chrono_literals;
using engine::IoStatus;
namespace status = protocol::nvme::status;

class IoQueueOverload : public IoQueueTest {
 protected:
  IoQueueOverload() {
    volume.hold = true;
    owner.host_delays_retries = true;
  }
  // The oldest that is there has waited long enough.
  void give_back() {
    volume.outcome = IoStatus::no_room;
    volume.end(*volume.held().front());
    volume.outcome = IoStatus::ok;
  }
  void close() {
    block_volume.overload().cannot_hold();
    ASSERT_EQ(block_volume.overload().look(engine::Instant{1h}, false),
              block::OverloadLadder::Change::closed);
  }
};

TEST_F(IoQueueOverload, WhoWaitsBeforeHeTriesAgainIsSentBackThreeTimesAndHeldThen) {
  Path path(*this);
  for (std::uint16_t cid = 1; cid <= 3; ++cid) {
    write(path, cid, 7, 0xab);
    give_back();
    EXPECT_TRUE(path.status_of(cid).is(status::command_interrupted)) << cid;
    EXPECT_EQ(path.status_of(cid).retry_delay, cid) << "CRDT" << cid;
    EXPECT_FALSE(path.status_of(cid).do_not_retry);
    EXPECT_TRUE(volume.held().empty());
  }
  write(path, 4, 7, 0xab);
  for (int times = 0; times < 10; ++times) {
    give_back();
    EXPECT_EQ(path.port.answer_to(4), nullptr) << "five would be an error";
    ASSERT_EQ(volume.held().size(), 1U);
  }
  volume.end(*volume.held().front());
  EXPECT_TRUE(path.status_of(4).is_success());
  EXPECT_EQ(volume.block(7)[0], std::byte{0xab}) << "its data has stayed";
  EXPECT_TRUE(owner.failures.empty()) << "nothing of it is an error of the command";
  EXPECT_EQ(block_volume.overload().counts().interrupted, 3U);
  // What has been done may be asked for anew.
  write(path, 5, 7, 0xac);
  give_back();
  EXPECT_EQ(path.status_of(5).retry_delay, 1);
}

TEST_F(IoQueueOverload, EachCommandIsCountedByItself) {
  Path path(*this);
  for (std::uint16_t cid = 1; cid <= 64; ++cid) {
    write(path, cid, cid, 1);
    give_back();
    EXPECT_EQ(path.status_of(cid).retry_delay, 1) << cid;
  }
}

TEST_F(IoQueueOverload, NoMoreCommandsAreSentBackThanCanBeRemembered) {
  RetryCounts counts;
  const engine::Instant now{1h};
  for (std::uint32_t lba = 0; lba < RetryCounts::most_commands; ++lba) {
    EXPECT_EQ(counts.send_back(entry(IoOpcode::write, 1, lba), 3, now), 1U);
  }
  EXPECT_EQ(counts.send_back(entry(IoOpcode::write, 1, 1U << 20), 3, now), std::nullopt);
  EXPECT_EQ(counts.send_back(entry(IoOpcode::write, 1, 0), 3, now), 2U);
  EXPECT_EQ(counts.send_back(entry(IoOpcode::write, 1, 1), 0, now), std::nullopt);
  // Those that never came again are forgotten.
  const engine::Instant later = now + RetryCounts::forgotten_after + 1s;
  EXPECT_EQ(counts.send_back(entry(IoOpcode::write, 1, 1U << 20), 3, later), 1U);
  EXPECT_EQ(counts.send_back(entry(IoOpcode::write, 1, 0), 3, later), 1U);
}

TEST_F(IoQueueOverload, AHostThatDoesNotWaitIsHeld) {
  owner.host_delays_retries = false;
  Path path(*this);
  write(path, 1, 3, 0x11);
  for (int times = 0; times < 5; ++times) give_back();
  EXPECT_EQ(path.port.answer_to(1), nullptr);
  volume.end(*volume.held().front());
  EXPECT_TRUE(path.status_of(1).is_success());
  EXPECT_EQ(volume.block(3)[0], std::byte{0x11});
}

TEST_F(IoQueueOverload, ADeallocationThatIsHeldKeepsItsRanges) {
  owner.host_delays_retries = false;
  std::memset(volume.block(5).data(), 0x55, block_bytes);
  std::memset(volume.block(20).data(), 0x55, block_bytes);
  Path path(*this);
  std::vector<std::byte> list(2 * nvme::dataset_range_bytes);
  const auto put = [&](std::size_t at, std::uint32_t blocks, std::uint64_t lba) {
    std::memcpy(&list[at + 4], &blocks, 4);
    std::memcpy(&list[at + 8], &lba, 8);
  };
  put(0, 1, 20);
  put(16, 1, 5);
  auto e = entry(IoOpcode::dataset_management, 1);
  e.cdw10 = 1;  // two ranges
  e.cdw11 = 4;  // deallocate
  e.cdw12 = 0;
  e.data_pointer.length = static_cast<std::uint32_t>(list.size());
  path.port.host_data = list;
  path.run(e);
  give_back();
  give_back();
  while (!volume.held().empty()) volume.end(*volume.held().front());
  EXPECT_TRUE(path.status_of(1).is_success());
  EXPECT_EQ(volume.block(5)[0], std::byte{0});
  EXPECT_EQ(volume.block(20)[0], std::byte{0});
}

TEST_F(IoQueueOverload, WhatIsHeldIsAnsweredInaccessibleWhenHostsAreTold) {
  owner.host_delays_retries = false;
  Path path(*this);
  write(path, 1, 3, 1);
  path.port.no_buffers = true;
  write(path, 2, 4, 1);  // waits for a buffer
  write(path, 3, 5, 1);
  close();
  space.ana_state = AnaState::inaccessible;
  path.queue.refuse_unreachable();
  EXPECT_TRUE(path.status_of(2).is(status::ana_inaccessible));
  EXPECT_TRUE(path.status_of(3).is(status::ana_inaccessible));
  give_back();
  EXPECT_TRUE(path.status_of(1).is(status::ana_inaccessible));
  EXPECT_FALSE(path.status_of(1).do_not_retry);
  path.run(entry(IoOpcode::read, 4));
  EXPECT_TRUE(path.status_of(4).is(status::ana_inaccessible));
  EXPECT_TRUE(volume.held().empty());
}

// Such a host would take the status for an error of the command, and give up after five.
TEST_F(IoQueueOverload, AHostThatKnowsNoAccessStatesIsHeldInstead) {
  owner.host_knows_access_states = false;
  owner.host_delays_retries = false;
  close();
  space.ana_state = AnaState::inaccessible;
  Path path(*this);
  write(path, 1, 3, 1);
  ASSERT_EQ(volume.held().size(), 1U);
  give_back();
  path.queue.refuse_unreachable();
  EXPECT_EQ(path.port.answer_to(1), nullptr);
  volume.end(*volume.held().front());
  EXPECT_TRUE(path.status_of(1).is_success());
  // But not for a volume that is not there.
  space.ana_state = AnaState::persistent_loss;
  EXPECT_EQ(block_volume.overload().look(engine::Instant{2h}, true),
            block::OverloadLadder::Change::none);
  EXPECT_EQ(block_volume.overload().look(engine::Instant{3h}, true),
            block::OverloadLadder::Change::opened);
  write(path, 2, 3, 1);
  EXPECT_TRUE(path.status_of(2).is(status::ana_persistent_loss));
}

TEST_F(IoQueueOverload, WhatCannotBeHeldIsSentBackAndSoonHostsAreTold) {
  Path path(*this);
  Command command;
  command.entry = entry(IoOpcode::write, 1, 9);
  for (unsigned times = 1; times <= 3; ++times) {
    EXPECT_EQ(path.queue.send_back(command).retry_delay, times);
    EXPECT_EQ(block_volume.overload().look(engine::Instant{1h}, false),
              block::OverloadLadder::Change::none);
  }
  EXPECT_EQ(path.queue.send_back(command).retry_delay, 3);
  EXPECT_EQ(block_volume.overload().look(engine::Instant{1h}, false),
            block::OverloadLadder::Change::closed);
  space.ana_state = AnaState::inaccessible;
  EXPECT_TRUE(path.queue.send_back(command).is(status::ana_inaccessible));
}

// What the volume holds for want of room is taken back from it, by an Abort and by the end.
class Taken final : public engine::TakeBack {
 public:
  void take_back() override { ++times; }
  int times = 0;
};

TEST_F(IoQueueOverload, AnAbortAndTheEndTakeBackWhatIsHeld) {
  Path path(*this);
  Taken first, second;
  write(path, 1, 3, 1);
  write(path, 2, 4, 1);
  write(path, 3, 5, 1);
  engine::VolumeIo& io1 = *volume.held()[0];
  engine::VolumeIo& io2 = *volume.held()[1];
  io1.waits(io1, first);
  io2.waits(io2, second);
  EXPECT_EQ(block_volume.overload().counts().held, 2U);
  EXPECT_TRUE(path.queue.abort(1));
  EXPECT_EQ(first.times, 1);
  EXPECT_EQ(path.port.answer_to(1), nullptr) << "in a moment";
  EXPECT_FALSE(path.queue.abort(3)) << "it does not wait: it is being done";
  volume.outcome = IoStatus::cancelled;
  volume.end(io1);
  EXPECT_TRUE(path.status_of(1).is(status::abort_requested));
  EXPECT_EQ(block_volume.overload().counts().held, 1U);
  path.queue.end();
  EXPECT_EQ(second.times, 1);
  volume.end(io2);
  EXPECT_TRUE(path.status_of(2).is(status::aborted_queue_deleted));
  EXPECT_EQ(block_volume.overload().counts().held, 0U);
  EXPECT_EQ(block_volume.overload().counts().held_total, 2U);
  volume.end(*volume.held().front());
}

// The worse of both; and what the operator has said holds for every host.
TEST_F(IoQueueOverload, TheStateOfTheListenerCountsAsMuchAsThatOfTheVolume) {
  using S = AnaState;
  volume.hold = false;
  owner.host_knows_access_states = false;
  const std::tuple<S, S, nvme::Status> ways[] = {
      {S::optimized, S::non_optimized, status::success},
      {S::non_optimized, S::optimized, status::success},
      {S::optimized, S::inaccessible, status::ana_inaccessible},
      {S::inaccessible, S::non_optimized, status::ana_inaccessible},
      {S::change, S::inaccessible, status::ana_inaccessible},
      {S::optimized, S::change, status::ana_transition},
      {S::inaccessible, S::persistent_loss, status::ana_persistent_loss},
  };
  for (const auto& [of_volume, of_path, expected] : ways) {
    space.ana_state = of_volume;
    owner.path = of_path;
    Path path(*this);
    path.run(entry(IoOpcode::read, 1));
    EXPECT_TRUE(path.status_of(1).is(expected)) << text(of_volume) << " by " << text(of_path);
  }
}

}  // namespace
}  // namespace target::nvmf
