// A write of an iSCSI session that has ended never lands after a newer one.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <future>

#include "tests/end_to_end/harness/daemon.h"
#include "tests/end_to_end/harness/hung_disk.h"
#include "tests/end_to_end/harness/initiator.h"

namespace end_to_end {
namespace {

constexpr std::uint32_t hot_blocks = 8;

Bytes version(std::uint64_t round, bool newer) { return pattern(32768, round * 2 + newer); }

// Many writes over the same blocks in flight, and the same initiator logs in again: what it reads
// after its newer write is that, always.
TEST(IscsiStaleWrite, WritesInFlightAtReinstatementNeverCoverTheNewerOne) {
  Workplace workplace;
  for (const bool on_disk : {true, false}) {
    ConfigText config = on_disk ? file_config(workplace.make_pool("pool")) : memory_config();
    config.reactors = 2;
    Daemon daemon(workplace, with_iscsi(config));
    ASSERT_TRUE(daemon.start());
    const auto portal = iscsi_endpoint(daemon.config());
    const auto turns = static_cast<std::uint64_t>(rounds(40, 2'000));
    for (std::uint64_t round = 0; round < turns; ++round) {
      SCOPED_TRACE(fmt::format("round {}", round));
      const auto dying = open_session(to_target(portal));
      ASSERT_TRUE(dying);
      for (int i = 0; i < 24; ++i) {
        scsi::Task task = scsi::write(0, version(round, false), iscsi_block);
        task.with_immediate_data = i % 2 == 0;
        ASSERT_GOOD(dying->submit(std::move(task)));
      }
      if (round % 2 == 0) {
        ASSERT_GOOD(dying->await_any());  // they are being executed
      }
      const auto back = open_session(to_target(portal));
      ASSERT_TRUE(back);
      write(*back, 0, 0, version(round, true), iscsi_block);
      for (int i = 0; i < 20; ++i) {
        ASSERT_TRUE(read(*back, 0, 0, hot_blocks, iscsi_block) == version(round, true))
            << "an old write came after the newer one, read " << i;
      }
    }
    daemon.stop();
  }
}

// The disk does not answer, a write is with it: the same initiator's login waits for that write, or
// gives up; it never gets in before.
TEST(IscsiStaleWrite, LoginWaitsForAWriteThatTheDiskHolds) {
  Workplace workplace;
  Daemon daemon(workplace, with_iscsi(file_config(workplace.make_pool("pool"))));
  const std::string hung = workplace.path("hung");
  daemon.environment = hung_disk_environment(hung);
  ASSERT_TRUE(daemon.start());
  const auto portal = iscsi_endpoint(daemon.config());
  const auto dying = open_session(to_target(portal));
  ASSERT_TRUE(dying);
  write(*dying, 0, 0, version(0, false), iscsi_block);

  write_file(hung, "");
  const auto held = dying->submit(scsi::write(0, version(1, false), iscsi_block));
  ASSERT_GOOD(held);
  // Storage stalls, the session does not.
  for (int i = 0; i < 3; ++i) ASSERT_GOOD(dying->ping(Bytes(64, std::byte{1})));
  ASSERT_TRUE(daemon.await_status([](const boost::json::value& status) {
    return status.at("reactors").as_array()[0].at("disk_operations").to_number<int>() > 0;
  }));

  auto coming = std::async(std::launch::async, [&portal] {
    iscsi::LoginOptions options = to_target(portal);
    options.time_out = Milliseconds{60'000};
    return iscsi::Session::open(options);
  });
  EXPECT_EQ(coming.wait_for(Milliseconds{1'500}), std::future_status::timeout)
      << "it got in while an old write was at the disk";
  std::filesystem::remove(hung);
  auto back = coming.get();
  ASSERT_GOOD(back);
  take_unit_attentions(*back.value());
  write(*back.value(), 0, 0, version(1, true), iscsi_block);
  for (int i = 0; i < 50; ++i) {
    ASSERT_TRUE(read(*back.value(), 0, 0, hot_blocks, iscsi_block) == version(1, true));
  }
}

// Data that a session still owed when it ended is not taken from it.
TEST(IscsiStaleWrite, DataThatWasStillOwedIsNeverWritten) {
  Workplace workplace;
  Daemon daemon(workplace, with_iscsi(memory_config()));
  ASSERT_TRUE(daemon.start());
  const auto portal = iscsi_endpoint(daemon.config());
  iscsi::LoginOptions other = to_target(portal);
  other.initiator = "iqn.2026-11.com.example:other";
  const auto watching = open_session(other);
  ASSERT_TRUE(watching);
  for (std::uint64_t round = 0; round < 20; ++round) {
    iscsi::LoginOptions options = to_target(portal);
    options.parameters.immediate_data = false;
    const auto dying = open_session(options);
    ASSERT_TRUE(dying);
    scsi::Task task = scsi::write(0, version(round, false), iscsi_block);
    task.hold_data = true;
    const auto tag = dying->submit(std::move(task));
    ASSERT_GOOD(tag);
    const auto r2t = dying->await_r2t(tag.value());
    ASSERT_GOOD(r2t);
    ASSERT_GOOD(dying->send_data(r2t.value(), 0, 16384, false));
    write(*watching, 0, 0, version(round, true), iscsi_block);
    const auto aborted = dying->manage(iscsi::TaskManagement::abort_task, 0, tag.value());
    ASSERT_GOOD(aborted);
    EXPECT_EQ(aborted.value(), 0) << "function complete";
    (void)dying->send_data(r2t.value(), 16384, 16384, true);
    dying->forget(tag.value());
    ASSERT_TRUE(read(*watching, 0, 0, hot_blocks, iscsi_block) == version(round, true));
  }
}

}  // namespace
}  // namespace end_to_end
