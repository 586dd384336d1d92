// A write of an association that has ended never lands after a newer one.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/end_to_end/harness/daemon.h"
#include "tests/end_to_end/harness/host.h"

namespace end_to_end {
namespace {

constexpr std::uint64_t hot_blocks = 8;

Bytes version(std::uint64_t round, bool newer) { return pattern(32768, round * 2 + newer); }

// Many writes over the same blocks in flight, the connection cut, the same host back at once with a
// newer write: what it reads from then on is that.
TEST(StaleWrite, WritesInFlightAtTheCutNeverCoverTheNewerOne) {
  Workplace workplace;
  for (const bool on_disk : {true, false}) {
    ConfigText config = on_disk ? file_config(workplace.make_pool("pool")) : memory_config();
    config.reactors = 2;
    Daemon daemon(workplace, config);
    ASSERT_TRUE(daemon.start());
    const std::string nqn = client::random_host_nqn();
    const auto turns = static_cast<std::uint64_t>(rounds(40, 2'000));
    for (std::uint64_t round = 0; round < turns; ++round) {
      SCOPED_TRACE(fmt::format("round {}", round));
      Host dying(daemon.endpoint(), {.host_nqn = nqn});
      ASSERT_TRUE(dying.connected());
      for (int i = 0; i < 64; ++i) {
        auto command = client::io::write(1, 0, version(round, false), 4096);
        if (i % 2 == 0) command.transfer = client::Transfer::by_r2t;
        ASSERT_GOOD(dying.queue->submit(std::move(command)));
      }
      if (round % 2 == 0) {
        ASSERT_GOOD(dying.queue->await_any());  // they are being executed
      }
      Host back(daemon.endpoint(), {.host_nqn = nqn});
      ASSERT_TRUE(back.connected());
      dying.queue->raw().abort_close();
      dying.controller->admin().raw().abort_close();
      // The association's end is what counts: the newer write waits for those still in flight.
      ASSERT_TRUE(daemon.await_status([](const boost::json::value& status) {
        return status.at("hosts").as_array().size() == 1;
      }));
      ASSERT_NO_FATAL_FAILURE(write(*back.queue, 1, 0, version(round, true), 4096));
      for (int i = 0; i < 20; ++i) {
        ASSERT_TRUE(read(*back.queue, 1, 0, hot_blocks, 4096) == version(round, true))
            << "an old write came after the newer one, read " << i;
      }
    }
    daemon.stop();
  }
}

// The data of a write comes after its association has ended by Disconnect: it is not taken.
TEST(StaleWrite, DataThatWasStillOwedIsNeverWritten) {
  Workplace workplace;
  Daemon daemon(workplace, memory_config());
  ASSERT_TRUE(daemon.start());
  Host back(daemon.endpoint());
  ASSERT_TRUE(back.connected());
  for (std::uint64_t round = 0; round < 20; ++round) {
    Host dying(daemon.endpoint());
    ASSERT_TRUE(dying.connected());
    auto command = client::io::write(1, 0, version(round, false), 4096);
    command.transfer = client::Transfer::by_r2t;
    command.hold_data = true;
    const auto cid = dying.queue->submit(std::move(command));
    ASSERT_GOOD(cid);
    const auto r2t = dying.queue->await_r2t(cid.value());
    ASSERT_GOOD(r2t);
    ASSERT_GOOD(dying.queue->send_data(r2t.value(), 0, 16384, false));
    ASSERT_NO_FATAL_FAILURE(write(*back.queue, 1, 0, version(round, true), 4096));
    ASSERT_GOOD(dying.controller->disable());
    (void)dying.queue->send_data(r2t.value(), 16384, 16384, true);
    const auto done = dying.queue->await(cid.value());
    EXPECT_TRUE(!done || !done.value().ok()) << "answered after the controller was reset";
    ASSERT_TRUE(read(*back.queue, 1, 0, hot_blocks, 4096) == version(round, true));
  }
}

}  // namespace
}  // namespace end_to_end
