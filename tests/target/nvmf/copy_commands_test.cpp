// Copy: what is copied where, what is refused before anything is, and what a part that fails
// leaves.
#include <cstring>
#include <functional>

#include "protocol/nvme/copy.h"
#include "target/nvmf/limits.h"
#include "tests/target/nvmf/io_queue_kit.h"

namespace target::nvmf {
namespace {

using Kind = engine::VolumeIo::Kind;
namespace status = protocol::nvme::status;

struct Range {
  std::uint64_t first = 0;
  std::uint32_t blocks = 1;
  std::uint32_t nsid = 0;  // format 2h, if it is not 0
  std::uint16_t options = 0;
};

class CopyCommandsTest : public IoQueueTest {
 protected:
  CopyCommandsTest() {
    other_space.nsid = 2;
    other_space.volume = &other_block;
    owner.namespaces[2] = &other_space;
  }
  void start(Path& path, std::uint16_t cid, std::uint64_t to, const std::vector<Range>& ranges) {
    auto e = entry(IoOpcode::copy, cid, to);
    e.cdw12 = static_cast<std::uint32_t>(ranges.size() - 1);
    path.port.host_data.assign(ranges.size() * sizeof(nvme::CopyRangeEntry), std::byte{0});
    for (std::size_t i = 0; i < ranges.size(); ++i) {
      nvme::CopyRangeEntry range{};
      range.source_nsid = ranges[i].nsid;
      range.first_block = ranges[i].first;
      range.block_count = static_cast<std::uint16_t>(ranges[i].blocks - 1);
      range.options = ranges[i].options;
      std::memcpy(path.port.host_data.data() + i * sizeof(range), &range, sizeof(range));
      if (ranges[i].nsid != 0) e.cdw12 = e.cdw12 | 2U << 8;
    }
    e.data_pointer.length = static_cast<std::uint32_t>(path.port.host_data.size());
    path.run(e);
  }
  void copy(Path& path, std::uint16_t cid, std::uint64_t to, const std::vector<Range>& ranges) {
    start(path, cid, to, ranges);
    reactor.run_until_idle();
  }
  // CDW0.
  static std::uint64_t failed_range(Path& path, std::uint16_t cid) {
    return path.port.answer_to(cid)->result;
  }
  static void fill(HeldVolume& of, std::uint64_t first, std::uint64_t blocks, int value) {
    for (std::uint64_t lba = first; lba < first + blocks; ++lba) {
      std::memset(of.block(lba).data(), value, block_bytes);
    }
  }
  void expect_nothing_left() {
    EXPECT_TRUE(block_volume.write_order().idle());
    EXPECT_EQ(block_volume.buffers().held(), 0U);
    EXPECT_EQ(other_block.buffers().held(), 0U);
  }

  HeldVolume other_volume{engine::BlockSize{block_bytes}, volume_blocks};
  block::BlockVolume other_block{other_volume};
  Namespace other_space;
};

TEST_F(CopyCommandsTest, RangesGoOneBehindTheOther) {
  Path path(*this);
  fill(volume, 0, 1000, 0x11);
  fill(volume, 1500, 1, 0x22);
  copy(path, 1, 2000, {{0, 1000}, {1500, 1}, {999, 1}});
  EXPECT_TRUE(path.status_of(1).is_success());
  EXPECT_EQ(failed_range(path, 1), 0U);
  EXPECT_EQ(volume.block(2999)[511], std::byte{0x11});
  EXPECT_EQ(volume.block(3000)[0], std::byte{0x22});
  EXPECT_EQ(volume.block(3001)[0], std::byte{0x11});
  EXPECT_EQ(volume.block(3002)[0], std::byte{0});
  expect_nothing_left();
}

TEST_F(CopyCommandsTest, FromAnotherNamespaceOnlyForHostsThatHaveEnabledIt) {
  Path path(*this);
  fill(other_volume, 7, 2, 0x33);
  copy(path, 1, 0, {{7, 2, 2}});
  EXPECT_TRUE(path.status_of(1).is(status::invalid_field));
  owner.copies_between = true;
  fill(volume, 100, 1, 0x44);
  copy(path, 2, 0, {{7, 2, 2}, {100, 1, 1}});
  EXPECT_TRUE(path.status_of(2).is_success());
  EXPECT_EQ(volume.block(0)[0], std::byte{0x33});
  EXPECT_EQ(volume.block(1)[0], std::byte{0x33});
  EXPECT_EQ(volume.block(2)[0], std::byte{0x44});
  EXPECT_EQ(other_volume.seen, (std::vector{Kind::read}));
}

TEST_F(CopyCommandsTest, WhatIsRefusedChangesNothing) {
  HeldVolume large_volume(engine::BlockSize{4096}, 100);
  block::BlockVolume large_block(large_volume);
  Namespace large_space;
  large_space.nsid = 3;
  large_space.volume = &large_block;
  owner.namespaces[3] = &large_space;
  owner.copies_between = true;
  struct Case {
    const char* name;
    std::uint64_t to;
    std::vector<Range> ranges;
    nvme::Status expected;
  };
  const Case cases[] = {
      {"no such source", 0, {{100}, {100, 1, 77}}, status::invalid_namespace},
      {"other blocks", 0, {{100, 1, 3}}, status::incompatible_namespace},
      {"fast only", 0, {{100, 1, 2, 1}}, status::fast_copy_not_possible},
      {"source beyond the end", 0, {{100}, {volume_blocks - 1, 2}}, status::lba_out_of_range},
      {"destination beyond the end", volume_blocks - 2, {{0, 2}, {8}}, status::lba_out_of_range},
      {"onto itself", 10, {{100}, {10}}, status::overlapping_io_range},
      {"onto the end of a source", 10, {{9, 2}}, status::overlapping_io_range},
      {"a later part onto a source", 10, {{100, 8}, {20, 8}}, status::overlapping_io_range},
      {"a range too long", 0, {{0, 32769}}, status::command_size_limit_exceeded},
      {"too many", 0, std::vector<Range>(129, {100}), status::command_size_limit_exceeded},
      {"too much", 0, std::vector<Range>(5, {100, 32768}), status::command_size_limit_exceeded},
  };
  for (const Case& each : cases) {
    SCOPED_TRACE(each.name);
    Path path(*this);
    // The lengths are looked at before the blocks.
    volume.seen.clear();
    copy(path, 1, each.to, each.ranges);
    const auto told = path.status_of(1);
    EXPECT_TRUE(told.is(each.expected)) << nvme::name_of(told);
    EXPECT_TRUE(told.more);
    EXPECT_EQ(failed_range(path, 1), 0U);
    EXPECT_TRUE(volume.seen.empty());
    expect_nothing_left();
  }
}

TEST_F(CopyCommandsTest, OfOnePartThatFailsTheOthersBeforeItStay) {
  for (const bool writing : {false, true}) {
    SCOPED_TRACE(writing);
    Path path(*this);
    fill(volume, 0, 1, 0x11);
    fill(volume, 100, 2, 0);
    volume.hold = true;
    start(path, 1, 100, {{0}, {1}, {2}});
    // Reads and writes in turn; the second range's fails.
    for (int step = 0; step < (writing ? 4 : 3); ++step) {
      reactor.run_until_idle();
      ASSERT_EQ(volume.held().size(), 1U);
      if (step == (writing ? 3 : 2)) volume.outcome = engine::IoStatus::media_error;
      volume.end(*volume.held().front());
    }
    volume.outcome = engine::IoStatus::ok;
    reactor.run_until_idle();
    EXPECT_TRUE(
        path.status_of(1).is(writing ? status::write_fault : status::unrecovered_read_error));
    EXPECT_EQ(failed_range(path, 1), 1U);
    EXPECT_EQ(volume.block(100)[0], std::byte{0x11});
    EXPECT_EQ(volume.block(102)[0], std::byte{0});
    EXPECT_TRUE(volume.held().empty());
    expect_nothing_left();
    volume.hold = false;
  }
}

TEST_F(CopyCommandsTest, AWriteProtectedDestinationSaysSo) {
  Path path(*this);
  volume.hold = true;
  start(path, 1, 100, {{0}});
  reactor.run_until_idle();
  volume.end(*volume.held().front());
  volume.outcome = engine::IoStatus::read_only;
  volume.end(*volume.held().front());
  EXPECT_TRUE(path.status_of(1).is(status::namespace_write_protected));
  expect_nothing_left();
}

TEST_F(CopyCommandsTest, APieceHasItsPlaceAmongTheWrites) {
  Path path(*this);
  Path other(*this);
  volume.hold = true;
  start(path, 1, 100, {{0}});
  reactor.run_until_idle();
  ASSERT_EQ(volume.held().size(), 1U);
  write(other, 2, 100, 0x99);
  EXPECT_EQ(volume.held().size(), 1U) << "the write waits for the piece";
  volume.end(*volume.held().front());
  volume.end(*volume.held().front());
  reactor.run_until_idle();
  volume.end(*volume.held().front());
  EXPECT_EQ(volume.block(100)[0], std::byte{0x99});
  expect_nothing_left();
}

TEST_F(CopyCommandsTest, WhatWaitsIsAbortedAndWhatIsAtTheDiskIsNot) {
  Path path(*this);
  Path other(*this);
  volume.hold = true;
  write(other, 9, 100, 1);
  start(path, 1, 100, {{0}});  // waits for that write
  for (std::uint16_t cid = 2; cid <= 6; ++cid) start(path, cid, 200 + cid, {{0}});
  reactor.run_until_idle();
  EXPECT_EQ(volume.held().size(), 4U) << "no more than four at once";
  EXPECT_TRUE(path.queue.abort(1));
  EXPECT_TRUE(path.status_of(1).is(status::abort_requested));
  EXPECT_TRUE(path.queue.abort(6)) << "it had not begun";
  EXPECT_FALSE(path.queue.abort(2));
  EXPECT_FALSE(path.queue.abort(77));
  while (!volume.held().empty()) {
    volume.end(*volume.held().front());
    reactor.run_until_idle();
  }
  for (std::uint16_t cid = 2; cid <= 5; ++cid) EXPECT_TRUE(path.status_of(cid).is_success());
  expect_nothing_left();
}

TEST_F(CopyCommandsTest, AnEndLeavesNothingUnanswered) {
  Path path(*this);
  volume.hold = true;
  for (std::uint16_t cid = 1; cid <= 6; ++cid) start(path, cid, 100, {{0}, {1}});
  reactor.run_until_idle();
  ASSERT_EQ(volume.held().size(), 1U);
  path.queue.end();
  volume.end(*volume.held().front());
  reactor.run_until_idle();
  EXPECT_TRUE(volume.held().empty()) << "nothing is written any more";
  for (std::uint16_t cid = 1; cid <= 6; ++cid) {
    EXPECT_TRUE(path.status_of(cid).is(status::aborted_queue_deleted)) << cid;
  }
  expect_nothing_left();
}

}  // namespace
}  // namespace target::nvmf
