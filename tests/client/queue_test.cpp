#include "tests/client/queue.h"

#include <gtest/gtest.h>

#include "engine/foundation/random.h"
#include "tests/client/controller.h"
#include "tests/client/fake_target.h"

namespace client {
namespace {

constexpr std::uint32_t block = 4096;

Bytes random_bytes(std::size_t bytes, std::uint64_t seed) {
  Bytes data(bytes);
  engine::SeededRandom random(seed);
  random.fill(data);
  return data;
}

struct Attached {
  std::unique_ptr<Controller> controller;
  std::unique_ptr<Queue> queue;
};

Attached attach(const FakeTarget& target, const TransportOptions& transport = {},
                bool flow_control = false) {
  auto controller = Controller::attach({.endpoint = target.endpoint(),
                                        .transport = transport,
                                        .subsystem_nqn = FakeTarget::subsystem_nqn});
  if (!controller) {
    ADD_FAILURE() << controller.error().describe();
    return {};
  }
  auto queue = controller.value()->open_io_queue(1, 32, flow_control);
  if (!queue) {
    ADD_FAILURE() << queue.error().describe();
    return {};
  }
  return {std::move(controller.value()), std::move(queue.value())};
}

// Writes and reads back through every way data can take.
void write_and_read_back(Queue& queue, std::uint32_t blocks, std::uint64_t seed) {
  const Bytes data = random_bytes(std::size_t{blocks} * block, seed);
  auto written = queue.execute(io::write(1, seed, data, block));
  ASSERT_TRUE(written) << written.error().describe();
  ASSERT_TRUE(written.value().ok()) << written.value().describe();
  auto read = queue.execute(io::read(1, seed, blocks, block));
  ASSERT_TRUE(read) << read.error().describe();
  EXPECT_TRUE(read.value().ok());
  EXPECT_TRUE(read.value().data == data);
}

TEST(Queue, DataComesBackThroughCapsulesAndR2tsOverBothFamilies) {
  for (const char* address : {"127.0.0.1", "::1"}) {
    FakeTarget target({.address = address});
    auto [controller, queue] = attach(target);
    ASSERT_TRUE(queue);
    write_and_read_back(*queue, 1, 1);
    EXPECT_EQ(queue->r2t_seen(), 0u);
    write_and_read_back(*queue, 64, 2);
    EXPECT_EQ(queue->r2t_seen(), 1u);
  }
}

TEST(Queue, DataComesBackWithDigestsAndAnyAlignment) {
  FakeTarget target({.cpda = 7, .fault = Fault::none});
  for (const bool header : {false, true}) {
    for (const bool data : {false, true}) {
      for (const int hpda : {0, 15, 31}) {
        auto [controller, queue] = attach(target, {.header_digest = header,
                                                   .data_digest = data,
                                                   .hpda = static_cast<std::uint8_t>(hpda)});
        ASSERT_TRUE(queue);
        EXPECT_EQ(queue->negotiated().header_digest, header);
        write_and_read_back(*queue, 1, 10);
        write_and_read_back(*queue, 40, 20);
      }
    }
  }
}

TEST(Queue, ManyPiecesBothWaysArriveInOrder) {
  FakeTarget target({.maxh2cdata = 4096, .r2t_bytes = 16384, .c2h_piece_bytes = 8192});
  auto [controller, queue] = attach(target);
  ASSERT_TRUE(queue);
  write_and_read_back(*queue, 64, 3);
  EXPECT_EQ(queue->r2t_seen(), 16u);
  EXPECT_EQ(queue->c2h_data_seen(), 32u);
}

TEST(Queue, ResponsesInsteadOfTheSuccessFlagAndFlowControlWork) {
  FakeTarget target({.success_flag = false});
  auto [controller, queue] = attach(target, {}, /*flow_control=*/true);
  ASSERT_TRUE(queue);
  EXPECT_TRUE(queue->flow_control());
  for (std::uint64_t i = 0; i < 100; ++i) write_and_read_back(*queue, 1, i);
}

TEST(Queue, ManyCommandsInFlightCompleteEach) {
  FakeTarget target;
  auto [controller, queue] = attach(target);
  ASSERT_TRUE(queue);
  std::vector<std::uint16_t> cids;
  for (std::uint64_t i = 0; i < 200; ++i) {
    auto cid = queue->submit(io::write(1, i, random_bytes(block, i), block));
    ASSERT_TRUE(cid);
    cids.push_back(cid.value());
  }
  for (auto cid = cids.rbegin(); cid != cids.rend(); ++cid) {
    auto done = queue->await(*cid);
    ASSERT_TRUE(done) << done.error().describe();
    EXPECT_TRUE(done.value().ok());
  }
  EXPECT_EQ(queue->in_flight(), 0u);
}

TEST(Queue, HeldDataIsSentWhenTheTestSaysSo) {
  FakeTarget target;
  auto [controller, queue] = attach(target);
  ASSERT_TRUE(queue);
  Command write = io::write(1, 0, random_bytes(16 * block, 5), block);
  write.hold_data = true;
  auto cid = queue->submit(write);
  ASSERT_TRUE(cid);
  auto r2t = queue->await_r2t(cid.value());
  ASSERT_TRUE(r2t) << r2t.error().describe();
  EXPECT_EQ(r2t.value().bytes, 16 * block);
  EXPECT_TRUE(queue->stays_silent(Milliseconds{20}).value());
  // Another command overtakes the one whose data is withheld.
  EXPECT_TRUE(queue->execute(io::flush(1)).value().ok());
  ASSERT_TRUE(queue->send_data(r2t.value(), 0, 8 * block, false));
  ASSERT_TRUE(queue->send_data(r2t.value(), 8 * block, 8 * block, true));
  EXPECT_TRUE(queue->await(cid.value()).value().ok());
}

TEST(Queue, ErrorStatusIsAnAnswerNotAnError) {
  FakeTarget target;
  auto [controller, queue] = attach(target);
  ASSERT_TRUE(queue);
  auto done = queue->execute(io::read(1, 8192, 1, block));
  ASSERT_TRUE(done) << done.error().describe();
  EXPECT_EQ(done.value().kind(), 0x080);
  EXPECT_TRUE(done.value().do_not_retry());
}

TEST(Queue, UnknownSubsystemIsRefusedWithItsPlace) {
  FakeTarget target;
  auto queue = Queue::open(target.endpoint());
  ASSERT_TRUE(queue);
  auto done =
      queue.value()->connect({.subsystem_nqn = "nqn.2026-11.com.example:no", .host_nqn = "h"});
  ASSERT_TRUE(done);
  EXPECT_EQ(done.value().kind(), 0x182);
  EXPECT_EQ(done.value().dw0(), 0x10100u);
}

TEST(Queue, NobodyListeningIsASystemErrorWithTheAddress) {
  Endpoint endpoint;
  {
    FakeTarget target;
    endpoint = target.endpoint();
  }
  auto queue = Queue::open(endpoint);
  ASSERT_FALSE(queue);
  EXPECT_EQ(queue.error().kind, ErrorKind::system);
  EXPECT_NE(queue.error().text.find(endpoint.text()), std::string::npos);
}

TEST(Controller, ReadsIdentifyFeaturesAndDiscovery) {
  FakeTarget target;
  auto [controller, queue] = attach(target);
  ASSERT_TRUE(queue);
  EXPECT_EQ(controller->data().serial_number, "FAKE0001");
  EXPECT_EQ(controller->data().in_capsule_bytes(), 8192u);
  EXPECT_EQ(controller->active_namespaces().value(), std::vector<std::uint32_t>{1});
  const auto space = controller->identify_namespace(1).value();
  EXPECT_EQ(space.blocks, 8192u);
  EXPECT_EQ(space.block_bytes, block);
  EXPECT_EQ(controller->request_io_queues(4).value(), 4);
  EXPECT_TRUE(controller->keep_alive());
  EXPECT_TRUE(controller->shut_down());

  auto discovery =
      Controller::attach({.endpoint = target.endpoint(), .subsystem_nqn = discovery_nqn});
  ASSERT_TRUE(discovery) << discovery.error().describe();
  const auto log = discovery.value()->discovery_log();
  ASSERT_TRUE(log) << log.error().describe();
  ASSERT_EQ(log.value().entries.size(), 1u);
  EXPECT_EQ(log.value().entries[0].subsystem_nqn, FakeTarget::subsystem_nqn);
  EXPECT_EQ(log.value().entries[0].service_id, std::to_string(target.endpoint().port));
}

// One line a fault: how the target is set up, what it does wrong, and that the client calls it a
// violation.
struct Misdeed {
  const char* name;
  Fault fault;
  bool flow_control = false;
  ErrorKind expected = ErrorKind::violation;
};

class Referee : public testing::TestWithParam<Misdeed> {};

TEST_P(Referee, NoticesTheMisdeed) {
  const Misdeed& misdeed = GetParam();
  FakeTarget target({.c2h_piece_bytes = block, .fault = misdeed.fault});
  auto [controller, queue] = attach(
      target, {.header_digest = true, .data_digest = true, .hpda = 15}, misdeed.flow_control);
  ASSERT_TRUE(queue);
  // A read of two pieces, then a write by R2T, then something more for what arrives too late.
  auto outcome = queue->execute(io::read(1, 0, 2, block));
  if (outcome) outcome = queue->execute(io::write(1, 0, Bytes(8 * block), block));
  if (outcome) outcome = queue->execute(io::flush(1));
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().kind, misdeed.expected) << outcome.error().describe();
}

INSTANTIATE_TEST_SUITE_P(
    Faults, Referee,
    testing::Values(Misdeed{"DataOutOfSequence", Fault::data_out_of_sequence},
                    Misdeed{"DataBeyondBuffer", Fault::data_beyond_buffer},
                    Misdeed{"SuccessWithoutLast", Fault::success_without_last},
                    Misdeed{"SuccessWithFlowControl", Fault::success_with_flow_control, true},
                    Misdeed{"ShortData", Fault::short_data},
                    Misdeed{"NoLastFlag", Fault::no_last_flag},
                    Misdeed{"WrongDataDigest", Fault::wrong_data_digest},
                    Misdeed{"WrongHeaderDigest", Fault::wrong_header_digest},
                    Misdeed{"UnalignedData", Fault::unaligned_data},
                    Misdeed{"ResponseTwice", Fault::response_twice},
                    Misdeed{"ResponseOfNobody", Fault::response_of_nobody},
                    Misdeed{"ResponseForSuccess", Fault::response_for_success},
                    Misdeed{"R2tBeyondData", Fault::r2t_beyond_data},
                    Misdeed{"R2tOutOfSequence", Fault::r2t_out_of_sequence},
                    Misdeed{"R2tTooMany", Fault::r2t_too_many},
                    Misdeed{"SuccessTooEarly", Fault::success_too_early},
                    Misdeed{"Terminate", Fault::terminate, false, ErrorKind::terminated}),
    [](const auto& tested) { return tested.param.name; });

TEST(RawConnection, EndOfConnectionIsTold) {
  FakeTarget target;
  auto connection = RawConnection::connect(target.endpoint());
  ASSERT_TRUE(connection);
  // Not an ICReq: the fake target just closes.
  ASSERT_TRUE(connection.value()->send(command_capsule(Bytes(64))));
  EXPECT_EQ(connection.value()->await_end().value(), Ending::closed);
}

TEST(RawConnection, SilenceIsTimedOutNotWaitedForEver) {
  FakeTarget target;
  auto connection = RawConnection::connect(target.endpoint());
  ASSERT_TRUE(connection);
  EXPECT_TRUE(connection.value()->stays_silent(Milliseconds{20}));
  EXPECT_EQ(connection.value()->receive(Milliseconds{20}).error().kind, ErrorKind::time_out);
}

}  // namespace
}  // namespace client
