// The Persistent Event log of a subsystem over the ends of the daemon, and what an orderly one
// tells.
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <thread>

#include "tests/end_to_end/harness/daemon.h"
#include "tests/end_to_end/harness/host.h"

namespace end_to_end {
namespace {

constexpr const char* known_host = "nqn.2026-11.com.example:known";
constexpr std::uint32_t shutdown_notices = 1U << 15;

// By the specification's offsets, not by the target's structs.
struct KeptEvents {
  std::uint64_t power_cycles = 0;
  std::uint64_t length = 0;
  std::vector<Bytes> events{};  // newest first, each with its header

  [[nodiscard]] int of(unsigned type, const std::string& text = {}) const {
    int found = 0;
    for (const Bytes& event : events) {
      const std::string_view all(reinterpret_cast<const char*>(event.data()), event.size());
      found +=
          std::to_integer<unsigned>(event[0]) == type && all.find(text) != std::string_view::npos;
    }
    return found;
  }
};

std::uint64_t number_at(const Bytes& bytes, std::size_t offset, std::size_t size) {
  std::uint64_t value = 0;
  for (std::size_t i = size; i-- > 0;) {
    value = value << 8 | std::to_integer<std::uint64_t>(bytes.at(offset + i));
  }
  return value;
}

KeptEvents kept_events(Controller& controller) {
  const auto page = [&](std::uint8_t action, std::uint32_t bytes) {
    auto done = controller.read_log({.lid = 0x0d, .bytes = bytes, .lsp = action});
    EXPECT_GOOD(done);
    return done ? std::move(done).value() : Bytes();
  };
  const Bytes header = page(1, 512);
  KeptEvents kept;
  if (header.size() != 512) return kept;
  kept.length = number_at(header, 8, 8);
  kept.power_cycles = number_at(header, 44, 8);
  const Bytes all = page(0, static_cast<std::uint32_t>(kept.length));
  (void)page(2, 512);
  std::size_t at = 512;
  for (std::uint64_t i = 0; i < number_at(header, 4, 4); ++i) {
    const std::size_t bytes = 3 + number_at(all, at + 2, 1) + number_at(all, at + 22, 2);
    kept.events.emplace_back(all.begin() + static_cast<std::ptrdiff_t>(at),
                             all.begin() + static_cast<std::ptrdiff_t>(at + bytes));
    at += bytes;
  }
  EXPECT_LT(at, all.size());
  return kept;
}

bool comes_to_disk(const std::string& folder, const std::string& host) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (std::chrono::steady_clock::now() < deadline) {
    for (const auto& file : std::filesystem::directory_iterator(folder)) {
      if (!file.path().filename().string().starts_with("nvme-events.")) continue;
      std::ifstream in(file.path(), std::ios::binary);
      const std::string all{std::istreambuf_iterator<char>(in), {}};
      if (all.find(host) != std::string::npos) return true;
    }
    std::this_thread::sleep_for(Milliseconds{10});  // a file can only be looked at
  }
  return false;
}

TEST(EventLog, OutlivesTheDaemonHoweverItEnds) {
  Workplace workplace;
  Daemon daemon(workplace, memory_config());
  ASSERT_TRUE(daemon.start());
  {
    Host host(daemon.endpoint(), {.host_nqn = known_host});
    ASSERT_TRUE(host.connected());
    const KeptEvents first = kept_events(*host.controller);
    EXPECT_EQ(first.power_cycles, 1U);
    EXPECT_EQ(first.of(0x04), 1);
    EXPECT_EQ(first.of(0xde, known_host), 1) << "it has connected";
  }
  daemon.stop();
  ASSERT_TRUE(daemon.start());
  {
    const auto controller =
        attach(daemon.endpoint(), {.host_nqn = "nqn.2026-11.com.example:second"});
    ASSERT_TRUE(controller);
    const KeptEvents second = kept_events(*controller);
    EXPECT_EQ(second.power_cycles, 2U);
    EXPECT_EQ(second.of(0x04), 2);
    EXPECT_EQ(second.of(0xde, known_host), 2) << "it came, and went";
    EXPECT_EQ(second.of(0x01), 1) << "and its health was remembered";
    EXPECT_EQ(second.of(0x05), 0) << "that was an orderly end";
    // Off the data path: a moment later.
    ASSERT_TRUE(comes_to_disk(daemon.state_directory, controller->options().host_nqn));
    daemon.kill();  // it is connected still
  }
  ASSERT_TRUE(daemon.start());
  const auto controller = attach(daemon.endpoint());
  ASSERT_TRUE(controller);
  const KeptEvents third = kept_events(*controller);
  EXPECT_EQ(third.power_cycles, 3U);
  EXPECT_EQ(third.of(0x05), 1) << "an unexpected end";
  EXPECT_EQ(third.of(0xde, known_host), 2);
  EXPECT_EQ(third.of(0xde, "nqn.2026-11.com.example:second"), 1) << "it came, and never went";
}

TEST(EventLog, WhoAskedForItHearsOfAnOrderlyEnd) {
  Workplace workplace;
  Daemon daemon(workplace, memory_config());
  ASSERT_TRUE(daemon.start());
  const auto controller = attach(daemon.endpoint());
  ASSERT_TRUE(controller);
  const auto event = request_event(*controller, shutdown_notices);
  ASSERT_GOOD(event);
  daemon.stop();
  const auto told = controller->admin().await(event.value());
  ASSERT_GOOD(told);
  EXPECT_TRUE(told.value().ok());
  EXPECT_EQ(told.value().dw0(), 3U) << "immediate, normal shutdown of the subsystem, no log";
}

}  // namespace
}  // namespace end_to_end
