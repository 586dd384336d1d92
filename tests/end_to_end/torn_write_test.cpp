// Hosts of both protocols write the same megabyte again and again, and the daemon is killed: after
// the restart it is wholly of one write, as it was for everybody who read it meanwhile. (Killing
// proves recovery after the death of the process only; power is cut in tests/crash.)
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <cstring>
#include <thread>
#include <vector>

#include "tests/end_to_end/harness/daemon.h"
#include "tests/end_to_end/harness/initiator.h"

namespace end_to_end {
namespace {

constexpr std::uint32_t block = iscsi_block;
constexpr std::uint32_t blocks = 256;  // 1 MiB
constexpr std::uint64_t first = 901;   // over a border of 4 MiB
constexpr std::uint64_t writes = 40;   // acknowledged before it is killed
constexpr std::uint8_t write_atomic_16 = 0x9c;

// Every word of it says which write it is: the number of its writer's, and whose.
Bytes content_of(std::uint64_t word) {
  Bytes bytes(std::size_t{blocks} * block);
  for (std::size_t at = 0; at < bytes.size(); at += 8) std::memcpy(&bytes[at], &word, 8);
  return bytes;
}

std::uint64_t word_of(const Bytes& found, const char* who) {
  std::uint64_t word = 0;
  EXPECT_EQ(found.size(), std::size_t{blocks} * block) << who;
  if (found.size() < 8) return 0;
  std::memcpy(&word, found.data(), 8);
  EXPECT_EQ(std::memcmp(found.data(), found.data() + 8, found.size() - 8), 0) << who << ": torn";
  return word;
}

class TornWrites : public testing::Test {
 protected:
  enum Writer : std::uint64_t { by_nvme, by_iscsi, writers };

  [[nodiscard]] ConfigText config() {
    ConfigText config = with_iscsi(file_config(workplace_.make_pool("pool")));
    config.caches = {{.path = workplace_.make_cache("cache", "32MiB")}};
    config.reactors = 2;
    for (VolumeText& volume : config.volumes) {
      if (volume.name == "big") volume.cache = "device: front, max_dirty_age: 1s";
    }
    return config;
  }
  [[nodiscard]] std::unique_ptr<iscsi::Session> session(std::uint8_t isid) {
    iscsi::LoginOptions options = to_target(iscsi_endpoint(daemon_.config()));
    options.isid[5] = isid;
    return open_session(options);
  }

  // `write` of a word, until it cannot be done any more.
  template <class Write>
  void write_on(Writer who, Write write) {
    while (write(++begun_[who] << 1 | who)) {
      acknowledged_[who].store(begun_[who]);
      ++all_acknowledged_;
    }
  }
  // What is read now: not older than what its writer was told to be there.
  void look(Writer reader, const Bytes& found, const std::array<std::uint64_t, writers>& before) {
    const std::uint64_t word = word_of(found, reader == by_nvme ? "NVMe" : "iSCSI");
    const std::uint64_t number = word >> 1;
    if (number != 0) {
      EXPECT_GE(number, before[word & 1]);
    }
  }
  [[nodiscard]] std::array<std::uint64_t, writers> acknowledged() const {
    return {acknowledged_[by_nvme].load(), acknowledged_[by_iscsi].load()};
  }

  void write_until_killed() {
    Host writer(daemon_.endpoint());
    Host reader(daemon_.endpoint());
    const auto initiator = session(1);
    const auto looker = session(2);
    ASSERT_TRUE(writer.connected() && reader.connected() && initiator && looker);
    std::vector<std::jthread> hosts;
    hosts.emplace_back([&] {
      write_on(by_nvme, [&](std::uint64_t word) {
        const auto done =
            writer.queue->execute(client::io::write(1, first, content_of(word), block));
        return done && done.value().ok();
      });
    });
    hosts.emplace_back([&] {
      write_on(by_iscsi, [&](std::uint64_t word) {
        scsi::Task task = scsi::write(first, content_of(word), block);
        task.cdb[0] = std::byte{write_atomic_16};  // its length ends where WRITE (16) has it
        const auto done = initiator->execute(std::move(task));
        EXPECT_TRUE(!done || done.value().status == 0) << int{done.value().status};
        return done && done.value().status == 0;
      });
    });
    hosts.emplace_back([&] {
      for (;;) {
        const auto before = acknowledged();
        const auto done = reader.queue->execute(client::io::read(1, first, blocks, block));
        if (!done || !done.value().ok()) return;
        look(by_nvme, done.value().data, before);
      }
    });
    hosts.emplace_back([&] {
      for (;;) {
        const auto before = acknowledged();
        const auto done = looker->execute(scsi::read(first, blocks, block));
        if (!done || done.value().status != 0) return;
        look(by_iscsi, done.value().data, before);
      }
    });
    const std::uint64_t enough = all_acknowledged_ + writes;
    while (all_acknowledged_ < enough && !HasFailure()) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    daemon_.kill();
  }

  Workplace workplace_;
  Daemon daemon_{workplace_, config()};
  std::array<std::uint64_t, writers> begun_{};  // each its writer's
  std::array<std::atomic<std::uint64_t>, writers> acknowledged_{};
  std::atomic<std::uint64_t> all_acknowledged_{0};
};

TEST_F(TornWrites, AreNotThereAfterKillAfterKill) {
  for (int round = 0; round < rounds(2, 40) && !HasFailure(); ++round) {
    ASSERT_TRUE(daemon_.start());
    Host host(daemon_.endpoint());
    ASSERT_TRUE(host.connected());
    look(by_nvme, read(*host.queue, 1, first, blocks, block), acknowledged());
    write_until_killed();
  }
  ASSERT_TRUE(daemon_.start());
  const auto last = session(1);
  ASSERT_TRUE(last);
  look(by_iscsi, read(*last, 0, first, blocks, block), acknowledged());
}

}  // namespace
}  // namespace end_to_end
