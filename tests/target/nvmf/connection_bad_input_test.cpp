// What a broken or hostile host may send, and exactly what it is answered.
#include "engine/foundation/crc32c.h"
#include "engine/foundation/random.h"
#include "tests/target/nvmf/connection_fixture.h"

namespace target::nvmf {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

using ConnectionBadInput = ConnectionTest;

// C2HTermReq for `offending`, as the specification lays it out.
Bytes term_req(std::uint16_t fes, std::uint32_t fei, std::span<const std::byte> offending) {
  Bytes bytes(24);
  host::put(bytes, 0, 0x03, 1);
  host::put(bytes, 2, 24, 1);
  host::put(bytes, 4, 24 + offending.size(), 4);
  host::put(bytes, 8, fes, 2);
  host::put(bytes, 10, fei, 4);
  bytes.insert(bytes.end(), offending.begin(), offending.end());
  return bytes;
}

enum class When { before_ic_req, before_connect, connected };

struct Case {
  const char* name;
  When when;
  NegotiatedLink link;
  std::function<Bytes(const NegotiatedLink&)> pdu;
  std::uint16_t fes;
  std::uint32_t fei;
  std::size_t header;  // bytes of the PDU that come back
};

Bytes damaged(Bytes pdu, std::size_t offset, std::uint64_t value, std::size_t width) {
  host::put(pdu, offset, value, width);
  return pdu;
}

// With the digest that belongs to its 72 bytes of header: a mistake of the host's, not damage.
Bytes redigested(Bytes pdu) {
  host::put(pdu, 72, engine::crc32c(std::span(pdu).first(72)), 4);
  return pdu;
}

class MalformedPdu : public ConnectionTest, public testing::WithParamInterface<Case> {};

TEST_P(MalformedPdu, IsAnsweredWithC2HTermReqAndTheConnectionEnds) {
  const Case& c = GetParam();
  // Whole, and byte by byte: the same answer.
  for (const std::size_t cut : {SimWire::unlimited, std::size_t{1}}) {
    SimHost peer(sim);
    if (c.when != When::before_ic_req) peer.initialize(c.link);
    if (c.when == When::connected) peer.connect();
    const Bytes pdu = c.pdu(peer.link);
    peer.wire->largest_read = cut;
    peer.send_and_run(pdu);
    const Bytes answer = peer.receive_one().bytes;
    EXPECT_EQ(answer, term_req(c.fes, c.fei, std::span(pdu).first(c.header)));
    EXPECT_THAT(peer.record->ended, ElementsAre(EndReason::protocol_error));
    EXPECT_THAT(peer.record->executed, IsEmpty());
    EXPECT_TRUE(peer.wire->target_finished);
    // The host has its time to read it, then the connection goes.
    EXPECT_FALSE(peer.closed());
    sim.clock.advance(3s);
    peer.run();
    EXPECT_TRUE(peer.closed());
    EXPECT_TRUE(peer.record->destroyed);
  }
}

// What is wrong shows in the first bytes; the rest of the header may never come.
TEST_F(ConnectionBadInput, HeaderThatIsWrongAndStopsIsReturnedAsFarAsItCame) {
  for (const std::size_t part : {8U, 30U, 71U}) {
    SimHost peer(sim);
    peer.initialize();
    peer.connect();
    const Bytes wrong = damaged(capsule(peer.link, {}), 1, 0x80, 1);
    peer.send_and_run(std::span(wrong).first(part));
    EXPECT_THAT(peer.receive(), IsEmpty());
    sim.clock.advance(31s);
    peer.run();
    EXPECT_EQ(peer.receive_one().bytes, term_req(1, 1, std::span(wrong).first(part)));
    EXPECT_THAT(peer.record->ended, ElementsAre(EndReason::protocol_error));
  }
}

// Damage on the way, wherever it hits the header, is a digest error: nothing else is believed
// before. Only the type says where the digest lies.
TEST_F(ConnectionBadInput, EveryFlippedBitOfAHeaderIsFoundByItsDigest) {
  const NegotiatedLink link{.hdgst = true, .ddgst = true};
  std::uint64_t found = 0;
  const auto expect_found = [&](const Bytes& good, std::size_t hlen) {
    for (std::size_t bit = 8; bit < (hlen + 4) * 8; ++bit) {
      SimHost peer(sim);
      peer.initialize(link);
      peer.connect();
      Bytes bad = good;
      bad[bit / 8] ^= static_cast<std::byte>(1U << bit % 8);
      peer.send_and_run(bad);
      const auto received = static_cast<std::uint32_t>(get(bad, hlen, 4));
      const std::size_t returned = std::clamp<std::size_t>(get(bad, 2, 1), 8, hlen);
      ASSERT_EQ(peer.receive_one().bytes, term_req(3, received, std::span(bad).first(returned)))
          << "bit " << bit % 8 << " of byte " << bit / 8;
      EXPECT_EQ(sim.counters.header_digest_errors, ++found);
      EXPECT_THAT(peer.record->executed, IsEmpty());
    }
  };
  expect_found(capsule(link, {.command_id = 7}), 72);
  expect_found(write_capsule(link, 7, pattern(512)), 72);
  expect_found(
      host::h2c_data(link, {.cccid = 7, .ttag = 8, .offset = 0, .last = true}, pattern(64)), 24);
}

const NegotiatedLink plain{};
const NegotiatedLink digests{.hdgst = true, .ddgst = true};

INSTANTIATE_TEST_SUITE_P(
    Classes, MalformedPdu,
    testing::Values(
        Case{"UnknownType", When::connected, plain,
             [](auto& link) { return damaged(capsule(link, {}), 0, 0x42, 1); }, 1, 0, 72},
        Case{"KickstartRequest", When::connected, plain, [](auto&) { return host::kd_req(2, 1); },
             1, 0, 12},
        Case{"KickstartRequestWithoutItsRecords", When::connected, plain,
             [](auto&) { return damaged(host::kd_req(2, 1), 8, 3, 2); }, 1, 4, 12},
        Case{"CapsuleBeforeIcReq", When::before_ic_req, plain,
             [](auto& link) { return capsule(link, {}); }, 2, 0, 72},
        Case{"DataBeforeIcReq", When::before_ic_req, plain,
             [](auto& link) { return host::h2c_data(link, {}, pattern(8)); }, 2, 0, 24},
        Case{"SecondIcReq", When::connected, plain, [](auto&) { return host::ic_req(); }, 2, 0,
             128},
        Case{"ControllersPdu", When::connected, plain,
             [](auto& link) { return damaged(capsule(link, {}), 0, 0x07, 1); }, 2, 0, 72},
        Case{"UnknownPfv", When::before_ic_req, plain, [](auto&) { return host::ic_req(1); }, 6, 8,
             128},
        Case{"HpdaTooLarge", When::before_ic_req, plain, [](auto&) { return host::ic_req(0, 32); },
             6, 10, 128},
        Case{"IcReqTooLong", When::before_ic_req, plain,
             [](auto&) { return damaged(host::ic_req(), 4, 132, 4); }, 1, 4, 128},
        Case{"HeaderLength", When::connected, plain,
             [](auto& link) { return damaged(capsule(link, {}), 2, 71, 1); }, 1, 2, 71},
        Case{"ReservedFlag", When::connected, plain,
             [](auto& link) { return damaged(capsule(link, {}), 1, 0x80, 1); }, 1, 1, 72},
        Case{"DigestFlagMissing", When::connected, digests,
             [](auto& link) { return redigested(damaged(capsule(link, {}), 1, 0x00, 1)); }, 1, 1,
             72},
        Case{"DataInsideHeader", When::connected, plain,
             [](auto& link) { return damaged(write_capsule(link, 1, pattern(512)), 3, 64, 1); }, 1,
             3, 72},
        Case{"LengthShorterThanHeader", When::connected, plain,
             [](auto& link) { return damaged(capsule(link, {}), 4, 60, 4); }, 1, 4, 72},
        Case{"InCapsuleDataTooLong", When::connected, plain,
             [](auto& link) { return write_capsule(link, 1, pattern(8196)); }, 5, 0, 72},
        Case{"LengthOfFourGigabytes", When::connected, plain,
             [](auto& link) {
               return damaged(write_capsule(link, 1, pattern(512)), 4, 0xffffffff, 4);
             },
             5, 0, 72},
        Case{"UnknownTransferTag", When::connected, plain,
             [](auto& link) {
               return host::h2c_data(link, {.ttag = 8, .offset = 0, .last = true}, pattern(64));
             },
             1, 10, 24},
        Case{"TransferTagBeyondTheQueue", When::connected, plain,
             [](auto& link) {
               return host::h2c_data(link, {.ttag = 0xffff, .offset = 0, .last = true},
                                     pattern(64));
             },
             1, 10, 24},
        Case{"DataOfNoBytes", When::connected, plain,
             [](auto& link) { return host::h2c_data(link, {.ttag = 8, .last = true}, {}); }, 1, 16,
             24},
        Case{"DataAboveMaxH2cData", When::connected, plain,
             [](auto& link) {
               return host::h2c_data(link, {.ttag = 8, .last = true}, pattern(128 * 1024 + 4));
             },
             5, 0, 24}),
    [](const auto& test) { return test.param.name; });

TEST_F(ConnectionBadInput, WrongHeaderDigestComesBackInTheAnswer) {
  SimHost peer(sim);
  peer.initialize(digests);
  peer.connect();
  Bytes pdu = capsule(peer.link, {});
  pdu[40] ^= std::byte{1};
  peer.send_and_run(pdu);
  const ReceivedPdu answer = peer.receive_one();
  EXPECT_EQ(answer.fes(), 3U);
  EXPECT_EQ(answer.fei(), get(pdu, 72, 4));
  EXPECT_EQ(sim.counters.header_digest_errors, 1U);
}

TEST_F(ConnectionBadInput, RepliesQueuedBeforeTheErrorStillArrive) {
  SimHost peer(sim);
  peer.initialize();
  peer.connect();
  peer.serve_like_memory();
  peer.send(capsule(peer.link, {.command_id = 7, .sgl_length = 512}));
  peer.send_and_run(damaged(capsule(peer.link, {}), 0, 0x42, 1));
  const auto answers = peer.receive();
  ASSERT_EQ(answers.size(), 3U);
  EXPECT_EQ(answers[0].type(), data_type);
  EXPECT_EQ(answers[1].type(), response_type);
  EXPECT_EQ(answers[2].type(), term_req_type);
}

TEST_F(ConnectionBadInput, NothingBehindTheBadPduIsExecuted) {
  SimHost peer(sim);
  peer.initialize();
  peer.connect();
  peer.send(damaged(capsule(peer.link, {}), 0, 0x42, 1));
  peer.send_and_run(capsule(peer.link, {.command_id = 3}));
  peer.send_and_run(capsule(peer.link, {.command_id = 4}));
  EXPECT_THAT(peer.record->executed, IsEmpty());
}

TEST_F(ConnectionBadInput, HostTerminationClosesAtOnceWithoutAnAnswer) {
  SimHost peer(sim);
  peer.initialize();
  peer.connect();
  peer.send_and_run(host::h2c_term_req(1, 4, 24));
  EXPECT_TRUE(peer.closed());
  EXPECT_THAT(peer.receive(), IsEmpty());
  EXPECT_THAT(peer.record->ended, ElementsAre(EndReason::host_terminated));
  EXPECT_EQ(sim.counters.host_terminations, 1U);
}

TEST_F(ConnectionBadInput, MalformedHostTerminationIsNotAnswered) {
  SimHost peer(sim);
  peer.initialize();
  peer.connect();
  Bytes pdu = host::h2c_term_req(1, 4, 24);
  host::put(pdu, 4, 153, 4);
  peer.send_and_run(pdu);
  EXPECT_TRUE(peer.closed());
  EXPECT_THAT(peer.receive(), IsEmpty());
}

TEST_F(ConnectionBadInput, IdentifierInUseIsAConflictAndTheFirstCommandGoesOn) {
  SimHost peer(sim);
  peer.initialize();
  peer.connect();
  peer.send(capsule(peer.link, {.command_id = 6}));
  peer.send(write_capsule(peer.link, 6, pattern(4096)));  // its data is thrown away
  peer.send_and_run(capsule(peer.link, {.command_id = 7}));
  EXPECT_THAT(peer.record->executed, ElementsAre(6, 7));
  const ReceivedPdu conflict = peer.receive_one();
  EXPECT_EQ(conflict.command_id(), 6U);
  EXPECT_EQ(conflict.status(), status::command_id_conflict);
  peer.resume().respond(status::success);
  peer.run();
  EXPECT_EQ(peer.receive_one().status(), status::success);
  // Answered, the identifier is free again.
  peer.send_and_run(capsule(peer.link, {.command_id = 6}));
  EXPECT_THAT(peer.record->executed, ElementsAre(6, 7, 6));
}

TEST_F(ConnectionBadInput, MoreCommandsThanEntriesIsAProtocolError) {
  SimHost peer(sim);
  peer.initialize();
  peer.connect({.qid = 1, .entries = 4});
  for (std::uint16_t id = 0; id < 4; ++id) peer.send(capsule(peer.link, {.command_id = id}));
  peer.run();
  EXPECT_EQ(peer.record->executed.size(), 4U);
  EXPECT_TRUE(peer.record->ended.empty());
  peer.send_and_run(capsule(peer.link, {.command_id = 4}));
  EXPECT_EQ(peer.receive_one().fes(), 2U);
  EXPECT_THAT(peer.record->ended, ElementsAre(EndReason::protocol_error));
}

TEST_F(ConnectionBadInput, UnsupportedSglsEndTheCommandByTheirStatus) {
  struct SglCase {
    Sqe sqe;
    std::size_t data;
    protocol::nvme::Status expected;
  };
  const SglCase cases[] = {
      {{.opcode = 1, .sgl = 0x00, .sgl_length = 4096}, 0, status::sgl_descriptor_type_invalid},
      {{.opcode = 1, .sgl = 0x20, .sgl_length = 16}, 0, status::sgl_descriptor_type_invalid},
      {{.opcode = 1, .sgl = 0x30, .sgl_length = 16}, 0, status::sgl_descriptor_type_invalid},
      {{.opcode = 1, .sgl = 0x5a, .sgl_length = 2048}, 0, status::data_sgl_length_invalid},
      {{.opcode = 1, .sgl = 0x01, .sgl_length = 4096}, 0, status::sgl_offset_invalid},
      {{.opcode = 1, .sgl = 0x01, .sgl_length = 4096}, 2048, status::sgl_offset_invalid},
      {{.opcode = 1, .sgl = 0x01, .sgl_length = 2048}, 4096, status::data_sgl_length_invalid},
      {{.opcode = 1, .sgl = 0x01, .sgl_length = 4096, .sgl_address = 1},
       4096,
       status::sgl_offset_invalid},
      {{.opcode = 1, .sgl = 0x01, .sgl_length = 4096, .sgl_address = ~std::uint64_t{0}},
       4096,
       status::sgl_offset_invalid},
      {{.opcode = 2, .sgl = 0x01, .sgl_length = 4096}, 0, status::sgl_descriptor_type_invalid},
      {{.opcode = 2, .sgl = 0x5a, .sgl_length = 4095}, 0, status::data_sgl_length_invalid},
  };
  SimHost peer(sim);
  peer.initialize();
  peer.connect();
  peer.record->on_execute = [](CommandPermit permit) {
    if (permit.command().entry.opcode == 2) return permit.lease_for_host(4096);
    permit.receive_from_host(4096);
  };
  for (const SglCase& c : cases) {
    peer.send_and_run(capsule(peer.link, c.sqe, pattern(c.data)));
    const ReceivedPdu answer = peer.receive_one();
    EXPECT_EQ(answer.type(), response_type);
    EXPECT_EQ(answer.status(), c.expected) << int{c.sqe.sgl} << " " << c.data;
  }
  EXPECT_THAT(peer.record->ready, IsEmpty());
  EXPECT_EQ(peer.connection().held_buffer_bytes(), 0U);
}

// Valid streams with a few bytes changed, from a fixed seed: whatever comes of it, nothing leaks
// and the connection can always be ended.
TEST_F(ConnectionBadInput, DamagedStreamsNeverCrash) {
  engine::SeededRandom random(20261122);
  for (int round = 0; round < 2000; ++round) {
    SimHost peer(sim);
    const NegotiatedLink link{.hdgst = random.below(4) == 0, .ddgst = random.below(2) == 0};
    peer.initialize(link, static_cast<std::uint32_t>(random.below(4)));
    peer.connect({.qid = 1, .entries = 8});
    peer.serve_like_memory();
    Bytes stream;
    const auto append = [&stream](const Bytes& pdu) {
      stream.insert(stream.end(), pdu.begin(), pdu.end());
    };
    for (std::uint16_t id = 0; id < 6; ++id) {
      const std::size_t bytes = 512 * (1 + random.below(16));
      switch (random.below(4)) {
        case 0:
          append(capsule(link, {.command_id = id, .sgl_length = 8192}));
          break;
        case 1:
          append(write_capsule(link, id, pattern(bytes)));
          break;
        case 2:
          append(capsule(link, {.command_id = id, .opcode = 1, .sgl_length = 8192}));
          break;
        default:
          append(host::h2c_data(link,
                                {.cccid = id,
                                 .ttag = static_cast<std::uint16_t>(8 * random.below(8)),
                                 .offset = 0,
                                 .last = true},
                                pattern(random.below(2) == 0 ? 8192 : bytes)));
      }
    }
    for (std::uint64_t damage = random.below(4); damage != 0; --damage) {
      stream[random.below(stream.size())] = static_cast<std::byte>(random.below(256));
    }
    peer.wire->largest_read = random.below(2) == 0 ? SimWire::unlimited : 1 + random.below(2000);
    peer.send_and_run(stream);
    (void)peer.receive();
    sim.clock.advance(1min);
    peer.run();
    peer.wire->host_closed = true;
    peer.run();
    EXPECT_TRUE(peer.record->destroyed) << "round " << round;
  }
  EXPECT_EQ(sim.registry->size(), 0U);
}

}  // namespace
}  // namespace target::nvmf
