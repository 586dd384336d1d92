// Hosts that share a volume and shut each other out, also across the daemon's death.
#include <gtest/gtest.h>

#include <array>
#include <memory>

#include "tests/end_to_end/harness/daemon.h"
#include "tests/end_to_end/harness/host.h"

namespace end_to_end {
namespace {

namespace io = client::io;

constexpr std::uint16_t success = 0;
constexpr std::uint16_t invalid_field = 0x02;
constexpr std::uint16_t host_identifier_inconsistent = 0x18;
constexpr std::uint16_t conflict = 0x83;
constexpr std::uint8_t exclusive_registrants_only = 4;
constexpr std::uint8_t write_exclusive = 1;
constexpr std::uint8_t reservation_log = 0x80;
constexpr std::uint8_t mask_feature = 0x82;
constexpr std::uint8_t persistence_feature = 0x83;

// A host that is the same one each time it comes.
struct Member {
  explicit Member(std::uint8_t number) : number_(number), nqn_(client::random_host_nqn()) {}

  void connect(const client::Endpoint& endpoint) {
    client::AttachOptions options{
        .endpoint = endpoint, .subsystem_nqn = default_subsystem, .host_nqn = nqn_};
    options.host_id.fill(std::byte{number_});
    auto attached = client::Controller::attach(options);
    ASSERT_GOOD(attached);
    controller = std::move(attached.value());
    queue = open_queue(*controller);
    ASSERT_NE(queue, nullptr);
  }
  void die() {
    queue.reset();
    controller.reset();
  }
  std::uint16_t run(client::Command command) { return status_of(*queue, std::move(command)); }
  std::uint16_t write_block() { return run(io::write(1, 3, pattern(4096, number_), 4096)); }
  std::uint16_t read_block() { return run(io::read(1, 3, 1, 4096)); }

  std::unique_ptr<Controller> controller;
  std::unique_ptr<Queue> queue;

 private:
  std::uint8_t number_;
  std::string nqn_;
};

Bytes report(Queue& queue) {
  const auto done = queue.execute(io::reservation_report(1));
  EXPECT_GOOD(done);
  if (!done) return Bytes(4096);
  EXPECT_TRUE(done.value().ok()) << done.value().describe();
  return done.value().data;
}

// Of the extended report (Base 2.0, Reservation Status Extended data structure).
std::uint64_t key_in(const Bytes& page, std::size_t registrant) {
  return client::get<std::uint64_t>(page, 64 + registrant * 64 + 8);
}

// Both are registered, through power losses, and the first holds the reservation.
void reserve(Member& a, Member& b) {
  using io::Persistence;
  ASSERT_EQ(a.run(io::reservation_register(1, 0, 0, 0xa, Persistence::on)), success);
  ASSERT_EQ(b.run(io::reservation_register(1, 0, 0, 0xb, Persistence::on)), success);
  ASSERT_EQ(a.run(io::reservation_acquire(1, 0, exclusive_registrants_only, 0xa)), success);
}

TEST(Reservations, OutliveTheDaemon) {
  Workplace workplace;
  Daemon daemon(workplace, file_config(workplace.make_pool("pool")));
  ASSERT_TRUE(daemon.start());
  Member a(1);
  Member b(2);
  Member stranger(3);
  Bytes before;
  for (auto* const member : {&a, &b, &stranger}) {
    ASSERT_NO_FATAL_FAILURE(member->connect(daemon.endpoint()));
  }
  ASSERT_NO_FATAL_FAILURE(reserve(a, b));
  before = report(*a.queue);
  for (int life = 0; life < 3; ++life) {
    SCOPED_TRACE(life);
    EXPECT_EQ(a.write_block(), success);
    EXPECT_EQ(b.write_block(), success);
    EXPECT_EQ(stranger.write_block(), conflict);
    EXPECT_EQ(stranger.read_block(), conflict);
    const Bytes now = report(*stranger.queue);
    EXPECT_EQ(client::get<std::uint8_t>(now, 4), exclusive_registrants_only);
    EXPECT_EQ(client::get<std::uint8_t>(now, 9), 1) << "persists";
    ASSERT_EQ(now.size(), before.size());
    EXPECT_TRUE(std::equal(now.begin() + 4, now.end(), before.begin() + 4))
        << "all but the generation is as it was";
    for (auto* const member : {&a, &b, &stranger}) member->die();
    daemon.kill();
    ASSERT_TRUE(daemon.start());
    // The first command of the first host to come is the stranger's.
    ASSERT_NO_FATAL_FAILURE(stranger.connect(daemon.endpoint()));
    EXPECT_EQ(stranger.write_block(), conflict);
    ASSERT_NO_FATAL_FAILURE(a.connect(daemon.endpoint()));
    ASSERT_NO_FATAL_FAILURE(b.connect(daemon.endpoint()));
  }
  // Without persistence the next death ends them.
  ASSERT_EQ(a.run(io::reservation_register(1, 2, 0xa, 0xaa, io::Persistence::off)), success);
  EXPECT_EQ(stranger.write_block(), conflict);
  for (auto* const member : {&a, &b, &stranger}) member->die();
  daemon.kill();
  ASSERT_TRUE(daemon.start());
  ASSERT_NO_FATAL_FAILURE(stranger.connect(daemon.endpoint()));
  EXPECT_EQ(stranger.write_block(), success);
  EXPECT_EQ(client::get<std::uint16_t>(report(*stranger.queue), 5), 0);
}

TEST(Reservations, APreemptedHostHearsOfIt) {
  Workplace workplace;
  Daemon daemon(workplace, memory_config());
  ASSERT_TRUE(daemon.start());
  Member a(1);
  Member b(2);
  ASSERT_NO_FATAL_FAILURE(a.connect(daemon.endpoint()));
  ASSERT_NO_FATAL_FAILURE(b.connect(daemon.endpoint()));
  ASSERT_NO_FATAL_FAILURE(reserve(a, b));
  const auto asked = a.controller->admin().submit(client::admin::async_event_request());
  ASSERT_GOOD(asked);
  ASSERT_EQ(b.run(io::reservation_acquire(1, 2, exclusive_registrants_only, 0xb, 0xa)), success);
  const auto event = a.controller->admin().await(asked.value());
  ASSERT_GOOD(event);
  EXPECT_EQ(event.value().dw0(), 0x0080'0006U) << "command set specific, log page 80h";
  const auto page = a.controller->read_log({.lid = reservation_log, .bytes = 64});
  ASSERT_GOOD(page);
  EXPECT_EQ(client::get<std::uint64_t>(page.value(), 0), 1U);
  EXPECT_EQ(client::get<std::uint8_t>(page.value(), 8), 1) << "registration preempted";
  EXPECT_EQ(client::get<std::uint32_t>(page.value(), 12), 1U);
  const auto empty = a.controller->read_log({.lid = reservation_log, .bytes = 64});
  ASSERT_GOOD(empty);
  EXPECT_TRUE(empty.value() == Bytes(64)) << "it has been read";
  EXPECT_EQ(a.write_block(), conflict);
  EXPECT_EQ(b.write_block(), success);
  EXPECT_EQ(key_in(report(*a.queue), 0), 0xbU);

  // Masked: neither an event nor an entry.
  auto& admin = b.controller->admin();
  EXPECT_EQ(status_of(admin, client::admin::set_feature(mask_feature, 0xe, false, {}, 1)), success);
  const auto mask = admin.execute(client::admin::get_feature(mask_feature, 0, 0, 0, 1));
  ASSERT_GOOD(mask);
  EXPECT_EQ(mask.value().dw0(), 0xeU);
  ASSERT_EQ(a.run(io::reservation_register(1, 0, 0, 0xa)), success);
  ASSERT_EQ(a.run(io::reservation_acquire(1, 1, write_exclusive, 0xa, 0xb)), success);
  const auto masked = b.controller->read_log({.lid = reservation_log, .bytes = 64});
  ASSERT_GOOD(masked);
  EXPECT_TRUE(masked.value() == Bytes(64));
  EXPECT_EQ(b.write_block(), conflict);
}

TEST(Reservations, PersistenceIsAFeatureOfTheNamespace) {
  Workplace workplace;
  Daemon daemon(workplace, file_config(workplace.make_pool("pool")));
  ASSERT_TRUE(daemon.start());
  Member a(1);
  ASSERT_NO_FATAL_FAILURE(a.connect(daemon.endpoint()));
  auto& admin = a.controller->admin();
  const auto persists = [&admin](std::uint32_t nsid) {
    const auto now = admin.execute(client::admin::get_feature(persistence_feature, 0, 0, 0, nsid));
    EXPECT_GOOD(now);
    return now && now.value().ok() ? now.value().dw0() : 0xffff'ffffU;
  };
  const auto set = [&admin](std::uint32_t nsid, std::uint32_t value) {
    return status_of(admin,
                     client::admin::set_feature(persistence_feature, value, false, {}, nsid));
  };
  EXPECT_EQ(persists(1), 0U);
  EXPECT_EQ(set(1, 1), success);
  EXPECT_EQ(persists(1), 1U);
  EXPECT_EQ(persists(2), 0U);
  EXPECT_EQ(set(0xffff'ffff, 1), success);
  EXPECT_EQ(persists(2), 1U);
  EXPECT_NE(set(77, 1), success);
  EXPECT_NE(set(0, 1), success);
  ASSERT_EQ(a.run(io::reservation_register(2, 0, 0, 0xa)), success);
  a.die();
  daemon.kill();
  ASSERT_TRUE(daemon.start());
  ASSERT_NO_FATAL_FAILURE(a.connect(daemon.endpoint()));
  EXPECT_EQ(a.run(io::reservation_acquire(2, 0, write_exclusive, 0xa)), success);
}

TEST(Reservations, BadCommandsAreRefused) {
  Workplace workplace;
  Daemon daemon(workplace, memory_config());
  ASSERT_TRUE(daemon.start());
  Member a(1);
  ASSERT_NO_FATAL_FAILURE(a.connect(daemon.endpoint()));
  EXPECT_EQ(a.run(io::reservation_register(1, 3, 0, 0xa)), invalid_field);
  EXPECT_EQ(a.run(io::reservation_register(1, 0, 0, 0)), invalid_field);
  EXPECT_EQ(a.run(io::reservation_acquire(1, 0, 0, 0xa)), invalid_field);
  EXPECT_EQ(a.run(io::reservation_acquire(1, 0, 7, 0xa)), invalid_field);
  EXPECT_EQ(a.run(io::reservation_acquire(1, 0, write_exclusive, 0xa)), conflict);
  EXPECT_EQ(a.run(io::reservation_release(1, 0, write_exclusive, 0xa)), conflict);
  auto short_form = io::reservation_report(1);
  short_form.entry.cdw(11, 0);
  EXPECT_EQ(a.run(short_form), host_identifier_inconsistent);
  EXPECT_EQ(a.run(io::reservation_report(1, 4)), success);
  EXPECT_EQ(a.write_block(), success);
}

}  // namespace
}  // namespace end_to_end
