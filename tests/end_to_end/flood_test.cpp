// Connections that say nothing, little, or do not listen: memory stays bounded, nobody is
// disturbed, and afterwards everything is as it was before.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>
#include <thread>

#include "tests/end_to_end/harness/attacker.h"
#include "tests/end_to_end/harness/bystander.h"
#include "tests/end_to_end/harness/daemon.h"
#include "tests/end_to_end/harness/holdings.h"

namespace end_to_end {
namespace {

constexpr std::size_t crowd = 1000;
constexpr std::uint64_t kib = 1024;
constexpr std::uint64_t mib = 1024 * kib;
constexpr std::uint64_t allowed_for_one = 64 * kib + sanitizer_bytes / crowd;
constexpr std::uint64_t allowed_in_all = 64 * mib + sanitizer_bytes;
// What the allocator and its free lists may keep; a leak of a connection is more.
constexpr std::uint64_t allowed_afterwards = 8 * mib + sanitizer_bytes;

void allow_many_descriptors() {
  rlimit limit{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &limit), 0);
  limit.rlim_cur = limit.rlim_max;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &limit), 0);
  ASSERT_GT(limit.rlim_cur, crowd + 100) << "raise RLIMIT_NOFILE";
}

// Time-outs so long that only the test ends connections.
ConfigText patient_config() {
  ConfigText config = attack_config();
  config.listeners = {{.options = "icreq_timeout: 5m, connect_timeout: 5m, idle_timeout: 5m"}};
  return config;
}

class Flood : public testing::Test {
 protected:
  Flood() : daemon_(workplace_, patient_config()) {}
  void SetUp() override {
    ASSERT_NO_FATAL_FAILURE(allow_many_descriptors());
    ASSERT_TRUE(daemon_.start());
    bystander_ = std::make_unique<Bystander>(daemon_.endpoint());
    bystander_->await_rounds(20);  // so that its own memory is there already
    ASSERT_NO_FATAL_FAILURE(read_prey());
    before_ = daemon_.usage();
  }

  // The pool in memory: kernels differ in whether what was only read counts as the daemon's.
  void read_prey() {
    {
      const auto controller = attach(daemon_.endpoint(), {.subsystem = prey_subsystem});
      ASSERT_TRUE(controller);
      const auto queue = open_queue(*controller, 1, 32);
      ASSERT_TRUE(queue);
      for (std::uint64_t mebibyte = 0; mebibyte < 16; ++mebibyte) {
        EXPECT_GOOD(queue->execute(client::io::read(1, mebibyte * 256, 256, 4096)));
      }
    }
    await_connections(0);
  }

  void await_connections(std::size_t count) {
    // The bystander has two.
    EXPECT_TRUE(daemon_.await_status([count](const boost::json::value& status) {
      const Holdings now = holdings_of(status);
      return now.places == count + 2 && now.connections == now.places;
    }));
  }

  // Everything as before, within a minute; at last, without the bystander, as before anybody came.
  void expect_recovered() {
    await_connections(0);
    const auto deadline = SteadyClock::now() + recovery_time_out;
    Usage now = daemon_.usage();
    while ((now.descriptors != before_.descriptors ||
            now.resident_bytes > before_.resident_bytes + allowed_afterwards) &&
           SteadyClock::now() < deadline) {
      std::this_thread::sleep_for(Milliseconds{50});
      now = daemon_.usage();
    }
    EXPECT_EQ(now.descriptors, before_.descriptors);
    EXPECT_LE(now.resident_bytes, before_.resident_bytes + allowed_afterwards);
    RecordProperty("before_kib", static_cast<int>(before_.resident_bytes / kib));
    RecordProperty("after_kib", static_cast<int>(now.resident_bytes / kib));
    bystander_->expect_undisturbed();
    bystander_.reset();
    daemon_.expect_nothing_left();
  }

  [[nodiscard]] std::uint64_t growth() const {
    const Usage now = daemon_.usage();
    return now.resident_bytes > before_.resident_bytes ? now.resident_bytes - before_.resident_bytes
                                                       : 0;
  }

  Workplace workplace_;
  Daemon daemon_;
  std::unique_ptr<Bystander> bystander_;
  Usage before_;
};

TEST_F(Flood, AThousandConnectionsThatSayNothing) {
  std::vector<std::unique_ptr<Attacker>> all;
  for (std::size_t i = 0; i < crowd; ++i) {
    all.push_back(std::make_unique<Attacker>(daemon_.endpoint(), Stage::fresh));
    ASSERT_TRUE(all.back()->ready());
  }
  await_connections(crowd);
  EXPECT_LE(growth(), std::min(crowd * allowed_for_one, allowed_in_all));
  bystander_->await_rounds(50);
  all.clear();
  expect_recovered();
}

// The front of a PDU, cut somewhere.
Bytes beginning(const client::Pdu& pdu, std::size_t bytes) {
  Bytes whole = client::encode(pdu, {});
  whole.resize(std::min(bytes, whole.size()));
  return whole;
}

// A third stops inside ICReq, a third after ICResp, a third inside the data of a capsule.
TEST_F(Flood, AThousandConnectionsThatStopInTheMiddle) {
  const client::ConnectFields fields{.subsystem_nqn = prey_subsystem, .host_nqn = "nqn.x:y"};
  client::Command connect = client::connect_command(fields);
  connect.entry.sgl(client::sgl_in_capsule, 0, 1024);
  const client::Pdu capsule = client::command_capsule(connect.entry.bytes(), connect.data_out);
  std::vector<std::unique_ptr<Attacker>> all;
  for (std::size_t i = 0; i < crowd; ++i) {
    const Stage stage = i % 3 == 0 ? Stage::fresh : Stage::negotiated;
    all.push_back(std::make_unique<Attacker>(daemon_.endpoint(), stage));
    ASSERT_TRUE(all.back()->ready());
    if (i % 3 == 1) continue;
    const Bytes begin = i % 3 == 0 ? beginning(client::to_pdu(client::IcRequest{}), 1 + i % 127)
                                   : beginning(capsule, 1 + i % 1000);
    ASSERT_GOOD(all.back()->raw().send(begin));
  }
  await_connections(crowd);
  bystander_->await_rounds(50);
  EXPECT_LE(growth(), std::min(crowd * allowed_for_one, allowed_in_all));
  all.clear();
  expect_recovered();
}

// It asks for far more than it reads: replies are not piled up, others get their buffers.
TEST_F(Flood, HostsThatNeverReadTheirReplies) {
  constexpr std::size_t readers = 8;
  std::vector<std::unique_ptr<Controller>> controllers;
  std::vector<std::unique_ptr<Queue>> queues;
  for (std::size_t i = 0; i < readers; ++i) {
    controllers.push_back(attach(daemon_.endpoint(), {.subsystem = prey_subsystem}));
    ASSERT_TRUE(controllers.back());
    queues.push_back(open_queue(*controllers.back(), 1, 1024));
    ASSERT_TRUE(queues.back());
    for (std::uint64_t k = 0; k < 1023; ++k) {
      auto command = client::io::read(1, k % 16 * 256, 256, 4096);
      command.entry.sgl(client::sgl_transport, 0, 1 << 20).cid(static_cast<std::uint16_t>(k));
      const auto capsule =
          client::encode(client::command_capsule(command.entry.bytes()), queues[i]->raw().outgoing);
      ASSERT_EQ(::send(queues[i]->raw().socket(), capsule.data(), capsule.size(), MSG_NOSIGNAL),
                static_cast<ssize_t>(capsule.size()));
    }
  }
  std::uint64_t most = 0;
  for (int i = 0; i < 20; ++i) {
    bystander_->await_rounds(5);
    most = std::max(most, growth());
  }
  EXPECT_LE(most, allowed_in_all);
  RecordProperty("growth_kib", static_cast<int>(most / kib));
  // Of the admin queue nobody took anything away.
  for (const auto& controller : controllers) EXPECT_GOOD(controller->keep_alive());
  queues.clear();
  controllers.clear();
  expect_recovered();
}

// It announces data for many writes and sends none of it.
TEST_F(Flood, HostsThatNeverSendTheDataOfTheirWrites) {
  constexpr std::size_t writers = 8;
  std::vector<std::unique_ptr<Controller>> controllers;
  std::vector<std::unique_ptr<Queue>> queues;
  for (std::size_t i = 0; i < writers; ++i) {
    controllers.push_back(attach(daemon_.endpoint(), {.subsystem = prey_subsystem}));
    ASSERT_TRUE(controllers.back());
    queues.push_back(open_queue(*controllers.back(), 1, 1024));
    ASSERT_TRUE(queues.back());
    for (std::uint64_t k = 0; k < 1023; ++k) {
      auto command = client::io::write(1, k % 16 * 256, {}, 4096);
      command.entry.cdw(12, 255)
          .sgl(client::sgl_transport, 0, 1 << 20)
          .cid(static_cast<std::uint16_t>(k));
      ASSERT_GOOD(queues[i]->raw().send(client::command_capsule(command.entry.bytes())));
    }
  }
  std::uint64_t most = 0;
  for (int i = 0; i < 20; ++i) {
    bystander_->await_rounds(5);
    most = std::max(most, growth());
  }
  EXPECT_LE(most, allowed_in_all);
  for (const auto& controller : controllers) EXPECT_GOOD(controller->keep_alive());
  queues.clear();
  controllers.clear();
  expect_recovered();
}

}  // namespace
}  // namespace end_to_end
