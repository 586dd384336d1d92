// Data in both directions: in-capsule, R2T, C2HData, digests, completions out of order.
#include "engine/foundation/crc32c.h"
#include "tests/target/nvmf/connection_fixture.h"

namespace target::nvmf {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

using ConnectionTransfer = ConnectionTest;

TEST_F(ConnectionTransfer, InCapsuleDataIsThereBeforeTheCommandIsExecuted) {
  for (const NegotiatedLink link :
       {NegotiatedLink{}, NegotiatedLink{.hdgst = true, .ddgst = true}}) {
    SimHost peer(sim);
    peer.initialize(link);
    peer.connect();
    const Bytes data = pattern(4096);
    peer.send_and_run(write_capsule(peer.link, 3, data));
    ASSERT_THAT(peer.record->executed, ElementsAre(3));
    const Command& command = peer.parked();
    EXPECT_EQ(command.data_bytes, 4096U);
    EXPECT_TRUE(std::ranges::equal(command.buffer.bytes().first(4096), data));
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(command.buffer.bytes().data()) % 4096, 0U);
    peer.resume().respond(status::success);
    peer.run();
    EXPECT_EQ(peer.receive_one().status(), status::success);
    EXPECT_EQ(peer.connection().held_buffer_bytes(), 0U);
  }
}

TEST_F(ConnectionTransfer, SglOffsetIntoTheCapsuleIsHonoured) {
  SimHost peer(sim);
  peer.initialize();
  peer.connect();
  const Bytes data = pattern(2048);
  peer.send_and_run(capsule(
      peer.link,
      {.command_id = 3, .opcode = 0x01, .sgl = 0x01, .sgl_length = 512, .sgl_address = 1024},
      data));
  peer.resume().receive_from_host(512);
  ASSERT_THAT(peer.record->ready, ElementsAre(3));
  EXPECT_TRUE(std::ranges::equal(peer.parked().buffer.bytes().first(512),
                                 std::span(data).subspan(1024, 512)));
}

// Read and write of several sizes under several links, cut in several ways: always the same bytes.
TEST_F(ConnectionTransfer, EveryCutOfTheStreamGivesTheSameData) {
  const NegotiatedLink links[] = {
      {}, {.hdgst = true}, {.ddgst = true}, {.hdgst = true, .ddgst = true, .hpda = 31}};
  for (const NegotiatedLink& link : links) {
    for (const std::size_t cut : {SimWire::unlimited, std::size_t{1}, std::size_t{7},
                                  std::size_t{1500}, std::size_t{4096}}) {
      SimHost peer(sim);
      peer.initialize(link);
      peer.connect({.qid = 1, .entries = 16});
      peer.serve_like_memory();
      peer.wire->largest_read = cut;
      peer.wire->largest_write = cut == SimWire::unlimited ? cut : cut * 3;
      std::vector<Bytes> sent;
      std::uint16_t id = 0;
      for (const std::size_t bytes : {512UL, 4096UL, 20000UL, 70000UL}) {
        sent.push_back(pattern(bytes, id));
        peer.send_and_run(capsule(peer.link, write_of(id, static_cast<std::uint32_t>(bytes))));
        const ReceivedPdu r2t = peer.receive_one();
        ASSERT_EQ(r2t.type(), r2t_type);
        answer_r2t(peer, r2t, sent.back(), 9000);
        peer.send_and_run(capsule(
            peer.link,
            {.command_id = 100, .opcode = 0x02, .sgl_length = static_cast<std::uint32_t>(bytes)}));
        const auto answers = peer.receive();
        ASSERT_EQ(answers.size(), 3U);
        EXPECT_EQ(answers[0].command_id(), id);
        EXPECT_EQ(answers[0].status(), status::success);
        const ReceivedPdu& read = answers[1];
        ASSERT_EQ(read.type(), data_type);
        EXPECT_EQ(read.pdo() % link.host_alignment(), 0U);
        EXPECT_EQ(read.flags(), 4U | (link.hdgst ? 1U : 0U) | (link.ddgst ? 2U : 0U));
        const Bytes expected = pattern(bytes, 100);
        EXPECT_TRUE(std::ranges::equal(read.data(), expected));
        if (link.ddgst) {
          EXPECT_EQ(get(read.bytes, read.bytes.size() - 4, 4), engine::crc32c(expected));
        }
        if (link.hdgst) {
          EXPECT_EQ(get(read.bytes, 24, 4), engine::crc32c(std::span(read.bytes).first(24)));
        }
        EXPECT_EQ(answers[2].command_id(), 100U);
        ++id;
      }
      EXPECT_EQ(peer.written, sent);
      EXPECT_EQ(peer.connection().held_buffer_bytes(), 0U);
    }
  }
}

TEST_F(ConnectionTransfer, OneR2TAsksForEverythingWhereTheHostTakesNoMore) {
  SimHost peer(sim);
  peer.initialize({}, /*maxr2t=*/0);
  peer.connect();
  peer.serve_like_memory();
  peer.send_and_run(capsule(peer.link, write_of(1, 1U << 20)));
  const ReceivedPdu r2t = peer.receive_one();
  EXPECT_EQ(r2t.cccid(), 1U);
  EXPECT_EQ(r2t.offset(), 0U);
  EXPECT_EQ(r2t.length(), 1U << 20);
}

TEST_F(ConnectionTransfer, SeveralR2TsAreOpenByDefaultWhereTheHostTakesThem) {
  SimHost peer(sim);
  peer.initialize({}, /*maxr2t=*/7);
  peer.connect();
  peer.serve_like_memory();
  peer.send_and_run(capsule(peer.link, write_of(1, 1U << 20)));
  const auto r2ts = peer.receive();
  ASSERT_EQ(r2ts.size(), 4U);
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(r2ts[i].offset(), i * (256U << 10));
    EXPECT_EQ(r2ts[i].length(), 256U << 10);
  }
}

TEST_F(ConnectionTransfer, OutstandingR2TsAreBoundedByBothEnds) {
  struct Case {
    std::uint32_t host_maxr2t;  // 0's based
    std::uint32_t ours;
    std::size_t outstanding;
  };
  for (const Case c :
       {Case{0, 4, 1}, Case{1, 4, 2}, Case{0xffffffff, 4, 4}, Case{7, 8, 8}, Case{7, 1, 1}}) {
    SimHost peer(sim, {.listener = "san-a", .max_r2t = c.ours, .r2t_bytes = 8192});
    peer.initialize({}, c.host_maxr2t);
    peer.connect();
    peer.serve_like_memory();
    const Bytes data = pattern(100000);
    peer.send_and_run(capsule(peer.link, write_of(1, 100000)));
    std::vector<ReceivedPdu> open = peer.receive();
    EXPECT_EQ(open.size(), c.outstanding);
    std::set<unsigned> tags;
    for (const auto& r2t : open) tags.insert(r2t.ttag());
    EXPECT_EQ(tags.size(), open.size());
    // The last one is answered first: windows are independent of each other.
    while (!open.empty() && open.back().type() == r2t_type) {
      const ReceivedPdu r2t = open.back();
      open.pop_back();
      EXPECT_LE(r2t.length(), c.outstanding == 1 ? 100000U : 8192U);
      answer_r2t(peer, r2t, data, 3000);
      peer.run();
      for (auto& pdu : peer.receive()) open.push_back(std::move(pdu));
      EXPECT_LE(open.size(), c.outstanding);
    }
    ASSERT_EQ(open.size(), 1U);
    EXPECT_EQ(open[0].status(), status::success);
    EXPECT_THAT(peer.written, ElementsAre(data));
  }
}

TEST_F(ConnectionTransfer, DataOfInterleavedCommandsFindsItsOwn) {
  SimHost peer(sim);
  peer.initialize({.ddgst = true});
  peer.connect();
  peer.serve_like_memory();
  const Bytes first = pattern(30000, 1);
  const Bytes second = pattern(30000, 2);
  peer.send(capsule(peer.link, write_of(1, 30000)));
  peer.send_and_run(capsule(peer.link, write_of(2, 30000)));
  const auto r2ts = peer.receive();
  ASSERT_EQ(r2ts.size(), 2U);
  const auto part = [&](const ReceivedPdu& r2t, const Bytes& data, std::uint32_t at,
                        std::uint32_t length) {
    peer.send(host::h2c_data(
        peer.link,
        {.cccid = r2t.cccid(), .ttag = r2t.ttag(), .offset = at, .last = at + length == 30000},
        std::span(data).subspan(at, length)));
  };
  part(r2ts[0], first, 0, 10000);
  part(r2ts[1], second, 0, 20000);
  part(r2ts[0], first, 10000, 10000);
  peer.send(write_capsule(peer.link, 3, pattern(512, 3)));
  part(r2ts[1], second, 20000, 10000);
  part(r2ts[0], first, 20000, 10000);
  peer.run();
  EXPECT_THAT(peer.written, ElementsAre(pattern(512, 3), second, first));
}

struct BadData {
  const char* name;
  host::H2cFields fields;  // tag and identifier are those of the R2T, plus these
  std::size_t bytes;
  std::uint16_t fes;
  std::uint32_t fei;
};

class DataOutsideItsR2T : public ConnectionTest, public testing::WithParamInterface<BadData> {};

TEST_P(DataOutsideItsR2T, EndsTheConnectionWithTheRightError) {
  const BadData& bad = GetParam();
  SimHost peer(sim, {.listener = "san-a", .r2t_bytes = 16384});
  peer.initialize({}, /*maxr2t=*/1);
  peer.connect();
  peer.serve_like_memory();
  peer.send_and_run(capsule(peer.link, write_of(1, 32768)));
  const auto r2ts = peer.receive();
  ASSERT_EQ(r2ts.size(), 2U);
  const ReceivedPdu& r2t = r2ts[0];
  host::H2cFields good{.cccid = 1, .ttag = r2t.ttag(), .offset = 0, .last = false};
  peer.send_and_run(host::h2c_data(peer.link, good, pattern(4096)));
  host::H2cFields fields = bad.fields;
  fields.cccid = static_cast<std::uint16_t>(fields.cccid + 1);
  fields.ttag = static_cast<std::uint16_t>(fields.ttag + r2t.ttag());
  const Bytes pdu = host::h2c_data(peer.link, fields, pattern(bad.bytes));
  peer.send_and_run(pdu);
  const ReceivedPdu answer = peer.receive_one();
  EXPECT_EQ(answer.type(), term_req_type);
  EXPECT_EQ(answer.fes(), bad.fes);
  EXPECT_EQ(answer.fei(), bad.fei);
  EXPECT_TRUE(std::ranges::equal(std::span(answer.bytes).subspan(24), std::span(pdu).first(24)));
  EXPECT_THAT(peer.written, IsEmpty());
  EXPECT_EQ(peer.connection().held_buffer_bytes(), 0U);
}

INSTANTIATE_TEST_SUITE_P(
    Cases, DataOutsideItsR2T,
    testing::Values(BadData{"OtherCommand", {1, 0, 4096, false}, 4096, 1, 8},
                    BadData{"OtherTag", {0, 2, 4096, false}, 4096, 1, 10},
                    BadData{"SlotWithoutTransfer", {0, 8, 4096, false}, 4096, 1, 10},
                    BadData{"BehindTheRange", {0, 0, 16384, true}, 4096, 4, 0},
                    BadData{"AcrossTheEnd", {0, 0, 12288, true}, 4100, 4, 0},
                    BadData{"OffsetThatWraps", {0, 0, 0xfffff000, true}, 8192, 4, 0},
                    BadData{"Gap", {0, 0, 8192, false}, 4096, 2, 0},
                    BadData{"Repeated", {0, 0, 0, false}, 4096, 2, 0},
                    BadData{"LastTooEarly", {0, 0, 4096, true}, 4096, 1, 1},
                    BadData{"LastMissing", {0, 0, 4096, false}, 12288, 1, 1}),
    [](const auto& test) { return test.param.name; });

TEST_F(ConnectionTransfer, WrongDigestOfInCapsuleDataEndsOnlyTheCommand) {
  SimHost peer(sim);
  peer.initialize({.ddgst = true});
  peer.connect();
  peer.serve_like_memory();
  Bytes bad = write_capsule(peer.link, 1, pattern(4096));
  bad[1000] ^= std::byte{1};
  peer.send(bad);
  peer.send_and_run(write_capsule(peer.link, 2, pattern(4096)));
  const auto answers = peer.receive();
  ASSERT_EQ(answers.size(), 2U);
  EXPECT_EQ(answers[0].command_id(), 1U);
  EXPECT_EQ(answers[0].status(), status::transient_transport_error);
  EXPECT_EQ(answers[1].status(), status::success);
  EXPECT_THAT(peer.record->executed, ElementsAre(2));
  EXPECT_EQ(sim.counters.data_digest_errors, 1U);
}

TEST_F(ConnectionTransfer, WrongDigestOfH2CDataEndsTheCommandAfterTheRestHasCome) {
  SimHost peer(sim, {.listener = "san-a", .max_r2t = 2, .r2t_bytes = 8192});
  peer.initialize({.ddgst = true}, /*maxr2t=*/1);
  peer.connect();
  peer.serve_like_memory();
  const Bytes data = pattern(65536);
  peer.send_and_run(capsule(peer.link, write_of(1, 65536)));
  const auto r2ts = peer.receive();
  ASSERT_EQ(r2ts.size(), 2U);
  Bytes bad =
      host::h2c_data(peer.link, {.cccid = 1, .ttag = r2ts[0].ttag(), .offset = 0, .last = true},
                     std::span(data).first(8192));
  bad.back() ^= std::byte{1};
  peer.send_and_run(bad);
  EXPECT_THAT(peer.receive(), IsEmpty());  // the other R2T is still open, and no new one comes
  answer_r2t(peer, r2ts[1], data, 8192);
  peer.run();
  const ReceivedPdu answer = peer.receive_one();
  EXPECT_EQ(answer.command_id(), 1U);
  EXPECT_EQ(answer.status(), status::transient_transport_error);
  EXPECT_THAT(peer.written, IsEmpty());
  EXPECT_EQ(peer.connection().held_buffer_bytes(), 0U);
}

// Which pieces of the data that has come have a known, right checksum.
std::vector<bool> known_sums(Command& command) {
  const auto data = command.buffer.bytes().first(command.data_bytes);
  const auto sums = command.sums.view();
  std::vector<bool> known;
  for (std::size_t at = 0; at < data.size() && !sums.empty(); at += 4096) {
    const auto piece = data.subspan(at, std::min<std::size_t>(4096, data.size() - at));
    std::uint32_t crc = 0;
    known.push_back(sums.part(at, piece.size()).copy_to({&crc, 1}));
    if (known.back()) {
      EXPECT_EQ(crc, engine::crc32c(piece));
    }
  }
  return known;
}

TEST_F(ConnectionTransfer, DigestsLeaveTheSumsOfThePieces) {
  SimHost peer(sim);
  peer.initialize({.ddgst = true});
  peer.connect();
  peer.wire->largest_read = 1000;
  peer.send_and_run(write_capsule(peer.link, 3, pattern(4096 + 512)));
  EXPECT_THAT(known_sums(peer.parked()), ElementsAre(true, true));
  peer.resume().respond(status::success);

  for (const auto& [cut, known] :
       {std::pair{std::size_t{8192}, std::vector{true, true, true, true}},
        std::pair{std::size_t{10240}, std::vector{true, true, false, true}},
        std::pair{std::size_t{3000}, std::vector{false, false, false, false}}}) {
    peer.send_and_run(capsule(peer.link, {.command_id = 4, .opcode = 0x01, .sgl_length = 16384}));
    peer.resume().receive_from_host(16384);
    peer.run();
    for (const ReceivedPdu& pdu : peer.receive()) {
      if (pdu.type() == r2t_type) answer_r2t(peer, pdu, pattern(16384), cut);
    }
    peer.run();
    ASSERT_EQ(peer.parked().data_bytes, 16384U);
    EXPECT_EQ(known_sums(peer.parked()), known) << cut;
    peer.resume().respond(status::success);
  }
}

TEST_F(ConnectionTransfer, WithoutDigestsNobodyComputesSums) {
  SimHost peer(sim);
  peer.initialize();
  peer.connect();
  peer.send_and_run(write_capsule(peer.link, 3, pattern(4096)));
  EXPECT_THAT(known_sums(peer.parked()), IsEmpty());
  peer.resume().respond(status::success);
}

// A digest is that of the media, where that is known: it tells of what has happened since.
TEST_F(ConnectionTransfer, TheDigestOfAReplyIsMadeOfKnownSums) {
  SimHost peer(sim);
  peer.initialize({.ddgst = true});
  peer.connect();
  const Bytes data = pattern(6144);
  for (const bool changed_since : {false, true}) {
    peer.send_and_run(capsule(peer.link, {.command_id = 4, .opcode = 0x02, .sgl_length = 6144}));
    peer.resume().lease_for_host(6144);
    Command& command = peer.parked();
    std::memcpy(command.buffer.bytes().data(), data.data(), data.size());
    command.request.io.sums = command.sums.begin(6144);
    command.request.io.sums.note(4096, 2048, engine::crc32c(std::span(data).subspan(4096)));
    if (changed_since) command.buffer.bytes()[5000] ^= std::byte{1};
    peer.resume().respond_with_data(6144);
    peer.run();
    const Bytes reply = peer.receive().front().bytes;
    EXPECT_EQ(get(reply, reply.size() - 4, 4), engine::crc32c(data)) << changed_since;
    EXPECT_EQ(reply[24 + 5000] != data[5000], changed_since);
  }
}

TEST_F(ConnectionTransfer, CompletionsLeaveInTheOrderTheyHappen) {
  SimHost peer(sim);
  peer.initialize();
  peer.connect();
  for (std::uint16_t id = 0; id < 5; ++id) peer.send(capsule(peer.link, {.command_id = id}));
  peer.run();
  for (const std::size_t index : {3, 0, 2, 0, 0}) peer.resume(index).respond(status::success);
  peer.run();
  std::vector<unsigned> order;
  for (const auto& pdu : peer.receive()) order.push_back(pdu.command_id());
  EXPECT_THAT(order, ElementsAre(3, 0, 4, 1, 2));
}

TEST_F(ConnectionTransfer, RepliesOfATurnLeaveInOneWrite) {
  SimHost peer(sim);
  peer.initialize();
  peer.connect();
  peer.serve_like_memory();
  for (std::uint16_t id = 0; id < 32; ++id) peer.send(capsule(peer.link, {.command_id = id}));
  const std::size_t before = peer.wire->writes;
  peer.run();
  EXPECT_EQ(peer.wire->writes, before + 1);
  EXPECT_EQ(peer.receive().size(), 64U);
}

TEST_F(ConnectionTransfer, SuccessFlagStandsForTheResponseOnlyWhereItMay) {
  for (const bool flow_control_disabled : {false, true}) {
    for (const bool listener_allows : {false, true}) {
      for (const std::uint64_t result : {0U, 7U}) {
        SimHost peer(sim, {.listener = "san-a", .c2h_success = listener_allows});
        peer.initialize();
        peer.connect({.qid = 1, .entries = 8, .sq_flow_control_disabled = flow_control_disabled});
        peer.record->on_execute = [](CommandPermit permit) { permit.lease_for_host(4096); };
        peer.record->on_data = [result](CommandPermit permit) {
          permit.respond_with_data(4096, result);
        };
        peer.send_and_run(capsule(peer.link, {.command_id = 2}));
        const auto answers = peer.receive();
        const bool elided = flow_control_disabled && listener_allows && result == 0;
        ASSERT_EQ(answers.size(), elided ? 1U : 2U);
        EXPECT_EQ(answers[0].flags(), elided ? 0x0cU : 0x04U);
        if (!elided) {
          EXPECT_EQ(get(answers[1].bytes, 8, 8), result);
        }
      }
    }
  }
}

TEST_F(ConnectionTransfer, DataOfNoBytesIsJustAResponse) {
  SimHost peer(sim);
  peer.initialize();
  peer.connect();
  peer.record->on_execute = [](CommandPermit permit) { permit.respond_with_data(0, 5); };
  peer.send_and_run(capsule(peer.link, {.command_id = 2}));
  const ReceivedPdu answer = peer.receive_one();
  EXPECT_EQ(answer.type(), response_type);
  EXPECT_EQ(get(answer.bytes, 8, 4), 5U);
}

TEST_F(ConnectionTransfer, BulkDataIsReadStraightIntoItsBuffer) {
  SimHost peer(sim);
  peer.initialize();
  peer.connect();
  peer.serve_like_memory();
  peer.send_and_run(capsule(peer.link, write_of(1, 1U << 20)));
  const ReceivedPdu r2t = peer.receive_one();
  const Bytes data = pattern(1U << 20);
  answer_r2t(peer, r2t, data, 128 * 1024);
  const std::size_t before = peer.wire->reads;
  peer.run();
  EXPECT_THAT(peer.written, ElementsAre(data));
  // One read for each PDU's data and the next one's header.
  EXPECT_LE(peer.wire->reads - before, 16U);
}

// What stands next to each other in the queue matters to fused commands.
TEST_F(ConnectionTransfer, ACapsuleThatIsNotExecutedIsToldOf) {
  SimHost peer(sim);
  peer.initialize({.ddgst = true});
  peer.connect();
  peer.send_and_run(write_capsule(peer.link, 1, pattern(512)));
  peer.send_and_run(write_capsule(peer.link, 1, pattern(512)));
  EXPECT_THAT(peer.record->not_executed, ElementsAre(1)) << "its identifier is in use";
  Bytes damaged = write_capsule(peer.link, 2, pattern(512));
  damaged.back() ^= std::byte{1};
  peer.send_and_run(damaged);
  EXPECT_THAT(peer.record->not_executed, ElementsAre(1, 2)) << "its data is not what was sent";
  EXPECT_THAT(peer.record->executed, ElementsAre(1));
}

TEST_F(ConnectionTransfer, APartnerIsToldWhenTheDataOfTheOtherHalfDoesNotCome) {
  SimHost peer(sim);
  peer.initialize({.ddgst = true});
  peer.connect();
  for (const std::uint16_t id : {std::uint16_t{1}, std::uint16_t{2}, std::uint16_t{3}}) {
    peer.send_and_run(capsule(peer.link, write_of(id, 4096)));
  }
  const auto marry = [&peer](std::size_t a, std::size_t b) {
    peer.parked(a).partner = &peer.parked(b);
    peer.parked(b).partner = &peer.parked(a);
  };
  marry(0, 2);
  peer.resume(0).receive_from_host(4096);
  peer.run();
  const auto r2t = peer.receive_one();
  ASSERT_EQ(r2t.type(), r2t_type);
  Bytes data = host::h2c_data(
      peer.link, {.cccid = 1, .ttag = r2t.ttag(), .offset = 0, .last = true}, pattern(4096));
  data.back() ^= std::byte{1};
  peer.send_and_run(data);
  EXPECT_THAT(peer.record->partners_lost, ElementsAre(1));
  EXPECT_EQ(peer.receive_one().status(), status::transient_transport_error);
  // The same at the end of the connection.
  marry(0, 1);
  peer.resume(0).receive_from_host(4096);
  peer.run();
  peer.connection().end(EndReason::stopping);
  peer.run();
  EXPECT_THAT(peer.record->partners_lost, ElementsAre(1, 2));
  peer.resume().respond(status::success);
}

}  // namespace
}  // namespace target::nvmf
