// Random damage to conversations that an initiator could have, before and after login: the daemon
// lives, the memory comes back, others notice nothing. The seed is printed on failure; FOREBAY_SEED
// repeats it.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "engine/foundation/random.h"
#include "tests/end_to_end/harness/bystander.h"
#include "tests/end_to_end/harness/daemon.h"
#include "tests/end_to_end/harness/initiator.h"

namespace end_to_end {
namespace {

using iscsi::Opcode;
using iscsi::Pdu;

std::uint64_t iscsi_seed_of_this_run() {
  if (const char* wanted = std::getenv("FOREBAY_SEED")) return std::strtoull(wanted, nullptr, 10);
  std::uint64_t seed = 0;
  engine::system_random(std::as_writable_bytes(std::span(&seed, 1)));
  return seed;
}

Bytes some_bytes(engine::SeededRandom& random, std::size_t most) {
  Bytes bytes(random.below(most + 1));
  random.fill(bytes);
  return bytes;
}

// Likely to get past the first checks.
Pdu likely_pdu(engine::SeededRandom& random, const iscsi::Session* session,
               std::uint32_t& command_sn) {
  static constexpr Opcode opcodes[] = {
      Opcode::nop_out,         Opcode::scsi_command, Opcode::scsi_command, Opcode::scsi_command,
      Opcode::task_management, Opcode::login,        Opcode::text,         Opcode::data_out,
      Opcode::logout,          Opcode::snack};
  static constexpr std::uint8_t codes[] = {0x00, 0x03, 0x12, 0x1a, 0x28, 0x2a, 0x42, 0x5e, 0x5f,
                                           0x83, 0x84, 0x88, 0x89, 0x8a, 0x93, 0x9e, 0xa0, 0xa3};
  const auto word = [&random] { return static_cast<std::uint32_t>(random()); };
  // Logouts end the conversation: rarely.
  const Opcode opcode = opcodes[random.below(random.chance(1, 8) ? 10 : 8)];
  Pdu pdu(opcode, static_cast<std::uint8_t>(word()));
  if (random.chance(3, 4)) pdu.byte(1, static_cast<std::uint8_t>(word()) | iscsi::final_bit);
  if (random.chance(1, 4)) pdu.immediate();
  pdu.u32(iscsi::at::task_tag, word() & 0xf);
  pdu.u32(20, random.chance(1, 2) ? word() & 0xffff : word());
  if (random.chance(1, 2)) pdu.u32(20, iscsi::no_tag);
  pdu.u32(iscsi::at::command_sn, random.chance(7, 8) ? command_sn++ : word());
  pdu.u32(iscsi::at::expected_stat_sn, session != nullptr ? session->expected_stat_sn() : 0);
  pdu.byte(32, codes[random.below(std::size(codes))]);
  for (std::size_t i = 33; i < 48; ++i) {
    if (random.chance(1, 3))
      pdu.byte(i, static_cast<std::uint8_t>(word() & (random.chance(1, 2) ? 3 : 0xff)));
  }
  if (random.chance(1, 2)) pdu.data = some_bytes(random, 4096);
  if (random.chance(1, 8)) pdu.additional_header = some_bytes(random, 64);
  return pdu;
}

void attack(const client::Endpoint& portal, std::uint64_t seed) {
  engine::SeededRandom random(seed);
  const bool logged_in = random.chance(2, 3);
  std::unique_ptr<iscsi::Session> session;
  std::unique_ptr<iscsi::Connection> fresh;
  iscsi::Connection* connection = nullptr;
  if (logged_in) {
    iscsi::LoginOptions options = to_target(portal, prey_target);
    options.isid[5] = static_cast<std::uint8_t>(random.below(2));
    options.parameters.header_digest = random.chance(1, 4);
    options.parameters.data_digest = random.chance(1, 4);
    options.parameters.initial_r2t = random.chance(1, 2);
    auto opened = iscsi::Session::open(options);
    ASSERT_GOOD(opened);
    session = std::move(opened.value());
    connection = &session->raw();
  } else {
    auto connected = iscsi::Connection::connect(portal);
    ASSERT_GOOD(connected);
    fresh = std::move(connected.value());
    connection = fresh.get();
  }
  std::uint32_t command_sn = session != nullptr ? session->command_sn() : 1;
  Bytes stream;
  for (std::uint64_t i = 0, pdus = 1 + random.below(8); i < pdus; ++i) {
    Pdu pdu = likely_pdu(random, session.get(), command_sn);
    if (!logged_in && random.chance(3, 4)) {
      iscsi::LoginRequest request;
      request.transit = random.chance(1, 2);
      request.current_stage = static_cast<std::uint8_t>(random.below(4));
      request.next_stage = static_cast<std::uint8_t>(random.below(4));
      pdu = iscsi::to_pdu(request, iscsi::to_text({{"InitiatorName", "iqn.2026-11.com.example:a"},
                                                   {"TargetName", prey_target},
                                                   {"MaxBurstLength", "70000"}}));
    }
    const Bytes encoded = iscsi::encode(pdu, connection->framing);
    stream.insert(stream.end(), encoded.begin(), encoded.end());
  }
  if (random.chance(1, 2)) {
    for (std::uint64_t i = 0, flips = random.below(6); i < flips; ++i) {
      stream[random.below(stream.size())] = static_cast<std::byte>(random.below(256));
    }
    if (random.chance(1, 4)) stream.resize(1 + random.below(stream.size()));
  }
  (void)connection->send(stream, Milliseconds{5'000});
  switch (random.below(3)) {
    case 0:
      connection->abort_close();
      break;
    case 1:
      connection->half_close();
      for (;;) {
        const auto pdu = connection->receive();
        if (pdu) continue;
        EXPECT_NE(pdu.error().kind, client::ErrorKind::time_out) << "it did not end";
        break;
      }
      break;
    default:
      break;
  }
}

TEST(IscsiGarbage, ManyStreamsOfDamage) {
  const std::uint64_t seed = iscsi_seed_of_this_run();
  Workplace workplace;
  ConfigText config = with_iscsi(memory_config());
  config.reactors = 2;
  config.log_level = "warn";
  Daemon daemon(workplace, config);
  ASSERT_TRUE(daemon.start());
  const auto portal = iscsi_endpoint(daemon.config());
  InitiatorBystander beside(portal);
  Bystander nvme(daemon.endpoint());
  beside.await_rounds(20);
  for (std::uint64_t i = 0; i < 50; ++i) attack(portal, seed + i);  // warms up
  const Usage before = daemon.usage();
  const auto turns = static_cast<std::uint64_t>(rounds(1'500, 100'000));
  for (std::uint64_t i = 0; i < turns; ++i) {
    SCOPED_TRACE(fmt::format("FOREBAY_SEED={} (attack {})", seed, i));
    attack(portal, seed + i);
    ASSERT_FALSE(HasFailure() || !daemon.process().running());
  }
  ASSERT_TRUE(daemon.await_status([](const boost::json::value& status) {
    return status.at("listeners").as_array()[1].at("connections").to_number<int>() == 1;
  }));
  const Usage after = daemon.usage();
  EXPECT_LE(after.descriptors, before.descriptors);
  EXPECT_LE(after.resident_bytes, before.resident_bytes + (16U << 20) + sanitizer_bytes);
  beside.expect_undisturbed();
  nvme.expect_undisturbed();
}

}  // namespace
}  // namespace end_to_end
