// Reservations in a volume table: their bytes, what is refused, and what a power loss leaves.
#include "engine/pool/kept_reservations.h"

#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <string>

#include "engine/format/pool_format.h"
#include "engine/pool/checked_struct.h"
#include "engine/pool/file_pool.h"
#include "tests/engine/pool/device_pool_kit.h"
#include "tests/engine/pool/kept_registrants.h"
#include "tests/engine/pool/sim_directory.h"
#include "tests/sim/rounds.h"

namespace engine {
namespace {

using ErrorKind = PoolError::Kind;
using format::RegistrantEntry;
using format::VolumeEntry;
using format::VolumeTableHeader;

VolumeTable table_with_reservations() {
  VolumeTable table{.pool_uuid = *Uuid::parse("00112233-4455-4677-8899-aabbccddeeff"),
                    .sequence = 7,
                    .records = {}};
  for (const std::string name : {"a", "b", "c"}) {
    Uuid uuid = *Uuid::parse("6f0c7f9e-5a53-4b0e-9c51-2f4f4d1e7a10");
    uuid.bytes[15] = static_cast<std::byte>(name.front());
    table.records.push_back({.uuid = uuid,
                             .name = name,
                             .image = name + ".raw",
                             .size = {4096},
                             .block_size = {512},
                             .ready = true});
  }
  table.records[0].reservations = kept_reservations(1, 2);
  table.records[2].reservations = {
      .persists = true,
      .type = 3,
      .registrants = {{.key = 0x1122334455667788,
                       .kind = 2,
                       .holder = true,
                       .port = 0x0203,
                       .identity = {std::byte{0x61}, std::byte{0x62}}},
                      kept_registrant(9, KeptRegistrant::most_identity_bytes)}};
  table.records[1].write_protected = true;
  table.records[1].formatting = true;
  return table;
}

constexpr std::size_t first_registrant = 512 + 3 * 1024;

void expect_at(const std::vector<std::byte>& bytes, std::size_t at,
               const std::vector<unsigned>& wanted) {
  for (std::size_t offset = 0; offset < wanted.size(); ++offset) {
    EXPECT_EQ(std::to_integer<unsigned>(bytes[at + offset]), wanted[offset])
        << "byte " << at + offset;
  }
}

TEST(KeptReservations, GoldenBytes) {
  const VolumeTable table = table_with_reservations();
  const auto bytes = encode(table);
  ASSERT_EQ(bytes.size(), first_registrant + 3 * 256U);
  expect_at(bytes, 32, {28, 0, 0, 0, 0, 0, 0, 0});
  expect_at(bytes, 64, {3, 0, 0, 0, 0, 4, 0, 0, 3, 0, 0, 0, 0});
  expect_at(bytes, 512 + 648, {1, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 0});
  expect_at(bytes, 512 + 1024 + 648, {6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0});
  expect_at(bytes, 512 + 2048 + 648, {1, 0, 0, 0, 3, 0, 0, 0, 2, 0, 0, 0, 0});
  expect_at(bytes, first_registrant + 4, {0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 16, 0});
  expect_at(bytes, first_registrant + 256 + 4,
            {2, 0, 0,    0, 0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11, 2,
             1, 3, 0x02, 2, 0,    0,    0,    0,    0,    0x61, 0x62, 0});
  EXPECT_EQ(decode_volume_table(bytes).value(), table);
}

TEST(KeptReservations, EveryTruncationAndEveryFlippedBitIsRefused) {
  auto bytes = encode(table_with_reservations());
  for (std::size_t length = 0; length < bytes.size(); ++length) {
    ASSERT_FALSE(decode_volume_table(std::span(bytes).first(length))) << length;
  }
  for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    const auto mask = static_cast<std::byte>(1U << (bit % 8));
    bytes[bit / 8] ^= mask;
    ASSERT_FALSE(decode_volume_table(bytes)) << bit;
    bytes[bit / 8] ^= mask;
  }
}

template <class T>
std::vector<std::byte> edited(std::size_t at, const std::function<void(T&)>& edit) {
  auto bytes = encode(table_with_reservations());
  T value{};
  std::memcpy(&value, bytes.data() + at, sizeof(value));
  edit(value);
  seal(value);
  std::memcpy(bytes.data() + at, &value, sizeof(value));
  return bytes;
}

// Sealed properly, and still not to be believed.
TEST(KeptReservations, ImpossibleContentsAreRefused) {
  const auto refused = [](const std::vector<std::byte>& bytes, ErrorKind kind) {
    const auto decoded = decode_volume_table(bytes);
    return !decoded && decoded.error().kind == kind;
  };
  const auto registrant = [](const std::function<void(RegistrantEntry&)>& edit) {
    return edited<RegistrantEntry>(first_registrant, edit);
  };
  const auto entry = [](const std::function<void(VolumeEntry&)>& edit) {
    return edited<VolumeEntry>(512, edit);
  };
  using Registrant = RegistrantEntry;
  const auto damaged = ErrorKind::damaged;
  EXPECT_TRUE(refused(registrant([](Registrant& r) { r.volume = 1; }), damaged));
  EXPECT_TRUE(refused(registrant([](Registrant& r) { r.volume = 7; }), damaged));
  EXPECT_TRUE(refused(registrant([](Registrant& r) { r.key = 0; }), damaged));
  EXPECT_TRUE(refused(registrant([](Registrant& r) { r.kind = 0; }), damaged));
  EXPECT_TRUE(refused(registrant([](Registrant& r) { r.holder = 2; }), damaged));
  EXPECT_TRUE(refused(registrant([](Registrant& r) { r.holder = 0; }), damaged));
  EXPECT_TRUE(refused(registrant([](Registrant& r) { r.identity_length = 0; }), damaged));
  EXPECT_TRUE(refused(registrant([](Registrant& r) { r.identity_length = 15; }), damaged));
  EXPECT_TRUE(refused(registrant([](Registrant& r) { r.identity_length = 231; }), damaged));
  EXPECT_TRUE(refused(registrant([](Registrant& r) { r.reserved[0] = std::byte{1}; }), damaged));
  EXPECT_TRUE(refused(entry([](VolumeEntry& e) { e.registrants = 2; }), damaged));
  EXPECT_TRUE(refused(entry([](VolumeEntry& e) { e.registrants = 0; }), damaged));
  EXPECT_TRUE(refused(entry([](VolumeEntry& e) { e.reservation_type = 7; }), damaged));
  EXPECT_TRUE(refused(entry([](VolumeEntry& e) { e.reservation_type = 0x102; }), damaged));
  EXPECT_TRUE(refused(entry([](VolumeEntry& e) { e.flags = 0; }), damaged));
  EXPECT_TRUE(refused(entry([](VolumeEntry& e) { e.flags = 9; }), ErrorKind::unsupported));
  const auto header = [](const std::function<void(VolumeTableHeader&)>& edit) {
    return edited<VolumeTableHeader>(0, edit);
  };
  EXPECT_TRUE(refused(header([](VolumeTableHeader& h) { h.registrants = 2; }), damaged));
  EXPECT_TRUE(refused(header([](VolumeTableHeader& h) { h.registrants = 0xffffffff; }), damaged));
  EXPECT_TRUE(refused(header([](VolumeTableHeader& h) { h.features.incompatible = 8; }), damaged));
  EXPECT_TRUE(refused(header([](VolumeTableHeader& h) { h.features.incompatible = 4; }), damaged));
}

TEST(KeptReservations, OfADevicePoolBehindItsVolumes) {
  SimDisks disks;
  add_disks(disks, 2, 8);
  ASSERT_TRUE(
      init_device_pool(disks.candidates(), small_form(format::MemberLayout::linear), any_content));
  const auto kept = kept_reservations(KeptReservations::most_registrants);
  {
    auto opened = DevicePool::open(disks.candidates());
    ASSERT_TRUE(opened) << opened.error().text;
    const VolumeWish wishes[] = {{"a", sim_slice, {4096}}, {"b", sim_slice, {4096}}};
    for (const auto& answer : opened.value()->ensure(wishes)) ASSERT_TRUE(answer);
    EXPECT_EQ(opened.value()->set_reservations("nobody", kept).error().kind,
              ErrorKind::image_missing);
    const auto set = opened.value()->set_reservations("b", kept_reservations(3));
    ASSERT_TRUE(set) << set.error().text;
    ASSERT_TRUE(opened.value()->set_write_protected("a", true));
    ASSERT_TRUE(opened.value()->set_formatting("a", BlockSize{512}));
    ASSERT_TRUE(opened.value()->set_formatting("b", BlockSize{4096}));
    ASSERT_TRUE(opened.value()->set_formatting("b", std::nullopt));
  }
  for (auto& disk : disks.disks) disk->held = false;
  auto opened = DevicePool::open(disks.candidates());
  ASSERT_TRUE(opened) << opened.error().text;
  EXPECT_EQ(volume_called(*opened.value(), "b")->reservations, kept_reservations(3));
  EXPECT_TRUE(volume_called(*opened.value(), "a")->write_protected);
  EXPECT_TRUE(volume_called(*opened.value(), "a")->formatting);
  EXPECT_EQ(volume_called(*opened.value(), "a")->block_size.bytes, 512U);
  EXPECT_TRUE(volume_called(*opened.value(), "a")->blocks_by_host);
  EXPECT_FALSE(volume_called(*opened.value(), "b")->formatting);
  EXPECT_FALSE(volume_called(*opened.value(), "b")->blocks_by_host) << "its own";
  // Until a slot of its table is full: then nothing changes.
  const VolumeRecord before = *volume_called(*opened.value(), "b");
  const auto set = opened.value()->set_reservations("b", kept);
  ASSERT_FALSE(set);
  EXPECT_EQ(set.error().kind, ErrorKind::no_space);
  EXPECT_EQ(*volume_called(*opened.value(), "b"), before);
}

// Each change of reservations, cut off at each step: the pool has the last that was answered, or
// the one that was under way.
TEST(KeptReservations, PowerLossAtEveryStepLeavesTheOneOrTheOther) {
  std::uint64_t states = 0;
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    for (std::uint64_t step = first_step(seed);; step += stride()) {
      SCOPED_TRACE("seed " + std::to_string(seed) + " step " + std::to_string(step));
      SimDirectoryDisk disk;
      const VolumeWish wish[] = {{"a", {4096}, {512}}};
      {
        SimDirectory fresh(disk, {}, seed);
        ASSERT_TRUE(init_file_pool(fresh));
        auto pool = FilePool::open(std::make_unique<SimDirectory>(disk, SimDirectory::Fault{}, 1));
        ASSERT_TRUE(pool.value()->ensure(wish)[0]);
      }
      std::size_t answered = 0;
      bool crashed = false;
      try {
        auto pool = FilePool::open(
            std::make_unique<SimDirectory>(disk, SimDirectory::Fault{.step = step}, seed));
        for (std::size_t round = 1; pool && round <= 4; ++round) {
          if (!pool.value()->set_reservations("a", kept_reservations(round % 3))) break;
          answered = round;
        }
      } catch (const SimCrash&) {
        crashed = true;
      }
      if (!crashed) break;
      ++states;
      SeededRandom random(seed * 1000 + step);
      disk.crash(random);
      auto pool = FilePool::open(std::make_unique<SimDirectory>(disk, SimDirectory::Fault{}, 1));
      ASSERT_TRUE(pool) << pool.error().text;
      const auto& now = pool.value()->volumes().front().reservations;
      const auto after = [](std::size_t round) {
        return round == 0 ? KeptReservations{} : kept_reservations(round % 3);
      };
      EXPECT_TRUE(now == after(answered) || now == after(answered + 1))
          << now.registrants.size() << " registrants after " << answered << " answers";
    }
  }
  EXPECT_GT(states, 300 / stride());
}

}  // namespace
}  // namespace engine
