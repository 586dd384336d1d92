// Deep queues, many queues, both address families.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <set>

#include "tests/end_to_end/harness/daemon.h"
#include "tests/end_to_end/harness/host.h"

namespace end_to_end {
namespace {

namespace io = client::io;

void await_all(Queue& queue, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    const auto done = queue.await_any();
    ASSERT_GOOD(done);
    ASSERT_TRUE(done.value().ok()) << done.value().describe();
  }
}

// A queue of 1024 entries holds 1023 commands (Base 2.0, section 3.3.3.1: full is one less).
TEST(Queues, Depth1024IsServedWhateverTheDataComesBy) {
  Workplace workplace;
  Daemon daemon(workplace, memory_config());
  ASSERT_TRUE(daemon.start());
  const auto controller = attach(daemon.endpoint());
  ASSERT_TRUE(controller);
  std::uint16_t id = 0;
  for (const bool flow_control : {false, true}) {
    for (const auto transfer : {client::Transfer::in_capsule, client::Transfer::by_r2t}) {
      const auto queue = open_queue(*controller, ++id, 1024, flow_control);
      ASSERT_TRUE(queue);
      EXPECT_EQ(queue->entries(), 1024);
      constexpr std::uint64_t depth = 1023;
      for (std::uint64_t i = 0; i < depth; ++i) {
        auto command = io::write(1, i, pattern(4096, id * 10'000ULL + i), 4096);
        command.transfer = transfer;
        ASSERT_GOOD(queue->submit(std::move(command)));
      }
      ASSERT_NO_FATAL_FAILURE(await_all(*queue, depth));
      std::vector<std::uint16_t> cids;
      for (std::uint64_t i = 0; i < depth; ++i) {
        const auto cid = queue->submit(io::read(1, i, 1, 4096));
        ASSERT_GOOD(cid);
        cids.push_back(cid.value());
      }
      for (std::uint64_t i = 0; i < depth; ++i) {
        const auto done = queue->await(cids[i]);
        ASSERT_GOOD(done);
        ASSERT_TRUE(done.value().data == pattern(4096, id * 10'000ULL + i)) << "block " << i;
      }
    }
  }
  const auto too_deep = controller->open_io_queue(++id, 1025);
  EXPECT_FALSE(too_deep) << "CAP.MQES says 1024";
}

TEST(Queues, AControllerHas128IoQueuesThatWorkAtTheSameTime) {
  Workplace workplace;
  ConfigText config = memory_config();
  config.reactors = 2;
  Daemon daemon(workplace, config);
  ASSERT_TRUE(daemon.start());
  const auto controller = attach(daemon.endpoint());
  ASSERT_TRUE(controller);
  const auto granted = controller->request_io_queues(128);
  ASSERT_GOOD(granted);
  ASSERT_EQ(granted.value(), 128);
  std::vector<std::unique_ptr<Queue>> queues;
  for (std::uint16_t id = 1; id <= 128; ++id) {
    queues.push_back(open_queue(*controller, id, 32));
    ASSERT_TRUE(queues.back()) << "queue " << id;
  }
  EXPECT_FALSE(controller->open_io_queue(129, 32)) << "one more than the controller has";
  EXPECT_FALSE(controller->open_io_queue(7, 32)) << "queue 7 is connected already";
  for (std::size_t i = 0; i < queues.size(); ++i) {
    for (std::uint64_t k = 0; k < 16; ++k) {
      ASSERT_GOOD(queues[i]->submit(io::write(1, i * 16 + k, pattern(4096, i * 16 + k), 4096)));
    }
  }
  for (const auto& queue : queues) ASSERT_NO_FATAL_FAILURE(await_all(*queue, 16));
  for (std::size_t i = 0; i < queues.size(); ++i) {
    Bytes expected;
    const std::size_t other = queues.size() - 1 - i;  // what another queue has written
    for (std::uint64_t k = 0; k < 16; ++k) {
      const Bytes block = pattern(4096, other * 16 + k);
      expected.insert(expected.end(), block.begin(), block.end());
    }
    EXPECT_TRUE(read(*queues[i], 1, other * 16, 16, 4096) == expected) << "queue " << i + 1;
  }
  queues[6].reset();
  const auto again = open_queue(*controller, 7, 32);  // the identifier is free once it is closed
  ASSERT_TRUE(again);
  write_and_read_back(*again, 2, 0, 8, 512, 1);
}

TEST(Queues, ASecondHostSeesWhatTheFirstWrote) {
  Workplace workplace;
  Daemon daemon(workplace, memory_config());
  ASSERT_TRUE(daemon.start());
  Host first(daemon.endpoint());
  Host second(daemon.endpoint());
  ASSERT_TRUE(first.connected() && second.connected());
  EXPECT_NE(first.controller->id(), second.controller->id());
  for (std::uint64_t i = 0; i < 50; ++i) {
    const Bytes data = pattern(4096, i);
    ASSERT_NO_FATAL_FAILURE(write(i % 2 == 0 ? *first.queue : *second.queue, 1, i, data, 4096));
    EXPECT_TRUE(read(i % 2 == 0 ? *second.queue : *first.queue, 1, i, 1, 4096) == data);
  }
}

TEST(Queues, BothFamiliesAndTheWildcardListener) {
  Workplace workplace;
  ConfigText config = memory_config();
  config.listeners = {{.name = "v6", .address = "::1"}, {.name = "all", .address = "*"}};
  config.subsystems[0].listeners = "[v6, all]";
  Daemon daemon(workplace, config);
  ASSERT_TRUE(daemon.start());
  const std::uint16_t any = daemon.endpoint(1).port;
  std::uint64_t seed = 0;
  for (const client::Endpoint& endpoint :
       {daemon.endpoint(0), client::Endpoint{"127.0.0.1", any}, client::Endpoint{"127.0.0.9", any},
        client::Endpoint{"::1", any}}) {
    SCOPED_TRACE(endpoint.text());
    Host host(endpoint);
    ASSERT_TRUE(host.connected());
    write_and_read_back(*host.queue, 1, 0, 16, 4096, ++seed);
    daemon.await_log({"host=", endpoint.host.find(':') == std::string::npos ? "peer=127.0.0.1:"
                                                                            : "peer=[::1]:"});
  }
}

TEST(Queues, ConnectionsBeyondTheListenersLimitAreTurnedAwayAndNobodyElse) {
  Workplace workplace;
  ConfigText config = memory_config();
  config.listeners = {{.options = "max_connections: 4"}};
  Daemon daemon(workplace, config);
  ASSERT_TRUE(daemon.start());
  Host first(daemon.endpoint());
  ASSERT_TRUE(first.connected());
  {
    Host second(daemon.endpoint());
    ASSERT_TRUE(second.connected());
    for (int i = 0; i < 20; ++i) {
      auto third = client::RawConnection::connect(daemon.endpoint());
      ASSERT_GOOD(third);
      EXPECT_GOOD(third.value()->await_end());
    }
    write_and_read_back(*first.queue, 1, 0, 64, 4096, 1);
    write_and_read_back(*second.queue, 1, 64, 64, 4096, 2);
  }
  EXPECT_TRUE(daemon.await_status([](const boost::json::value& status) {
    return status.at("listeners").as_array()[0].at("connections").to_number<int>() == 2;
  }));
  Host third(daemon.endpoint());
  EXPECT_TRUE(third.connected());
}

// Fifty times, as `nvme connect` and `nvme disconnect` would: nothing is left behind.
TEST(Queues, ConnectingAndDisconnectingLeavesNothingBehind) {
  Workplace workplace;
  Daemon daemon(workplace, memory_config());
  ASSERT_TRUE(daemon.start());
  const auto cycle = [&daemon](int i) {
    Host host(daemon.endpoint());
    ASSERT_TRUE(host.connected());
    write_and_read_back(*host.queue, 1, 0, 16, 4096, static_cast<std::uint64_t>(i));
    if (i % 3 == 0) {  // in order; the others just close
      EXPECT_EQ(status_of(*host.queue, client::disconnect_command()), 0);
      EXPECT_GOOD(host.controller->shut_down());
    }
  };
  const auto idle = [&daemon](const boost::json::value& status) {
    return status.at("hosts").as_array().empty() &&
           status.at("listeners").as_array()[0].at("connections").to_number<int>() == 0;
  };
  for (int i = 0; i < 5; ++i) ASSERT_NO_FATAL_FAILURE(cycle(i));
  ASSERT_TRUE(daemon.await_status(idle));
  const Usage before = daemon.usage();
  for (int i = 0; i < 50; ++i) ASSERT_NO_FATAL_FAILURE(cycle(i));
  ASSERT_TRUE(daemon.await_status(idle));
  const Usage after = daemon.usage();
  EXPECT_EQ(after.descriptors, before.descriptors);
  EXPECT_LE(after.resident_bytes, before.resident_bytes + (4U << 20) + sanitizer_bytes);
}

}  // namespace
}  // namespace end_to_end
