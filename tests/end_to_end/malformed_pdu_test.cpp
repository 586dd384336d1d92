// Each PDU that breaks the transport's rules is answered with the C2HTermReq that NVMe/TCP 1.1
// (sections 3.6.2 and 3.7) prescribes, the connection ends, and nobody else notices.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

#include "tests/end_to_end/harness/attacker.h"
#include "tests/end_to_end/harness/bystander.h"
#include "tests/end_to_end/harness/daemon.h"
#include "tests/end_to_end/harness/scrape.h"

namespace end_to_end {
namespace {

namespace fatal = client::fatal;
using client::Pdu;
using client::PduType;

struct Case {
  const char* damage;
  Stage stage;
  Pdu pdu;
  std::uint16_t fes;
  std::uint32_t fei;
};

Pdu with(Pdu pdu, const std::function<void(Pdu&)>& spoil) {
  spoil(pdu);
  return pdu;
}

Pdu ic_request(const client::IcRequest& request = {}) { return client::to_pdu(request); }

Pdu identify_capsule() {
  auto command = client::admin::identify({.cns = 1});
  command.entry.sgl(client::sgl_transport, 0, 4096).cid(900);
  return client::command_capsule(command.entry.bytes());
}

Pdu write_capsule(std::size_t bytes) {
  auto command = client::io::write(1, 0, Bytes(4096), 4096);
  command.entry.sgl(client::sgl_in_capsule, 0, static_cast<std::uint32_t>(bytes)).cid(900);
  return client::command_capsule(command.entry.bytes(), Bytes(bytes));
}

Pdu data_of_nobody(std::uint32_t bytes = 4096) {
  return client::h2c_data(900, 77, 0, Bytes(bytes), true);
}

// A PDU of `type` as the controller would send it.
Pdu controller_pdu(PduType type, std::size_t specific_bytes) {
  return {.type = type, .specific = Bytes(specific_bytes)};
}

// One kickstart record.
Pdu kickstart_request() {
  return {.type = PduType::kickstart_request,
          .specific = {std::byte{1}, std::byte{0}, std::byte{1}, std::byte{0}},
          .data = Bytes(290)};
}

std::vector<Case> cases() {
  std::vector<Case> all = {
      {"ICReq with an unknown PFV", Stage::fresh, ic_request({.pfv = 1}),
       fatal::unsupported_parameter, 8},
      {"ICReq with HPDA 32", Stage::fresh, ic_request({.hpda = 32}), fatal::unsupported_parameter,
       10},
      {"ICReq with HLEN 127", Stage::fresh, with(ic_request(), [](Pdu& p) { p.hlen = 127; }),
       fatal::invalid_header_field, 2},
      {"ICReq with PLEN 127", Stage::fresh, with(ic_request(), [](Pdu& p) { p.plen = 127; }),
       fatal::invalid_header_field, 4},
      {"ICReq of 4 GiB", Stage::fresh, with(ic_request(), [](Pdu& p) { p.plen = 0xffffffff; }),
       fatal::invalid_header_field, 4},
      {"a second ICReq", Stage::negotiated, ic_request(), fatal::sequence_error, 0},
      {"a second ICReq after Connect", Stage::io, ic_request(), fatal::sequence_error, 0},
      {"a command before ICReq", Stage::fresh, identify_capsule(), fatal::sequence_error, 0},
      {"H2CData before ICReq", Stage::fresh, data_of_nobody(), fatal::sequence_error, 0},
      {"a capsule with HLEN 71", Stage::admin,
       with(identify_capsule(), [](Pdu& p) { p.hlen = 71; }), fatal::invalid_header_field, 2},
      {"a capsule with HLEN 0", Stage::admin, with(identify_capsule(), [](Pdu& p) { p.hlen = 0; }),
       fatal::invalid_header_field, 2},
      {"a capsule with HLEN 255", Stage::io,
       with(write_capsule(4096), [](Pdu& p) { p.hlen = 255; }), fatal::invalid_header_field, 2},
      {"a capsule with PLEN 71", Stage::admin,
       with(identify_capsule(), [](Pdu& p) { p.plen = 71; }), fatal::invalid_header_field, 4},
      {"a capsule with PLEN 0", Stage::io, with(identify_capsule(), [](Pdu& p) { p.plen = 0; }),
       fatal::invalid_header_field, 4},
      {"data inside the header", Stage::io, with(write_capsule(4096), [](Pdu& p) { p.pdo = 64; }),
       fatal::invalid_header_field, 3},
      {"data behind the PDU", Stage::io, with(write_capsule(64), [](Pdu& p) { p.pdo = 200; }),
       fatal::invalid_header_field, 3},
      {"a data digest that was not negotiated", Stage::io,
       with(write_capsule(4096), [](Pdu& p) { p.wire_flags = client::pdu_flag::data_digest; }),
       fatal::invalid_header_field, 1},
      {"a header digest that was not negotiated", Stage::admin,
       with(identify_capsule(), [](Pdu& p) { p.wire_flags = client::pdu_flag::header_digest; }),
       fatal::invalid_header_field, 1},
      {"reserved flags", Stage::admin,
       with(identify_capsule(), [](Pdu& p) { p.wire_flags = 0xf0; }), fatal::invalid_header_field,
       1},
      {"a capsule of 4 GiB", Stage::io,
       with(write_capsule(4096), [](Pdu& p) { p.plen = 0xffffffff; }), fatal::limit_exceeded, 0},
      {"more data in the capsule than IOCCSZ allows", Stage::io, write_capsule(8192 + 4096),
       fatal::limit_exceeded, 0},
      {"more than 8 KiB in a capsule of the admin queue", Stage::admin, write_capsule(8192 + 4),
       fatal::limit_exceeded, 0},
      {"H2CData for no command", Stage::io, data_of_nobody(), fatal::invalid_header_field, 10},
      {"H2CData above MAXH2CDATA", Stage::io, data_of_nobody(131072 + 4), fatal::limit_exceeded, 0},
      {"H2CData with HLEN 20", Stage::io, with(data_of_nobody(), [](Pdu& p) { p.hlen = 20; }),
       fatal::invalid_header_field, 2},
      {"KDReq", Stage::negotiated, kickstart_request(), fatal::invalid_header_field, 0},
  };
  for (const int type : {0x08, 0x0c, 0x10, 0x7f, 0xff}) {
    for (const Stage stage : {Stage::fresh, Stage::negotiated, Stage::io}) {
      all.push_back({"an unknown type", stage,
                     with(identify_capsule(),
                          [type](Pdu& p) { p.wire_type = static_cast<std::uint8_t>(type); }),
                     fatal::invalid_header_field, 0});
    }
  }
  for (const auto& [type, bytes] :
       {std::pair{PduType::ic_response, 120}, std::pair{PduType::response, 16},
        std::pair{PduType::c2h_data, 16}, std::pair{PduType::r2t, 16},
        std::pair{PduType::c2h_terminate, 16}}) {
    all.push_back({"a type that only controllers send", Stage::negotiated,
                   controller_pdu(type, static_cast<std::size_t>(bytes)), fatal::sequence_error,
                   0});
  }
  return all;
}

void expect_offender(const client::Termination& end, const Bytes& sent) {
  // The header as HLEN says, unless that cannot be: a known type's is never longer than it should.
  const auto type = static_cast<PduType>(sent[0]);
  std::size_t longest = 128;
  if (type == PduType::command) longest = 72;
  if (type == PduType::h2c_data) longest = 24;
  std::size_t expected = static_cast<std::size_t>(sent[2]);
  if (expected > longest) expected = longest == 128 ? 8 : longest;
  EXPECT_EQ(end.offender.size(), std::max<std::size_t>(expected, 8));
  EXPECT_TRUE(std::equal(end.offender.begin(), end.offender.end(), sent.begin()))
      << "C2HTermReq shows another header than the one that was wrong";
}

TEST(MalformedPdu, EndsInTheTerminationThatTheTransportPrescribes) {
  Workplace workplace;
  Daemon daemon(workplace, attack_config());
  ASSERT_TRUE(daemon.start());
  Bystander bystander(daemon.endpoint());
  for (const Case& wrong : cases()) {
    SCOPED_TRACE(fmt::format("{}, stage {}", wrong.damage, static_cast<int>(wrong.stage)));
    Attacker attacker(daemon.endpoint(), wrong.stage);
    ASSERT_TRUE(attacker.ready());
    const Bytes sent = client::encode(wrong.pdu, attacker.raw().outgoing);
    (void)attacker.raw().send(sent);  // the target may have closed before it was all out
    const auto end = attacker.await_termination();
    if (!end) continue;
    EXPECT_EQ(end->fes, wrong.fes);
    EXPECT_EQ(end->fei, wrong.fei);
    expect_offender(*end, sent);
  }
  bystander.expect_undisturbed();
}

TEST(MalformedPdu, AWrongHeaderDigestEndsTheConnectionAndTellsWhatWasReceived) {
  Workplace workplace;
  Daemon daemon(workplace, attack_config());
  ASSERT_TRUE(daemon.start());
  Bystander bystander(daemon.endpoint());
  const client::TransportOptions digests{.header_digest = true, .data_digest = true};
  for (const Stage stage : {Stage::negotiated, Stage::admin, Stage::io}) {
    for (const bool data : {false, true}) {
      Attacker attacker(daemon.endpoint(), stage, digests);
      ASSERT_TRUE(attacker.ready());
      Pdu pdu = data ? data_of_nobody() : identify_capsule();
      pdu.header_digest_flip = 0x00010000;
      const Bytes sent = client::encode(pdu, attacker.raw().outgoing);
      (void)attacker.raw().send(sent);
      const auto end = attacker.await_termination();
      ASSERT_TRUE(end);
      EXPECT_EQ(end->fes, fatal::header_digest_error);
      EXPECT_EQ(end->fei, client::get<std::uint32_t>(sent, data ? 24 : 72));
      expect_offender(*end, sent);
    }
  }
  // A digest left out where it was negotiated looks like a wrong one: what comes next stands there.
  Attacker attacker(daemon.endpoint(), Stage::io, digests);
  ASSERT_TRUE(attacker.ready());
  Pdu bare = identify_capsule();
  bare.with_header_digest = false;
  bare.wire_flags = 0;
  (void)attacker.raw().send(bare);
  (void)attacker.raw().send(bare);
  const auto end = attacker.await_termination();
  ASSERT_TRUE(end);
  EXPECT_EQ(end->fes, fatal::header_digest_error);
  EXPECT_EQ(end->fei, client::get<std::uint32_t>(client::encode(bare, attacker.raw().outgoing), 0));
  bystander.expect_undisturbed();
}

// Section 3.3.2.2 of the transport: a data digest error fails the command, not the connection.
TEST(MalformedPdu, AWrongDataDigestFailsOnlyItsCommandAndWritesNothing) {
  Workplace workplace;
  Daemon daemon(workplace, attack_config());
  daemon.config().metrics_port = workplace.free_port();
  ASSERT_TRUE(daemon.start());
  Bystander bystander(daemon.endpoint());
  Attacker attacker(daemon.endpoint(), Stage::io, {.header_digest = true, .data_digest = true});
  ASSERT_TRUE(attacker.ready());
  client::Queue& queue = attacker.queue();
  const Bytes before = pattern(4096, 1);
  ASSERT_NO_FATAL_FAILURE(write(queue, 1, 0, before, 4096));
  constexpr std::uint16_t transient_transport_error = 0x22;

  Pdu pdu = write_capsule(4096);
  pdu.data_digest_flip = 1;
  ASSERT_GOOD(attacker.raw().send(pdu));
  auto answer = attacker.raw().receive();
  ASSERT_GOOD(answer);
  ASSERT_TRUE(answer.value().is(PduType::response)) << answer.value().describe();
  EXPECT_EQ(answer.value().field<std::uint16_t>(20), 900);
  EXPECT_EQ(answer.value().field<std::uint16_t>(22) >> 1 & 0x7ff, transient_transport_error);
  EXPECT_TRUE(read(queue, 1, 0, 1, 4096) == before);

  // The same by R2T.
  auto command = client::io::write(1, 0, pattern(65536, 2), 4096);
  command.hold_data = true;
  const auto cid = queue.submit(std::move(command));
  ASSERT_GOOD(cid);
  const auto r2t = queue.await_r2t(cid.value());
  ASSERT_GOOD(r2t);
  Pdu piece = client::h2c_data(cid.value(), r2t.value().ttag, 0, Bytes(r2t.value().bytes), true);
  piece.data_digest_flip = 0x80000000;
  ASSERT_GOOD(attacker.raw().send(piece));
  answer = attacker.raw().receive();
  ASSERT_GOOD(answer);
  ASSERT_TRUE(answer.value().is(PduType::response)) << answer.value().describe();
  EXPECT_EQ(answer.value().field<std::uint16_t>(20), cid.value());
  EXPECT_EQ(answer.value().field<std::uint16_t>(22) >> 1 & 0x7ff, transient_transport_error);
  queue.forget(cid.value());
  EXPECT_TRUE(read(queue, 1, 0, 1, 4096) == before);
  write_and_read_back(queue, 1, 0, 32, 4096, 3);
  EXPECT_EQ(scrape(daemon.config().metrics_port).sum("forebay_host_digest_errors_total"), 2);
  bystander.expect_undisturbed();
}

// What is wrong with data that an R2T did ask for.
TEST(MalformedPdu, H2cDataThatItsR2tDoesNotCover) {
  struct Wrong {
    const char* damage;
    std::function<Pdu(const client::R2t&)> data;
    std::uint16_t fes;
    std::optional<std::uint32_t> fei;
  };
  const Wrong wrongs[] = {
      {"another TTAG",
       [](const client::R2t& r) {
         return client::h2c_data(r.cid, static_cast<std::uint16_t>(r.ttag + 999), 0, Bytes(4096),
                                 false);
       },
       fatal::invalid_header_field, 10},
      {"another command",
       [](const client::R2t& r) {
         return client::h2c_data(static_cast<std::uint16_t>(r.cid + 1), r.ttag, 0, Bytes(4096),
                                 false);
       },
       fatal::invalid_header_field, 8},
      {"an offset behind the range",
       [](const client::R2t& r) {
         return client::h2c_data(r.cid, r.ttag, r.bytes, Bytes(4096), true);
       },
       fatal::data_out_of_range,
       {}},
      {"a length beyond the range",
       [](const client::R2t& r) {
         return client::h2c_data(r.cid, r.ttag, r.bytes - 4096, Bytes(8192), true);
       },
       fatal::data_out_of_range,
       {}},
      {"an offset that wraps",
       [](const client::R2t& r) {
         return client::h2c_data(r.cid, r.ttag, 0xfffff000, Bytes(8192), true);
       },
       fatal::data_out_of_range,
       {}},
      {"a gap",
       [](const client::R2t& r) {
         return client::h2c_data(r.cid, r.ttag, 8192, Bytes(4096), false);
       },
       fatal::sequence_error,
       {}},
      {"LAST before the last",
       [](const client::R2t& r) { return client::h2c_data(r.cid, r.ttag, 0, Bytes(4096), true); },
       fatal::invalid_header_field, 1},
      {"no data",
       [](const client::R2t& r) { return client::h2c_data(r.cid, r.ttag, 0, {}, false); },
       fatal::invalid_header_field,
       {}},
  };
  Workplace workplace;
  Daemon daemon(workplace, attack_config());
  ASSERT_TRUE(daemon.start());
  Bystander bystander(daemon.endpoint());
  for (const Wrong& wrong : wrongs) {
    SCOPED_TRACE(wrong.damage);
    Attacker attacker(daemon.endpoint(), Stage::io);
    ASSERT_TRUE(attacker.ready());
    auto command = client::io::write(1, 0, Bytes(65536), 4096);
    command.hold_data = true;
    const auto cid = attacker.queue().submit(std::move(command));
    ASSERT_GOOD(cid);
    const auto r2t = attacker.queue().await_r2t(cid.value());
    ASSERT_GOOD(r2t);
    (void)attacker.raw().send(wrong.data(r2t.value()));
    const auto end = attacker.await_termination();
    if (!end) continue;
    EXPECT_EQ(end->fes, wrong.fes);
    if (wrong.fei) {
      EXPECT_EQ(end->fei, *wrong.fei);
    }
  }
  bystander.expect_undisturbed();
}

// A tag is good for one transfer: who says it again changes nothing, and is told so.
TEST(MalformedPdu, ATransferTagThatIsUsedUpIsNone) {
  Workplace workplace;
  Daemon daemon(workplace, attack_config());
  ASSERT_TRUE(daemon.start());
  Bystander bystander(daemon.endpoint());
  for (const bool is_newer_write_open : {false, true}) {
    SCOPED_TRACE(is_newer_write_open);
    Attacker attacker(daemon.endpoint(), Stage::io);
    ASSERT_TRUE(attacker.ready());
    client::Queue& queue = attacker.queue();
    const auto ask = [&queue](std::uint64_t lba, std::uint64_t seed) {
      auto command = client::io::write(1, lba, pattern(65536, seed), 4096);
      command.hold_data = true;
      const auto cid = queue.submit(std::move(command));
      EXPECT_GOOD(cid);
      const auto r2t = queue.await_r2t(cid.value());
      EXPECT_GOOD(r2t);
      return r2t.value();
    };
    const client::R2t used = ask(0, 1);
    ASSERT_GOOD(queue.answer(used));
    const auto done = queue.await(used.cid);
    ASSERT_GOOD(done);
    EXPECT_TRUE(done.value().ok()) << done.value().describe();
    // Another command has another tag, or the same place and another identifier.
    if (is_newer_write_open) {
      EXPECT_NE(ask(16, 2).cid, used.cid);
    }
    (void)attacker.raw().send(client::h2c_data(used.cid, used.ttag, 0, Bytes(used.bytes), true));
    const auto end = attacker.await_termination();
    ASSERT_TRUE(end);
    EXPECT_EQ(end->fes, fatal::invalid_header_field);
    EXPECT_TRUE(end->fei == 8 || end->fei == 10) << end->fei;
    Attacker reader(daemon.endpoint(), Stage::io);
    ASSERT_TRUE(reader.ready());
    EXPECT_TRUE(read(reader.queue(), 1, 0, 16, 4096) == pattern(65536, 1));
  }
  bystander.expect_undisturbed();
}

// What has begun is not aborted: the host is told so, its data is taken, and nothing but that. Once
// the command has been answered there is neither a command to abort nor a place for data.
TEST(MalformedPdu, DataAfterAnAbortIsItsCommandsOrNobodys) {
  Workplace workplace;
  Daemon daemon(workplace, attack_config());
  ASSERT_TRUE(daemon.start());
  Bystander bystander(daemon.endpoint());
  Attacker attacker(daemon.endpoint(), Stage::io);
  ASSERT_TRUE(attacker.ready());
  client::Queue& queue = attacker.queue();
  const auto abort = [&attacker, &queue](std::uint16_t cid) {
    const auto done = attacker.controller().admin().execute(client::admin::abort(queue.id(), cid));
    EXPECT_GOOD(done);
    EXPECT_TRUE(done.value().ok()) << done.value().describe();
    return done.value().dw0() & 1;  // 1: it was not
  };
  auto command = client::io::write(1, 0, pattern(65536, 1), 4096);
  command.hold_data = true;
  const auto cid = queue.submit(std::move(command));
  ASSERT_GOOD(cid);
  const auto r2t = queue.await_r2t(cid.value());
  ASSERT_GOOD(r2t);
  ASSERT_GOOD(queue.send_data(r2t.value(), 0, 4096, false));
  EXPECT_EQ(abort(cid.value()), 1U);
  ASSERT_GOOD(queue.send_data(r2t.value(), 4096, 65536 - 4096, true));
  const auto done = queue.await(cid.value());
  ASSERT_GOOD(done);
  EXPECT_TRUE(done.value().ok()) << done.value().describe();
  EXPECT_TRUE(read(queue, 1, 0, 16, 4096) == pattern(65536, 1));

  EXPECT_EQ(abort(cid.value()), 1U);
  (void)attacker.raw().send(
      client::h2c_data(cid.value(), r2t.value().ttag, 4096, Bytes(4096), true));
  const auto end = attacker.await_termination();
  ASSERT_TRUE(end);
  EXPECT_EQ(end->fes, fatal::invalid_header_field);
  EXPECT_EQ(end->fei, 10U);
  bystander.expect_undisturbed();
}

TEST(MalformedPdu, H2cTermReqEndsTheConnectionWithoutAnAnswer) {
  Workplace workplace;
  Daemon daemon(workplace, attack_config());
  ASSERT_TRUE(daemon.start());
  for (const Stage stage : {Stage::fresh, Stage::negotiated, Stage::admin, Stage::io}) {
    for (const bool broken : {false, true}) {
      SCOPED_TRACE(fmt::format("stage {}, broken {}", static_cast<int>(stage), broken));
      Attacker attacker(daemon.endpoint(), stage);
      ASSERT_TRUE(attacker.ready());
      Pdu pdu = client::h2c_terminate(fatal::sequence_error, 0, Bytes(72));
      if (broken) pdu.hlen = 25;
      ASSERT_GOOD(attacker.raw().send(pdu));
      std::vector<client::ReceivedPdu> before;
      ASSERT_GOOD(attacker.raw().await_end(client::default_time_out, &before));
      EXPECT_TRUE(before.empty());
    }
  }
}

// The last words reach a host that is still sending.
TEST(MalformedPdu, TheTerminationArrivesAlthoughTheHostGoesOnSending) {
  Workplace workplace;
  Daemon daemon(workplace, attack_config());
  ASSERT_TRUE(daemon.start());
  for (int i = 0; i < 20; ++i) {
    Attacker attacker(daemon.endpoint(), Stage::io);
    ASSERT_TRUE(attacker.ready());
    Bytes stream = client::encode(data_of_nobody(), attacker.raw().outgoing);
    stream.resize(stream.size() + (1 << 20));
    (void)attacker.raw().send(stream);
    EXPECT_TRUE(attacker.await_termination());
  }
}

}  // namespace
}  // namespace end_to_end
