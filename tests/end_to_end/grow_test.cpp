// Growing a volume while a host uses it, and what the configuration says of it afterwards.
#include <gtest/gtest.h>

#include "tests/end_to_end/harness/daemon.h"
#include "tests/end_to_end/harness/host.h"

namespace end_to_end {
namespace {

Outcome grow(Daemon& daemon, const std::string& name, const std::string& size) {
  return run({.arguments = {FOREBAYCTL, "volume", "grow", name, size, "--socket",
                            daemon.config().control_socket}});
}

TEST(Grow, AVolumeGrowsUnderItsHostAndStaysLargeOverARestart) {
  Workplace workplace;
  Daemon daemon(workplace, file_config(workplace.make_pool("pool")));
  ASSERT_TRUE(daemon.start());
  {
    Host host(daemon.endpoint());
    ASSERT_TRUE(host.connected());
    ASSERT_NO_FATAL_FAILURE(write(*host.queue, 1, 5, pattern(4096, 1), 4096));
    const auto event = request_event(*host.controller, attribute_notices);
    ASSERT_GOOD(event);
    const Outcome grown = grow(daemon, "big", "128MiB");
    EXPECT_EQ(grown.exit.code, 0) << grown.output;
    EXPECT_NE(grown.output.find("Write size: 128MiB"), std::string::npos) << grown.output;
    const auto told = host.controller->admin().await(event.value());
    ASSERT_GOOD(told);
    EXPECT_EQ(told.value().dw0(), 0x040002U) << "a notice, Namespace Attribute Changed, log 04h";
    const auto space = host.controller->identify_namespace(1);
    ASSERT_GOOD(space);
    EXPECT_EQ(space.value().blocks, (128U << 20) / 4096);
    write_and_read_back(*host.queue, 1, (128 << 20) / 4096 - 8, 8, 4096, 2);
  }
  daemon.stop();
  ASSERT_TRUE(daemon.start());  // with the configuration as it was
  const auto big = named(daemon.status(), "volumes", "big");
  EXPECT_EQ(big.at("state").as_string(), "online") << big.at("reason");
  EXPECT_EQ(big.at("size_bytes").to_number<std::uint64_t>(), 128U << 20);
  EXPECT_NE(big.at("note").as_string().find("the configured 64MiB is smaller than the existing "
                                            "128MiB, which is served; shrinking is refused."),
            std::string::npos)
      << big.at("note");
  const Outcome screen =
      run({.arguments = {FOREBAYCTL, "status", "--socket", daemon.config().control_socket}});
  EXPECT_EQ(screen.exit.code, 0) << "no trouble\n" << screen.output;
  EXPECT_NE(screen.output.find("- volume big: the configured 64MiB"), std::string::npos)
      << screen.output;
  Host host(daemon.endpoint());
  ASSERT_TRUE(host.connected());
  EXPECT_TRUE(read(*host.queue, 1, 5, 1, 4096) == pattern(4096, 1));
  write_and_read_back(*host.queue, 1, (128 << 20) / 4096 - 8, 8, 4096, 3);
}

TEST(Grow, IsRefusedInOneLine) {
  Workplace workplace;
  Daemon daemon(workplace, file_config(workplace.make_pool("pool")));
  ASSERT_TRUE(daemon.start());
  struct Row {
    const char* name;
    const char* size;
    const char* reason;
  };
  for (const Row& row :
       {Row{"big", "1MiB",
            "1MiB is smaller than the existing 64MiB; shrinking is "
            "refused."},
        Row{"big", "128", "no unit"}, Row{"big", "1000KB", "multiple of 4KiB"},
        Row{"big", "1000TiB", "there is no space"}, Row{"big", "2000TiB", "at most 1024TiB"},
        Row{"none", "1GiB", "there is no volume none"},
        Row{"../status", "1GiB", "there is no volume"}}) {
    const Outcome refused = grow(daemon, row.name, row.size);
    EXPECT_EQ(refused.exit.code, 1) << refused.output;
    EXPECT_NE(refused.output.find(row.reason), std::string::npos) << refused.output;
    EXPECT_EQ(std::count(refused.output.begin(), refused.output.end(), '\n'), 1);
  }
  EXPECT_EQ(named(daemon.status(), "volumes", "big").at("size_bytes").to_number<std::uint64_t>(),
            64U << 20);
}

}  // namespace
}  // namespace end_to_end
