// Random bytes at every stage, and valid conversations with random damage: whatever comes, the
// daemon lives, the memory comes back and others notice nothing. The seed is printed on failure;
// FOREBAY_SEED repeats it.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <thread>

#include "engine/foundation/random.h"
#include "tests/end_to_end/harness/attacker.h"
#include "tests/end_to_end/harness/bystander.h"
#include "tests/end_to_end/harness/daemon.h"

namespace end_to_end {
namespace {

std::uint64_t seed_of_this_run() {
  if (const char* wanted = std::getenv("FOREBAY_SEED")) return std::strtoull(wanted, nullptr, 10);
  std::uint64_t seed = 0;
  engine::system_random(std::as_writable_bytes(std::span(&seed, 1)));
  return seed;
}

Bytes random_bytes(engine::SeededRandom& random, std::size_t most) {
  Bytes bytes(1 + random.below(most));
  random.fill(bytes);
  return bytes;
}

// A random entry that is likely to get past the first checks.
client::Entry random_entry(engine::SeededRandom& random, Stage stage) {
  static constexpr std::uint8_t io_codes[] = {0, 1, 2, 5, 8, 9, 0x0c, 0x7f};
  static constexpr std::uint8_t admin_codes[] = {2, 6, 8, 9, 0x0a, 0x0c, 0x18, 0x7f};
  client::Entry entry;
  for (std::size_t dword = 0; dword < 16; ++dword) {
    const std::uint64_t value = random();
    if (random.chance(1, 2)) entry.cdw(dword, static_cast<std::uint32_t>(value & 0xff));
    if (random.chance(1, 4)) entry.cdw(dword, static_cast<std::uint32_t>(value));
  }
  const std::uint8_t code =
      stage == Stage::io ? io_codes[random.below(8)] : admin_codes[random.below(8)];
  entry.byte(0, random.chance(7, 8) ? code : static_cast<std::uint8_t>(random.below(256)));
  if (random.chance(7, 8)) entry.byte(1, 0x40);
  if (random.chance(3, 4)) entry.nsid(1);
  if (random.chance(3, 4)) entry.qword(40, random.below(4096));
  if (random.chance(3, 4)) {
    entry.qword(24, 0).qword(32, random.below(1 << 20)).byte(39, random.chance(1, 2) ? 0x01 : 0x5a);
  }
  return entry.cid(static_cast<std::uint16_t>(random.below(64)));
}

// A conversation that a host could have, or nearly.
Bytes likely_stream(engine::SeededRandom& random, Stage stage, const client::Framing& framing) {
  Bytes stream;
  for (std::uint64_t i = 0, pdus = 1 + random.below(8); i < pdus; ++i) {
    client::Pdu pdu;
    switch (random.below(5)) {
      case 0:
        pdu = client::h2c_data(static_cast<std::uint16_t>(random.below(64)),
                               static_cast<std::uint16_t>(random.below(64)),
                               static_cast<std::uint32_t>(random.below(8)) * 4096,
                               random_bytes(random, 8192), random.chance(1, 2));
        break;
      case 1:
        pdu = client::command_capsule(random_entry(random, stage).bytes(),
                                      random_bytes(random, 8192));
        break;
      default:
        pdu = client::command_capsule(random_entry(random, stage).bytes());
    }
    const Bytes encoded = client::encode(pdu, framing);
    stream.insert(stream.end(), encoded.begin(), encoded.end());
  }
  return stream;
}

void damage(engine::SeededRandom& random, Bytes& stream) {
  for (std::uint64_t i = 0, flips = random.below(6); i < flips; ++i) {
    // Headers are at the front: most of the damage goes there.
    const std::size_t within =
        random.chance(1, 2) ? std::min<std::size_t>(stream.size(), 80) : stream.size();
    stream[random.below(within)] = static_cast<std::byte>(random.below(256));
  }
  if (random.chance(1, 4)) stream.resize(1 + random.below(stream.size()));
}

void send_in_pieces(engine::SeededRandom& random, client::RawConnection& connection,
                    std::span<const std::byte> stream) {
  while (!stream.empty()) {
    const std::size_t piece = random.chance(1, 2) ? stream.size() : 1 + random.below(stream.size());
    if (!connection.send(stream.first(piece), Milliseconds{5'000})) return;
    stream = stream.subspan(piece);
  }
}

void attack(const client::Endpoint& endpoint, std::uint64_t seed) {
  engine::SeededRandom random(seed);
  const auto stage = static_cast<Stage>(random.below(4));
  const bool digests = random.chance(1, 4);
  Attacker attacker(endpoint, stage, {.header_digest = digests, .data_digest = digests});
  ASSERT_TRUE(attacker.ready());
  Bytes stream = random.chance(1, 4) ? random_bytes(random, 20'000)
                                     : likely_stream(random, stage, attacker.raw().outgoing);
  if (random.chance(3, 4)) damage(random, stream);
  send_in_pieces(random, attacker.raw(), stream);
  switch (random.below(3)) {
    case 0:
      attacker.raw().abort_close();
      break;
    case 1:
      // Everything it has to say to this; then it sees our end and closes as well.
      attacker.raw().half_close();
      EXPECT_GOOD(attacker.raw().await_end());
      break;
    default:
      break;  // closed with whatever came unread
  }
}

TEST(Garbage, ManyStreamsOfDamage) {
  const std::uint64_t seed = seed_of_this_run();
  Workplace workplace;
  ConfigText config = attack_config();
  config.reactors = 2;
  config.log_level = "warn";
  Daemon daemon(workplace, config);
  ASSERT_TRUE(daemon.start());
  Bystander bystander(daemon.endpoint());
  bystander.await_rounds(20);
  for (std::uint64_t i = 0; i < 50; ++i) attack(daemon.endpoint(), seed + i);  // warms up
  const Usage before = daemon.usage();
  const auto attacks = static_cast<std::uint64_t>(rounds(3'000, 200'000));
  for (std::uint64_t i = 0; i < attacks; ++i) {
    SCOPED_TRACE(fmt::format("FOREBAY_SEED={} (attack {})", seed, i));
    attack(daemon.endpoint(), seed + i);
    ASSERT_FALSE(HasFailure() || !daemon.process().running());
  }
  ASSERT_TRUE(daemon.await_status([](const boost::json::value& status) {
    return status.at("listeners").as_array()[0].at("connections").to_number<int>() == 2;
  }));
  const Usage after = daemon.usage();
  EXPECT_LE(after.descriptors, before.descriptors);
  EXPECT_LE(after.resident_bytes, before.resident_bytes + (16U << 20) + sanitizer_bytes);
  bystander.expect_undisturbed();
}

}  // namespace
}  // namespace end_to_end
