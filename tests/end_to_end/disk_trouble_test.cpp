// A disk that reports errors: the log names it once, status counts what it does, and the screen has
// a line of it.
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/end_to_end/harness/daemon.h"
#include "tests/end_to_end/harness/host.h"

namespace end_to_end {
namespace {

boost::json::value disk_of(const boost::json::value& status) {
  return named(status, "pools", "disk").at("disks").at(0);
}

// Cut short beneath the daemon, as a disk that loses its end.
TEST(DiskTrouble, ErrorsAreCountedAndToldOnce) {
  Workplace workplace;
  Daemon daemon(workplace, file_config(workplace.make_pool("pool")));
  ASSERT_TRUE(daemon.start());
  Host host(daemon.endpoint());
  ASSERT_TRUE(host.connected());
  write_and_read_back(*host.queue, 1, 0, 8, 4096, 1);
  const auto before = disk_of(daemon.status());
  EXPECT_EQ(before.at("path").as_string(), workplace.path("pool"));
  EXPECT_GT(before.at("writes").at("count").to_number<std::uint64_t>(), 0U);
  EXPECT_GT(before.at("reads").at("count").to_number<std::uint64_t>(), 0U);
  EXPECT_GT(before.at("writes").at("p99_us").to_number<std::uint64_t>(), 0U);
  EXPECT_TRUE(before.at("last_error").is_null());
  EXPECT_TRUE(before.at("outlier").is_null());
  EXPECT_TRUE(before.at("troubles").as_array().empty());

  std::filesystem::resize_file(workplace.path("pool/big.raw"), 8192);
  EXPECT_NE(status_of(*host.queue, client::io::read(1, 16, 1, 4096)), 0);
  EXPECT_TRUE(daemon.await_status([](const boost::json::value& status) {
    return !disk_of(status).at("troubles").as_array().empty();
  }));
  const auto status = daemon.status();
  const auto disk = disk_of(status);
  EXPECT_EQ(disk.at("reads").at("errors").to_number<std::uint64_t>(), 1U);
  EXPECT_EQ(disk.at("last_error").at("kind").as_string(), "read");
  EXPECT_EQ(disk.at("last_error").at("offset_bytes").to_number<std::uint64_t>(), 65536U);
  EXPECT_TRUE(disk.at("last_error").at("lba").is_null()) << "of a file";
  EXPECT_EQ(named(status, "volumes", "big").at("pool_errors").to_number<std::uint64_t>(), 1U);
  EXPECT_TRUE(status.at("healthy").as_bool()) << "all is served";
  EXPECT_TRUE(daemon.await_log({"pools.disk.directory", "reports errors since",
                                "a read at byte 65536 of a file there failed"}));
  const Outcome screen =
      run({.arguments = {FOREBAYCTL, "status", "--socket", daemon.config().control_socket}});
  EXPECT_NE(screen.output.find("- pool disk: disk " + workplace.path("pool")), std::string::npos)
      << screen.output;
}

}  // namespace
}  // namespace end_to_end
