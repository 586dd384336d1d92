// PDUs that break RFC 7143, one at a time: a reject, an error status or the end of that connection,
// never more. Beside each attack others work on undisturbed, and nothing is written that should not
// be.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "tests/end_to_end/harness/bystander.h"
#include "tests/end_to_end/harness/daemon.h"
#include "tests/end_to_end/harness/initiator.h"

namespace end_to_end {
namespace {

using iscsi::Keys;
using iscsi::Opcode;
using iscsi::Pdu;
using iscsi::Session;

constexpr std::uint32_t stray_tag = 0xbad;
constexpr std::uint32_t barrier_tag = 0xba881e8;

// What came of an attack: "reject 04", "status 02", "ok" (a command that succeeded), "closed", or
// "ignored": a ping sent after it was answered first.
std::string reaction_of(Session& session, bool surely_answered) {
  Pdu ping(Opcode::nop_out);
  ping = session.numbered(std::move(ping.immediate()), barrier_tag);
  ping.u32(iscsi::at::transfer_tag, iscsi::no_tag);
  // Task management takes its time, and pings overtake it. The connection may have ended already.
  if (!surely_answered) (void)session.raw().send(ping);
  for (;;) {
    const auto pdu = session.raw().receive();
    if (!pdu) {
      const auto kind = pdu.error().kind;
      const bool ended = kind == client::ErrorKind::closed || kind == client::ErrorKind::reset;
      return ended ? "closed" : pdu.error().describe();
    }
    switch (pdu.value().opcode()) {
      case Opcode::reject:
        return fmt::format("reject {:02x}", pdu.value().byte(2));
      case Opcode::scsi_response:
        return pdu.value().byte(2) == 0 && pdu.value().byte(3) == 0
                   ? "ok"
                   : fmt::format("status {:02x}", pdu.value().byte(3));
      case Opcode::task_management_response:
      case Opcode::logout_response:
        return fmt::format("response {:02x}", pdu.value().byte(2));
      case Opcode::text_response:
        return "text";
      case Opcode::nop_in:
        if (pdu.value().u32(iscsi::at::task_tag) == barrier_tag) return "ignored";
        break;
      default:
        break;  // an R2T, data of a command before, an Async Message
    }
  }
}

Pdu write_command(Session& session, std::uint32_t tag, std::uint32_t bytes) {
  Pdu pdu(Opcode::scsi_command, 0xa1);  // F, W, simple
  pdu = session.numbered(std::move(pdu), tag);
  const scsi::Task task = scsi::write(0, Bytes(bytes), iscsi_block);
  pdu.u32(20, bytes);
  for (std::size_t i = 0; i < 16; ++i) pdu.byte(32 + i, static_cast<std::uint8_t>(task.cdb[i]));
  return pdu;
}

Pdu data_out(const Session& session, std::uint32_t tag, std::uint32_t transfer_tag,
             std::uint32_t offset, std::size_t bytes) {
  Pdu pdu(Opcode::data_out);
  pdu.u32(iscsi::at::task_tag, tag)
      .u32(iscsi::at::transfer_tag, transfer_tag)
      .u32(iscsi::at::expected_stat_sn, session.expected_stat_sn())
      .u32(iscsi::at::buffer_offset, offset);
  pdu.data = pattern(bytes, 0xbad);
  return pdu;
}

// A write of two blocks whose R2T has come and waits for its data.
struct Owed {
  explicit Owed(Session& session) {
    scsi::Task task = scsi::write(0, pattern(2 * iscsi_block, 0xbad), iscsi_block);
    task.hold_data = true;
    const auto submitted = session.submit(std::move(task));
    EXPECT_GOOD(submitted);
    if (!submitted) return;
    const auto asked = session.await_r2t(submitted.value());
    EXPECT_GOOD(asked);
    if (asked) r2t = asked.value();
  }
  iscsi::R2t r2t;
};

Pdu numbered(Session& session, Pdu pdu, std::uint32_t tag = stray_tag) {
  return session.numbered(std::move(pdu), tag);
}

void must_send(Session& session, const Pdu& pdu) { EXPECT_GOOD(session.raw().send(pdu)); }

struct Attack {
  const char* name;
  const char* expected;  // a regular expression over reaction_of()
  std::function<void(Session&)> commit;
  iscsi::Parameters parameters = {.immediate_data = false};
};

const iscsi::Parameters with_digests{
    .header_digest = true, .data_digest = true, .immediate_data = false};

const std::vector<Attack>& attacks() {
  static const std::vector<Attack> all{
      // 11.17.1: reason 05h, command not supported.
      {"unknown_opcode", "reject 05|closed",
       [](Session& s) { must_send(s, numbered(s, Pdu(static_cast<Opcode>(0x1f)).immediate())); }},
      {"opcode_of_a_target", "reject 0[45]|closed",
       [](Session& s) { must_send(s, numbered(s, Pdu(Opcode::scsi_response))); }},
      // 6.3: login is over.
      {"login_in_full_feature_phase", "reject 0[34b]|closed",
       [](Session& s) {
         iscsi::LoginRequest request;
         request.command_sn = s.command_sn();
         must_send(s, iscsi::to_pdu(request, iscsi::to_text({{"InitiatorName",
                                                              "iqn.2026-11.com.example:client"}})));
       }},
      // 4.2.2.1: silently ignored.
      {"command_sn_beyond_the_window", "ignored",
       [](Session& s) {
         Pdu pdu = write_command(s, stray_tag, iscsi_block);
         must_send(s, pdu.u32(iscsi::at::command_sn, s.max_command_sn() + 1));
       }},
      {"command_sn_of_the_past", "ignored",
       [](Session& s) {
         Pdu pdu = write_command(s, stray_tag, iscsi_block);
         must_send(s, pdu.u32(iscsi::at::command_sn, s.expected_command_sn() - 1));
       }},
      // 11.2.1.4 and 13.12: more than the target has said it takes.
      {"data_segment_over_the_limit", "reject 0[49]|closed",
       [](Session& s) {
         Pdu pdu = numbered(s, Pdu(Opcode::nop_out).immediate());
         pdu.u32(iscsi::at::transfer_tag, iscsi::no_tag);
         pdu.data_segment_bytes = 0xffffff;
         must_send(s, pdu);
         (void)s.raw().send(Bytes(1 << 20));  // it may end before it has all
         s.raw().half_close();
       }},
      {"additional_header_of_1020_bytes", ".*",
       [](Session& s) {
         Pdu pdu = numbered(s, Pdu(Opcode::nop_out).immediate());
         pdu.additional_header = Bytes(1020, std::byte{0xff});
         must_send(s, pdu);
       }},
      {"additional_header_that_is_not_there", "closed",
       [](Session& s) {
         Pdu pdu = numbered(s, Pdu(Opcode::nop_out).immediate());
         pdu.additional_header_words = 255;
         must_send(s, pdu);
         s.raw().half_close();
       }},
      {"half_a_header", "closed",
       [](Session& s) {
         EXPECT_GOOD(s.raw().send(Bytes(20)));
         s.raw().half_close();
       }},
      // ImmediateData=No was agreed on.
      {"immediate_data_not_agreed", "reject 0[49]|closed|status 02",
       [](Session& s) {
         Pdu pdu = write_command(s, stray_tag, iscsi_block);
         pdu.data = pattern(iscsi_block, 0xbad);
         must_send(s, pdu);
       }},
      // InitialR2T=Yes was agreed on: F is 1, and no unsolicited data follows.
      {"unsolicited_data_not_agreed", "reject 0[49]|closed|status 02",
       [](Session& s) {
         Pdu pdu = write_command(s, stray_tag, 2 * iscsi_block);
         must_send(s, pdu.byte(1, 0x21));
         must_send(s, data_out(s, stray_tag, iscsi::no_tag, 0, 2 * iscsi_block));
       }},
      {"data_for_no_task", "reject 0[49]|closed|ignored",
       [](Session& s) { must_send(s, data_out(s, stray_tag, 0x12345678, 0, iscsi_block)); }},
      {"data_with_another_transfer_tag", "reject 0[49]|closed|status 02|ignored",
       [](Session& s) {
         const Owed owed(s);
         must_send(
             s, data_out(s, owed.r2t.task_tag, owed.r2t.transfer_tag ^ 0x5a5a, 0, 2 * iscsi_block));
       }},
      {"data_before_its_burst", "reject 0[49]|closed|status 02",
       [](Session& s) {
         const Owed owed(s);
         must_send(
             s, data_out(s, owed.r2t.task_tag, owed.r2t.transfer_tag, 0xfffff000, 2 * iscsi_block));
       }},
      {"data_beyond_its_burst", "reject 0[49]|closed|status 02",
       [](Session& s) {
         const Owed owed(s);
         must_send(s, data_out(s, owed.r2t.task_tag, owed.r2t.transfer_tag, iscsi_block,
                               2 * iscsi_block));
       }},
      {"less_data_than_was_asked_for", "reject 0[49]|closed|status 02",
       [](Session& s) {
         const Owed owed(s);
         must_send(s, data_out(s, owed.r2t.task_tag, owed.r2t.transfer_tag, 0, iscsi_block));
       }},
      {"data_sn_skipped", "reject 0[49]|closed|status 02",
       [](Session& s) {
         const Owed owed(s);
         Pdu pdu = data_out(s, owed.r2t.task_tag, owed.r2t.transfer_tag, 0, 2 * iscsi_block);
         must_send(s, pdu.u32(iscsi::at::data_sn, 7));
       }},
      // The tag of a task that is under way (section 11.2.1.8).
      {"task_tag_in_use", "reject 0[4579a]|closed|status 02",
       [](Session& s) {
         const Owed owed(s);
         must_send(s, write_command(s, owed.r2t.task_tag, iscsi_block));
       }},
      // ERL 0: no way on after a wrong header digest (7.3).
      {"wrong_header_digest", "closed",
       [](Session& s) {
         Pdu pdu = write_command(s, stray_tag, iscsi_block);
         pdu.header_digest_flip = 1;
         must_send(s, pdu);
       },
       with_digests},
      // 7.3: reject 02h, and the task fails; or the end.
      {"wrong_data_digest", "reject 02|closed|status 02",
       [](Session& s) {
         const Owed owed(s);
         Pdu pdu = data_out(s, owed.r2t.task_tag, owed.r2t.transfer_tag, 0, 2 * iscsi_block);
         pdu.data_digest_flip = 0x80000000;
         must_send(s, pdu);
       },
       with_digests},
      {"wrong_data_digest_of_a_ping", "reject 02|closed",
       [](Session& s) {
         Pdu pdu = numbered(s, Pdu(Opcode::nop_out).immediate());
         pdu.u32(iscsi::at::transfer_tag, iscsi::no_tag);
         pdu.data = Bytes(64);
         pdu.data_digest_flip = 1;
         must_send(s, pdu);
       },
       with_digests},
      // 11.16: no SNACK at ERL 0; reason 03h.
      {"snack", "reject 0[345]|closed",
       [](Session& s) { must_send(s, numbered(s, Pdu(Opcode::snack, 0x80))); }},
      // 11.6.1: 05h function not supported, 04h reassignment not supported; 01h no such task.
      {"clear_aca", "response 05",
       [](Session& s) {
         must_send(s, numbered(s, Pdu(Opcode::task_management, 0x83).immediate()));
       }},
      {"task_reassign", "response 0[45]",
       [](Session& s) {
         must_send(s, numbered(s, Pdu(Opcode::task_management, 0x88).immediate()));
       }},
      {"task_management_of_no_kind", "response (05|ff)|reject 0[459]",
       [](Session& s) {
         must_send(s, numbered(s, Pdu(Opcode::task_management, 0xff).immediate()));
       }},
      {"abort_of_a_task_that_never_was", "response 01",
       [](Session& s) {
         Pdu pdu = numbered(s, Pdu(Opcode::task_management, 0x81).immediate());
         must_send(s, pdu.u32(20, 0x4711).u32(32, s.expected_command_sn() - 2));
       }},
      {"reset_of_a_lun_that_is_not_there", "response 02",
       [](Session& s) {
         Pdu pdu = numbered(s, Pdu(Opcode::task_management, 0x85).immediate());
         must_send(s, pdu.u64(iscsi::at::lun, iscsi::lun_field(99)));
       }},
      // 11.15.1: 01h, CID not found.
      {"logout_of_another_connection", "response 01|reject 0[49]|closed",
       [](Session& s) {
         Pdu pdu = numbered(s, Pdu(Opcode::logout, 0x81).immediate());
         must_send(s, pdu.u16(20, 77));
       }},
      {"logout_without_a_reason", "reject 0[49]|closed|response 0[023]",
       [](Session& s) { must_send(s, numbered(s, Pdu(Opcode::logout, 0xff).immediate())); }},
      {"text_with_a_tag_that_is_not_the_targets", "reject 0[4579]|closed|text",
       [](Session& s) {
         Pdu pdu = numbered(s, Pdu(Opcode::text).immediate());
         must_send(s, pdu.u32(iscsi::at::transfer_tag, 0x1234));
       }},
      {"text_without_an_equals_sign", "reject 0[49]|closed|text",
       [](Session& s) {
         Pdu pdu = numbered(s, Pdu(Opcode::text).immediate());
         pdu.u32(iscsi::at::transfer_tag, iscsi::no_tag);
         pdu.data = Bytes(100, std::byte{'a'});
         must_send(s, pdu);
       }},
      // A text that says again and again that more comes.
      // Behind its rejection, what the opcode is answered.
      {"text_without_an_end", "reject 05|closed",
       [](Session& s) {
         std::uint32_t transfer_tag = iscsi::no_tag;
         for (int i = 0; i < 1000; ++i) {
           Pdu pdu = numbered(s, Pdu(Opcode::text, 0x40).immediate());
           pdu.u32(iscsi::at::transfer_tag, transfer_tag);
           pdu.data = Bytes(8192, std::byte{'k'});
           if (!s.raw().send(pdu)) return;
           const auto answer = s.raw().receive();
           if (!answer) return;
           if (answer.value().is(Opcode::reject)) {
             return must_send(s, numbered(s, Pdu(static_cast<Opcode>(0x1e)).immediate()));
           }
           transfer_tag = answer.value().u32(iscsi::at::transfer_tag);
         }
       }},
      {"nop_out_that_answers_nothing", "reject 0[49]|closed|ignored",
       [](Session& s) {
         Pdu pdu = numbered(s, Pdu(Opcode::nop_out).immediate(), iscsi::no_tag);
         must_send(s, pdu.u32(iscsi::at::transfer_tag, 0x777));
       }},
      {"command_that_neither_ends_nor_goes_on",
       "ignored|reject 0[49]|closed|status 02",
       [](Session& s) {
         Pdu pdu = write_command(s, stray_tag, iscsi_block);
         must_send(s, pdu.byte(1, 0x21));  // F is 0, and no data follows
       },
       {.initial_r2t = false, .immediate_data = false}},
  };
  return all;
}

TEST(IscsiMalformed, EachAttackIsAnsweredAndHurtsNobody) {
  Workplace workplace;
  ConfigText config = with_iscsi(memory_config());
  config.log_level = "warn";
  Daemon daemon(workplace, config);
  ASSERT_TRUE(daemon.start());
  const auto portal = iscsi_endpoint(daemon.config());
  InitiatorBystander beside(portal);
  Bystander nvme(daemon.endpoint());
  beside.await_rounds(20);
  iscsi::LoginOptions owner = to_target(portal, prey_target);
  owner.initiator = "iqn.2026-11.com.example:owner";
  const auto owning = open_session(owner);
  ASSERT_TRUE(owning);
  const Bytes prey = pattern(2 * iscsi_block, 42);
  write(*owning, 0, 0, prey, iscsi_block);

  const auto run = [&](const Attack& attack) {
    SCOPED_TRACE(attack.name);
    iscsi::LoginOptions options = to_target(portal, prey_target);
    options.parameters = attack.parameters;
    const auto session = open_session(options);
    ASSERT_TRUE(session);
    attack.commit(*session);
    const bool surely_answered = std::string_view(attack.expected).starts_with("response");
    EXPECT_THAT(reaction_of(*session, surely_answered), testing::MatchesRegex(attack.expected));
    EXPECT_TRUE(daemon.process().running());
    EXPECT_TRUE(read(*owning, 0, 0, 2, iscsi_block) == prey) << "it was written";
  };
  for (const Attack& attack : attacks()) run(attack);  // warms up
  const Usage before = daemon.usage();
  for (int turn = 0; turn < rounds(3, 200) && !testing::Test::HasFailure(); ++turn) {
    for (const Attack& attack : attacks()) run(attack);
  }
  // The owner's, the bystanders' and nobody else's.
  EXPECT_TRUE(daemon.await_status([](const boost::json::value& status) {
    std::uint64_t places = 0;
    for (const auto& listener : status.at("listeners").as_array()) {
      places += listener.at("connections").to_number<std::uint64_t>();
    }
    return places == 4;
  }));
  const Usage after = daemon.usage();
  EXPECT_LE(after.descriptors, before.descriptors);
  EXPECT_LE(after.resident_bytes, before.resident_bytes + (8U << 20) + sanitizer_bytes);
  beside.expect_undisturbed();
  nvme.expect_undisturbed();
}

struct LoginAttack {
  const char* name;
  std::function<void(iscsi::Connection&)> commit;
};

Bytes login_text(std::size_t bytes) { return Bytes(bytes, std::byte{'v'}); }

void send_login(iscsi::Connection& connection, const iscsi::LoginRequest& request, Bytes text) {
  (void)connection.send(iscsi::to_pdu(request, std::move(text)));
}

const std::vector<LoginAttack>& login_attacks() {
  static const std::vector<LoginAttack> all{
      {"a_command_first",
       [](iscsi::Connection& c) { (void)c.send(Pdu(Opcode::scsi_command, 0x81)); }},
      {"zeroes", [](iscsi::Connection& c) { (void)c.send(Bytes(4096)); }},
      {"ones", [](iscsi::Connection& c) { (void)c.send(Bytes(4096, std::byte{0xff})); }},
      {"http",
       [](iscsi::Connection& c) {
         const std::string request =
             "GET / HTTP/1.1\r\nHost: store\r\nAccept: everything there is\r\n\r\n";
         (void)c.send(std::as_bytes(std::span(request)));
       }},
      {"a_text_bomb",
       [](iscsi::Connection& c) {
         iscsi::LoginRequest request;
         request.transit = false;
         request.more = true;
         for (int i = 0; i < 2000; ++i) {
           if (!c.send(iscsi::to_pdu(request, login_text(8192)))) return;
           const auto answer = c.receive();
           if (!answer || answer.value().byte(36) != 0) return;
         }
       }},
      {"a_huge_segment",
       [](iscsi::Connection& c) {
         Pdu pdu = iscsi::to_pdu({}, login_text(1 << 20));
         pdu.data_segment_bytes = 0xffffff;
         (void)c.send(pdu);
       }},
      {"a_key_of_many_letters",
       [](iscsi::Connection& c) {
         send_login(c, {}, iscsi::to_text({{std::string(4000, 'k'), "v"}}));
       }},
      {"no_equals_sign",
       [](iscsi::Connection& c) {
         Bytes text = login_text(100);
         text.back() = std::byte{0};
         send_login(c, {}, text);
       }},
      {"the_same_key_twice",
       [](iscsi::Connection& c) {
         send_login(c, {},
                    iscsi::to_text({{"InitiatorName", "iqn.2026-11.com.example:a"},
                                    {"InitiatorName", "iqn.2026-11.com.example:b"},
                                    {"TargetName", prey_target}}));
       }},
      {"a_name_that_changes",
       [](iscsi::Connection& c) {
         iscsi::LoginRequest request;
         request.transit = false;
         send_login(c, request,
                    iscsi::to_text({{"InitiatorName", "iqn.2026-11.com.example:a"},
                                    {"TargetName", prey_target}}));
         const auto answer = c.receive();
         if (!answer) return;
         request.expected_stat_sn = answer.value().u32(iscsi::at::stat_sn) + 1;
         request.transit = true;
         send_login(c, request, iscsi::to_text({{"InitiatorName", "iqn.2026-11.com.example:b"}}));
       }},
      {"a_negotiation_without_an_end",
       [](iscsi::Connection& c) {
         iscsi::LoginRequest request;
         request.transit = false;
         Keys keys{{"InitiatorName", "iqn.2026-11.com.example:a"},
                   {"TargetName", prey_target},
                   {"SessionType", "Normal"}};
         for (int i = 0; i < 2000; ++i) {
           send_login(c, request, iscsi::to_text(keys));
           const auto answer = c.receive();
           if (!answer || answer.value().byte(36) != 0) return;
           request.expected_stat_sn = answer.value().u32(iscsi::at::stat_sn) + 1;
           keys = {{"MaxBurstLength", std::to_string(512 + i)}};
         }
         ADD_FAILURE() << "2000 login requests were answered";
       }},
      {"a_challenge_that_is_answered_with_another",
       [](iscsi::Connection& c) {
         iscsi::LoginRequest request;
         request.transit = false;
         request.current_stage = iscsi::security_stage;
         send_login(c, request,
                    iscsi::to_text({{"InitiatorName", "iqn.2026-11.com.example:a"},
                                    {"TargetName", prey_target},
                                    {"AuthMethod", "CHAP,None"}}));
         const auto answer = c.receive();
         if (!answer) return;
         request.expected_stat_sn = answer.value().u32(iscsi::at::stat_sn) + 1;
         send_login(c, request,
                    iscsi::to_text(
                        {{"CHAP_I", "1"}, {"CHAP_C", "0x00"}, {"CHAP_R", "0x"}, {"CHAP_N", ""}}));
       }},
  };
  return all;
}

TEST(IscsiMalformed, LoginsThatBreakTheRulesEnd) {
  Workplace workplace;
  ConfigText config = with_iscsi(memory_config(), "iscsi: {login_timeout: 2s}");
  config.log_level = "warn";
  Daemon daemon(workplace, config);
  ASSERT_TRUE(daemon.start());
  const auto portal = iscsi_endpoint(daemon.config());
  InitiatorBystander beside(portal);
  beside.await_rounds(20);
  Usage before = daemon.usage();
  for (int turn = 0; turn < 2; ++turn) {
    for (const LoginAttack& attack : login_attacks()) {
      SCOPED_TRACE(attack.name);
      auto connection = iscsi::Connection::connect(portal);
      ASSERT_GOOD(connection);
      attack.commit(*connection.value());
      // At once, or when the time for a login is over.
      EXPECT_GOOD(connection.value()->await_end(Milliseconds{10'000 * sanitizer_slowness}));
      EXPECT_TRUE(daemon.process().running());
    }
    if (turn == 0) before = daemon.usage();
  }
  const Usage after = daemon.usage();
  EXPECT_LE(after.resident_bytes, before.resident_bytes + (8U << 20) + sanitizer_bytes);
  beside.expect_undisturbed();
}

// 1000 connections that say nothing, or half of a login, are gone when the time for a login is
// over.
TEST(IscsiMalformed, SilentConnectionsAreEndedAndBounded) {
  Workplace workplace;
  ConfigText config = with_iscsi(memory_config(), "iscsi: {login_timeout: 2s}");
  config.log_level = "warn";
  Daemon daemon(workplace, config);
  ASSERT_TRUE(daemon.start());
  const auto portal = iscsi_endpoint(daemon.config());
  InitiatorBystander beside(portal);
  beside.await_rounds(20);
  const Usage before = daemon.usage();
  std::vector<std::unique_ptr<iscsi::Connection>> crowd;
  for (int i = 0; i < 200; ++i) {
    auto connection = iscsi::Connection::connect(portal);
    ASSERT_GOOD(connection);
    if (i % 2 == 0) (void)connection.value()->send(Bytes(24, std::byte{0x43}));
    crowd.push_back(std::move(connection.value()));
  }
  EXPECT_LE(daemon.usage().resident_bytes, before.resident_bytes + (64U << 20) + sanitizer_bytes);
  for (const auto& connection : crowd) EXPECT_GOOD(connection->await_end());
  crowd.clear();
  EXPECT_TRUE(daemon.await_status([](const boost::json::value& status) {
    return status.at("listeners").as_array()[1].at("connections").to_number<int>() == 1;
  }));
  EXPECT_LE(daemon.usage().descriptors, before.descriptors);
  beside.expect_undisturbed();
}

}  // namespace
}  // namespace end_to_end
