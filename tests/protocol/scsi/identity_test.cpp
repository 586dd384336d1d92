#include "protocol/scsi/identity.h"

#include <gtest/gtest.h>

#include <set>

#include "tests/protocol/wire/hex.h"

namespace protocol::scsi {
namespace {

engine::Uuid uuid(std::string_view text) { return engine::Uuid::parse(text).value(); }

// Hosts know volumes by these for as long as they live: a change here is another disk to them.
TEST(Identity, Golden) {
  const auto volume = uuid("5f3c1a2b-9d4e-4c6f-8a71-2b3c4d5e6f70");
  EXPECT_EQ(wire::hex(naa_of(volume)), "60 24 64 2a 20 32 ba b0 5f 3c 1a 2b 9d 4e 4c 6f");
  EXPECT_EQ(unit_serial_of(volume), "a2032bab05f3c1a2b9d4e4c6f");
  EXPECT_EQ(wire::hex(uuid_designator_of(volume)),
            "10 00 5f 3c 1a 2b 9d 4e 4c 6f 8a 71 2b 3c 4d 5e 6f 70");
}

TEST(Identity, TheNaaIsOfALocallyAdministeredOui) {
  EXPECT_EQ(wire::hex(naa_of(engine::Uuid::random())).substr(0, 10), "60 24 64 2");
  EXPECT_EQ(unit_serial_of(engine::Uuid::random()).size(), unit_serial_characters);
}

// By hand, by time and by chance: the first eight characters alone must tell volumes apart.
TEST(Identity, SimilarUuidsHaveSerialsThatBeginDifferently) {
  std::set<std::string> beginnings;
  std::size_t made = 0;
  const auto add = [&](const engine::Uuid& volume) {
    beginnings.insert(unit_serial_of(volume).substr(0, 8));
    ++made;
  };
  for (unsigned i = 0; i < 256; ++i) {
    engine::Uuid by_hand = uuid("00000000-0000-0000-0000-000000000000");
    by_hand.bytes[15] = static_cast<std::byte>(i);
    add(by_hand);
    engine::Uuid by_time = uuid("00aa1b2c-3d4e-11f0-9a0b-001122334455");
    by_time.bytes[0] = static_cast<std::byte>(i);
    add(by_time);
    engine::Uuid same_digits = uuid("00000000-0000-4000-8000-000000000000");
    same_digits.bytes[0] = same_digits.bytes[15] = static_cast<std::byte>(i + 1);
    add(same_digits);
  }
  EXPECT_EQ(beginnings.size(), made);
}

}  // namespace
}  // namespace protocol::scsi
