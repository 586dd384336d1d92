// Format NVM of a volume that hosts of both protocols may have: only for who has it alone, hidden
// while it is under way, and never given up once it has begun.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

#include "tests/end_to_end/harness/daemon.h"
#include "tests/end_to_end/harness/hung_disk.h"
#include "tests/end_to_end/harness/initiator.h"

namespace end_to_end {
namespace {

constexpr std::uint16_t not_for_this_host = 0x15;     // Operation Denied
constexpr std::uint16_t is_being_formatted = 0x84;    // Format In Progress
constexpr std::uint16_t held_by_reservations = 0x83;  // Reservation Conflict
constexpr std::uint16_t erases_user_data = 1U << 9;   // SES
// LBAF, of a volume that may have both; 1 is big's own.
constexpr std::uint32_t with_512 = 0;
constexpr std::uint32_t with_4096 = 1;
constexpr std::uint8_t key_not_ready = 2;
constexpr std::uint8_t key_unit_attention = 6;
constexpr std::uint16_t format_in_progress_code = 0x0404;
const char* const other_host = "nqn.2026-11.com.example:other";

class Format : public testing::Test {
 protected:
  Format() : daemon(workplace, config()) {}
  ConfigText config() {
    ConfigText text = with_iscsi(file_config(workplace.make_pool("pool")));
    for (VolumeText& volume : text.volumes) volume.allow_format = volume.name == "big";
    return text;
  }
  static std::uint16_t format(Host& host, std::uint32_t nsid, std::uint32_t fields = 0) {
    return status_of(host.controller->admin(), client::admin::format_nvm(nsid, fields));
  }

  // It hangs while there is a file at `hung`.
  [[nodiscard]] bool start_on_a_disk_that_may_hang() {
    daemon.environment = hung_disk_environment(hung);
    return daemon.start();
  }
  // That big is being formatted has come to the second replica of the pool's table: bit 4 of its
  // incompatible features (docs/pool-format.md).
  [[nodiscard]] bool await_kept() {
    const auto deadline = SteadyClock::now() + recovery_time_out;
    while (SteadyClock::now() < deadline) {
      std::ifstream table(workplace.path("pool/forebay-pool.volumes.1"), std::ios::binary);
      table.seekg(32);
      if ((table.get() & 0x10) != 0) return true;
      std::this_thread::sleep_for(Milliseconds{5});  // a file can only be looked at
    }
    return false;
  }

  Workplace workplace;
  const std::string hung = workplace.path("hung");
  Daemon daemon;
};

TEST_F(Format, LeavesZerosToWhoHasTheVolumeAlone) {
  ASSERT_TRUE(daemon.start());
  {
    Host host(daemon.endpoint());
    ASSERT_TRUE(host.connected());
    write(*host.queue, 1, 100, pattern(8 * iscsi_block, 1), iscsi_block);
    EXPECT_EQ(format(host, 2), not_for_this_host) << "no allow_format";
    {
      Host other(daemon.endpoint(), {.host_nqn = other_host});
      ASSERT_TRUE(other.connected());
      EXPECT_EQ(format(host, 1), not_for_this_host) << "another host is connected";
    }
    {
      const auto initiator = open_session(to_target(iscsi_endpoint(daemon.config())));
      ASSERT_TRUE(initiator);
      EXPECT_EQ(format(host, 1), not_for_this_host) << "an initiator is logged in";
      constexpr std::uint64_t key = 7;
      execute(*initiator, scsi::reserve(0, 0, 0, key));  // REGISTER
    }
    EXPECT_TRUE(read(*host.queue, 1, 100, 8, iscsi_block) == pattern(8 * iscsi_block, 1));
    EXPECT_EQ(format(host, 1), held_by_reservations);
  }
  daemon.kill();  // and with it what was registered
  ASSERT_TRUE(daemon.start());
  Host host(daemon.endpoint());
  ASSERT_TRUE(host.connected());
  EXPECT_TRUE(read(*host.queue, 1, 100, 8, iscsi_block) == pattern(8 * iscsi_block, 1));
  EXPECT_EQ(format(host, 1, erases_user_data | with_4096), 0);
  EXPECT_TRUE(read(*host.queue, 1, 100, 8, iscsi_block) == Bytes(8 * iscsi_block));
  write_and_read_back(*host.queue, 1, 100, 8, iscsi_block, 2);
  EXPECT_TRUE(daemon.await_log({"volume=big formatted"}));
  EXPECT_TRUE(daemon.await_event("volume.format-started", "big"));
  EXPECT_TRUE(daemon.await_event("volume.formatted", "big"));
}

// Its disk keeps silent: so it is under way for as long as the test likes.
TEST_F(Format, GoesOnAfterTheDaemonWasKilled) {
  ASSERT_TRUE(start_on_a_disk_that_may_hang());
  {
    Host host(daemon.endpoint());
    ASSERT_TRUE(host.connected());
    write(*host.queue, 1, 100, pattern(8 * iscsi_block, 1), iscsi_block);
    write_file(hung, "");
    const auto asked = host.controller->admin().submit(client::admin::format_nvm(1, with_4096));
    ASSERT_GOOD(asked);
    ASSERT_TRUE(daemon.await_status([](const boost::json::value& status) {
      const auto note = named(status, "volumes", "big").at("note").as_string();
      return note.find("being formatted") != std::string::npos;
    }));
    EXPECT_EQ(status_of(*host.queue, client::io::read(1, 100, 1, iscsi_block)), is_being_formatted);
    EXPECT_EQ(status_of(*host.queue, client::io::write(1, 5, Bytes(iscsi_block), iscsi_block)),
              is_being_formatted);
    const auto initiator = iscsi::Session::open(to_target(iscsi_endpoint(daemon.config())));
    ASSERT_GOOD(initiator);
    auto told = initiator.value()->execute(scsi::test_unit_ready());
    for (int i = 0; told && told.value().sense_key() == key_unit_attention && i < 16; ++i) {
      told = initiator.value()->execute(scsi::test_unit_ready());
    }
    ASSERT_GOOD(told);
    EXPECT_EQ(told.value().sense_key(), key_not_ready);
    EXPECT_EQ(told.value().additional_sense(), format_in_progress_code);
    ASSERT_TRUE(await_kept());
    daemon.kill();
  }
  std::filesystem::remove(hung);
  ASSERT_TRUE(daemon.start());
  Host host(daemon.endpoint());
  ASSERT_TRUE(host.connected());
  ASSERT_TRUE(daemon.await_log({"volume=big formatted"}, recovery_time_out));
  EXPECT_TRUE(read(*host.queue, 1, 100, 8, iscsi_block) == Bytes(8 * iscsi_block));
  write_and_read_back(*host.queue, 1, 100, 8, iscsi_block, 2);
}

// 4096, 512 and 4096 again, under the file that the volume was made with.
class FormatOtherBlocks : public testing::TestWithParam<bool> {
 protected:
  static constexpr std::uint64_t bytes = 64U << 20;

  FormatOtherBlocks() : daemon(workplace, config()) {}
  ConfigText config() {
    ConfigText text = with_iscsi(file_config(workplace.make_pool("pool")));
    if (GetParam()) text.caches = {{.path = workplace.make_cache("cache", "24MiB")}};
    for (VolumeText& volume : text.volumes) {
      volume.allow_format = volume.name == "big";
      if (GetParam() && volume.name == "big") volume.cache = "device: front, max_dirty_age: 1h";
    }
    return text;
  }
  // By NVMe and by status.
  void expect_blocks(Host& host, std::uint32_t block) {
    const auto shown = host.controller->identify_namespace(1);
    ASSERT_GOOD(shown);
    EXPECT_EQ(shown.value().block_bytes, block);
    EXPECT_EQ(shown.value().blocks, bytes / block);
    const auto volume = named(daemon.status(), "volumes", "big");
    EXPECT_EQ(volume.at("block_size").to_number<std::uint32_t>(), block);
    EXPECT_EQ(volume.at("state").as_string(), "online");
    const bool is_told =
        volume.at("note").as_string().find("set by a host's format") != boost::json::string::npos;
    EXPECT_EQ(is_told, block != 4096) << volume.at("note");
  }
  void expect_zeros(Host& host, std::uint32_t block) {
    for (const std::uint64_t at : {std::uint64_t{0}, bytes / 2, bytes - (64U << 10)}) {
      EXPECT_TRUE(read(*host.queue, 1, at / block, (64U << 10) / block, block) == Bytes(64U << 10));
    }
  }

  Workplace workplace;
  Daemon daemon;
};

TEST_P(FormatOtherBlocks, TakesThePlaceOfWhatWas) {
  ASSERT_TRUE(daemon.start());
  client::NamespaceData before;
  {
    Host host(daemon.endpoint());
    ASSERT_TRUE(host.connected());
    for (const std::uint64_t at : {std::uint64_t{0}, bytes / 2, bytes - (64U << 10)}) {
      write(*host.queue, 1, at / 4096, pattern(64U << 10, at), 4096);
    }
    before = host.controller->identify_namespace(1).value();
    const auto event = request_event(*host.controller, attribute_notices);
    ASSERT_GOOD(event);
    EXPECT_EQ(status_of(host.controller->admin(), client::admin::format_nvm(1, 2)), 0x10a)
        << "Invalid Format";
    ASSERT_EQ(status_of(host.controller->admin(), client::admin::format_nvm(1, with_512)), 0);
    const auto told = host.controller->admin().await(event.value());
    ASSERT_GOOD(told);
    EXPECT_EQ(told.value().dw0(), 0x040002U) << "a notice, namespace attribute changed, log 04h";
    expect_blocks(host, 512);
    EXPECT_EQ(host.controller->identify_namespace(1).value().nguid, before.nguid);
    expect_zeros(host, 512);
    write_and_read_back(*host.queue, 1, bytes / 512 - 3, 3, 512, 1);
  }
  {
    const auto initiator = open_session(to_target(iscsi_endpoint(daemon.config())));
    ASSERT_TRUE(initiator);
    const Bytes capacity = execute(*initiator, scsi::read_capacity_16()).data;
    EXPECT_EQ(client::get_big(capacity, 0, 8) + 1, bytes / 512);
    EXPECT_EQ(client::get_big(capacity, 8, 4), 512U);
    EXPECT_TRUE(read(*initiator, 0, bytes / 512 - 3, 3, 512) == pattern(std::size_t{3} * 512, 1));
  }
  daemon.kill();
  ASSERT_TRUE(daemon.start()) << "under the file that says 4096";
  Host host(daemon.endpoint());
  ASSERT_TRUE(host.connected());
  expect_blocks(host, 512);
  EXPECT_TRUE(read(*host.queue, 1, bytes / 512 - 3, 3, 512) == pattern(std::size_t{3} * 512, 1));
  for (const std::uint32_t written : {512U, 4096U}) {
    daemon.config().volumes.front().block_size = written;
    daemon.reload();
    const auto shown = host.controller->identify_namespace(1);
    ASSERT_GOOD(shown);
    EXPECT_EQ(shown.value().block_bytes, 512U);
  }
  ASSERT_EQ(status_of(host.controller->admin(), client::admin::format_nvm(1, with_4096)), 0);
  expect_blocks(host, 4096);
  expect_zeros(host, 4096);
  write_and_read_back(*host.queue, 1, bytes / 4096 - 3, 3, 4096, 2);
  EXPECT_EQ(host.controller->identify_namespace(1).value().nguid, before.nguid);
  EXPECT_TRUE(daemon.await_status([](const boost::json::value& status) {
    return status.at("removed_volumes").to_number<int>() == 0;
  })) << "what was there before is freed";
}

INSTANTIATE_TEST_SUITE_P(WithACacheAndWithout, FormatOtherBlocks, testing::Bool());

// From the moment that the pool has it the volume has the new blocks, whatever had been zeroed.
TEST_F(Format, WithOtherBlocksGoesOnAfterTheDaemonWasKilled) {
  ASSERT_TRUE(start_on_a_disk_that_may_hang());
  {
    Host host(daemon.endpoint());
    ASSERT_TRUE(host.connected());
    write(*host.queue, 1, 100, pattern(8 * iscsi_block, 1), iscsi_block);
    write_file(hung, "");
    ASSERT_GOOD(host.controller->admin().submit(client::admin::format_nvm(1, with_512)));
    ASSERT_TRUE(await_kept());
    daemon.kill();
  }
  std::filesystem::remove(hung);
  ASSERT_TRUE(daemon.start());
  Host host(daemon.endpoint());
  ASSERT_TRUE(host.connected());
  ASSERT_TRUE(daemon.await_log({"volume=big formatted, blocks=512"}, recovery_time_out));
  const auto shown = host.controller->identify_namespace(1);
  ASSERT_GOOD(shown);
  EXPECT_EQ(shown.value().block_bytes, 512U);
  EXPECT_TRUE(read(*host.queue, 1, 800, 64, 512) == Bytes(8 * iscsi_block));
  write_and_read_back(*host.queue, 1, 803, 3, 512, 2);
}

}  // namespace
}  // namespace end_to_end
