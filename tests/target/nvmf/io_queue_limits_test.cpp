// I/O commands to a volume with limits: what is held back, for how long, and how it ends.
#include <gtest/gtest.h>

#include <array>
#include <vector>

#include "tests/target/nvmf/io_queue_kit.h"
#include "tests/target/nvmf/manual_clock.h"

namespace target::nvmf {
namespace {

using namespace std::chrono_literals;
namespace status = protocol::nvme::status;

struct Timed {
  ManualClock clock;
};

class LimitedQueue : private Timed, public IoQueueTest {
 protected:
  LimitedQueue() : IoQueueTest(&(Timed::clock)) {
    other_space.nsid = 2;
    other_space.ana_group = 1;
    other_space.volume = &other_block;
    owner.namespaces[2] = &other_space;
  }
  void limit(const block::VolumeLimits& limits) {
    block_volume.limiter().set_limits(limits, clock.now());
  }
  void pass(engine::Duration time) {
    clock.advance(time);
    reactor.run_until_idle();
    reactor.run_until_idle();
  }
  [[nodiscard]] static bool answered(Path& by, std::uint16_t cid) {
    return by.port.answer_to(cid) != nullptr;
  }
  [[nodiscard]] block::HoldCounts counts() const { return block_volume.limiter().counts(); }

  HeldVolume other_volume{engine::BlockSize{block_bytes}, volume_blocks};
  block::BlockVolume other_block{other_volume};
  Namespace other_space;
  Path path{*this};
};

// It has asked for no data, nor for a buffer, and has no place in the order.
TEST_F(LimitedQueue, AHeldWriteHasNothing) {
  limit({.write_commands = 10});
  write(path, 1, 0, 1);
  path.port.no_buffers = true;  // who asks for one from here on is in `waiting`
  path.run(entry(IoOpcode::write, 2, 5));
  EXPECT_TRUE(answered(path, 1));
  EXPECT_TRUE(path.port.waiting.empty());
  EXPECT_TRUE(block_volume.write_order().idle());
  EXPECT_EQ(counts().writes_held, 1U);
  pass(99ms);
  EXPECT_TRUE(path.port.waiting.empty());
  pass(1ms);
  ASSERT_EQ(path.port.waiting.size(), 1U);
  EXPECT_EQ(counts().writes_held, 0U);
  path.port.no_buffers = false;
  path.port.host_data = pattern(1, 2);
  path.port.receive_from_host(*path.port.waiting.front(), block_bytes);
  EXPECT_EQ(path.status_of(2), status::success);
  EXPECT_EQ(volume.block(5)[0], std::byte{2});
}

TEST_F(LimitedQueue, AHeldReadHasNothing) {
  limit({.read_commands = 10});
  path.run(entry(IoOpcode::read, 1));
  path.port.no_buffers = true;
  path.run(entry(IoOpcode::read, 2));
  EXPECT_TRUE(path.port.waiting.empty());
  EXPECT_EQ(volume.seen.size(), 1U);
  pass(100ms);
  ASSERT_EQ(path.port.waiting.size(), 1U);
  path.port.no_buffers = false;
  path.port.lease_for_host(*path.port.waiting.front(), block_bytes);
  EXPECT_EQ(path.status_of(2), status::success);
}

// Data that came in the capsule stays where it is, and is written at its turn.
TEST_F(LimitedQueue, AHeldWriteKeepsWhatCameWithIt) {
  limit({.write_commands = 10});
  auto command = entry(IoOpcode::write, 1);
  command.data_pointer.identifier = nvme::sgl_in_capsule;
  path.run(command, pattern(1, 1));
  command.command_id = 2;
  path.run(command, pattern(1, 2));
  EXPECT_EQ(volume.block(0)[0], std::byte{1});
  pass(100ms);
  EXPECT_EQ(path.status_of(2), status::success);
  EXPECT_EQ(volume.block(0)[0], std::byte{2});
}

TEST_F(LimitedQueue, AnotherNamespaceDoesNotWait) {
  limit({.commands = 10});
  path.run(entry(IoOpcode::read, 1));
  path.run(entry(IoOpcode::read, 2));
  auto command = entry(IoOpcode::read, 3);
  command.nsid = 2;
  path.run(command);
  EXPECT_FALSE(answered(path, 2));
  EXPECT_EQ(path.status_of(3), status::success);
  path.queue.end();
}

// By command: is it counted as a read or a write, and its bytes?
TEST_F(LimitedQueue, WhatCountsAsWhat) {
  struct Row {
    IoOpcode opcode;
    bool reads, writes, bytes;
  };
  constexpr std::array rows{
      Row{IoOpcode::read, true, false, true},
      Row{IoOpcode::compare, true, false, true},
      Row{IoOpcode::verify, true, false, true},
      Row{IoOpcode::write, false, true, true},
      Row{IoOpcode::write_zeroes, false, true, false},
      Row{IoOpcode::flush, false, false, false},
      Row{IoOpcode::write_uncorrectable, false, true, false},
  };
  std::uint16_t cid = 0;
  for (const Row& row : rows) {
    const auto is_held = [&](const block::VolumeLimits& limits) {
      limit({});
      limit(limits);
      for (int i = 0; i < 2; ++i) {
        auto command = entry(row.opcode, ++cid, 0, 8);
        if (row.opcode == IoOpcode::flush || row.opcode == IoOpcode::verify ||
            row.opcode == IoOpcode::write_zeroes || row.opcode == IoOpcode::write_uncorrectable) {
          command.data_pointer = {};
        }
        if (row.opcode == IoOpcode::flush) command.cdw12 = 0;
        path.run(command);
      }
      const bool held = block_volume.limiter().is_holding();
      EXPECT_EQ(answered(path, cid), !held) << static_cast<int>(row.opcode);
      EXPECT_TRUE(answered(path, static_cast<std::uint16_t>(cid - 1)));
      pass(20s);
      EXPECT_TRUE(answered(path, cid)) << static_cast<int>(row.opcode);
      return held;
    };
    EXPECT_EQ(is_held({.read_commands = 10}), row.reads) << static_cast<int>(row.opcode);
    EXPECT_EQ(is_held({.write_commands = 10}), row.writes) << static_cast<int>(row.opcode);
    EXPECT_EQ(is_held({.commands = 10}), row.reads || row.writes);
    EXPECT_EQ(is_held({.read_bytes = 1000}), row.reads && row.bytes);
    EXPECT_EQ(is_held({.write_bytes = 1000}), row.writes && row.bytes);
    EXPECT_EQ(is_held({.bytes = 1000}), row.bytes) << static_cast<int>(row.opcode);
  }
}

TEST_F(LimitedQueue, DeallocationCountsAsAWriteAndAHintAsNothing) {
  limit({.write_commands = 10});
  auto command = entry(IoOpcode::dataset_management, 1);
  command.cdw10 = 0;
  command.cdw12 = 0;
  command.data_pointer.length = nvme::dataset_range_bytes;
  for (const std::uint16_t cid : {std::uint16_t{1}, std::uint16_t{2}, std::uint16_t{3}}) {
    command.command_id = cid;
    command.cdw11 = cid == 3 ? 0 : 4;  // AD
    path.port.host_data.assign(nvme::dataset_range_bytes, std::byte{0});
    path.run(command);
  }
  EXPECT_TRUE(answered(path, 1));
  EXPECT_FALSE(answered(path, 2));
  EXPECT_TRUE(answered(path, 3));
  pass(100ms);
  EXPECT_TRUE(answered(path, 2));
}

// What is too long to be served is refused at once, and nobody pays for it.
TEST_F(LimitedQueue, WhatIsTooLongIsFree) {
  limit({.read_bytes = 1U << 20});
  path.run(entry(IoOpcode::read, 1, 0, 4096));
  EXPECT_TRUE(path.status_of(1).is(status::invalid_field));
  path.run(entry(IoOpcode::read, 2));
  EXPECT_EQ(path.status_of(2), status::success);
}

TEST_F(LimitedQueue, AbortEndsAHeldCommand) {
  limit({.commands = 10});
  path.run(entry(IoOpcode::read, 1));
  path.run(entry(IoOpcode::compare, 2));
  path.run(entry(IoOpcode::read, 3));
  EXPECT_TRUE(path.queue.abort(2));
  EXPECT_TRUE(path.status_of(2).is(status::abort_requested));
  EXPECT_FALSE(path.queue.abort(2));
  pass(200ms);
  EXPECT_EQ(path.status_of(3), status::success);
  EXPECT_FALSE(path.queue.abort(3));
}

TEST_F(LimitedQueue, TheEndOfTheQueueEndsAllThatIsHeld) {
  limit({.commands = 10});
  for (std::uint16_t cid = 1; cid <= 5; ++cid) path.run(entry(IoOpcode::compare, cid));
  path.queue.end();
  for (std::uint16_t cid = 2; cid <= 5; ++cid) {
    EXPECT_TRUE(path.status_of(cid).is(status::aborted_queue_deleted));
  }
  EXPECT_FALSE(block_volume.limiter().is_holding());
  // Nobody pays for them.
  Path next{*this};
  next.run(entry(IoOpcode::read, 1));
  pass(100ms);
  EXPECT_EQ(next.status_of(1), status::success);
}

// Everything is looked at again at its turn.
TEST_F(LimitedQueue, ANamespaceThatHasGoneMeanwhileIsNotFound) {
  limit({.commands = 10});
  path.run(entry(IoOpcode::read, 1));
  path.run(entry(IoOpcode::read, 2));
  owner.namespaces.erase(1);
  pass(100ms);
  EXPECT_TRUE(path.status_of(2).is(status::invalid_namespace));
}

TEST_F(LimitedQueue, AControllerThatIsNotReadyMeanwhileRefuses) {
  limit({.commands = 10});
  path.run(entry(IoOpcode::read, 1));
  path.run(entry(IoOpcode::read, 2));
  owner.is_ready = false;
  pass(100ms);
  EXPECT_TRUE(path.status_of(2).is(status::aborted_queue_deleted));
}

TEST_F(LimitedQueue, QueuesOfTwoHostsShareTheLimit) {
  limit({.write_commands = 100});
  Path second{*this};
  for (std::uint16_t cid = 1; cid <= 3; ++cid) {
    write(path, cid, 0, 1);
    write(second, cid, 1, 1);
  }
  EXPECT_TRUE(answered(path, 1));
  EXPECT_FALSE(answered(second, 1));
  pass(10ms);
  EXPECT_TRUE(answered(second, 1));
  EXPECT_FALSE(answered(path, 2));
  pass(10ms);
  EXPECT_TRUE(answered(path, 2));
  pass(30ms);
  EXPECT_TRUE(answered(path, 3));
  EXPECT_TRUE(answered(second, 3));
}

}  // namespace
}  // namespace target::nvmf
