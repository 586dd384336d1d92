// What tests of IoQueue share: a controller and connections that are not there, one volume.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <vector>

#include "target/nvmf/io_queue.h"
#include "tests/target/block/reservation_parties.h"
#include "tests/target/nvmf/fake_port.h"
#include "tests/target/nvmf/held_volume.h"
#include "tests/target/nvmf/memory_lane.h"

namespace target::nvmf {

namespace nvme = protocol::nvme;
using nvme::IoOpcode;

class FakeOwner final : public IoQueueOwner {
 public:
  [[nodiscard]] Namespace* find_namespace(std::uint32_t nsid) override {
    const auto found = namespaces.find(nsid);
    return found == namespaces.end() ? nullptr : found->second;
  }
  [[nodiscard]] bool ready() const override { return is_ready; }
  void command_failed(const CommandFailure& failure) override { failures.push_back(failure); }
  [[nodiscard]] bool delays_retries() const override { return host_delays_retries; }
  [[nodiscard]] bool copies_between_namespaces() const override { return copies_between; }
  [[nodiscard]] bool knows_access_states() const override { return host_knows_access_states; }
  [[nodiscard]] AnaState path_state() const override { return path; }
  void note_traffic() override { ++traffic; }
  [[nodiscard]] IoCounters& counters() override { return counters_; }
  [[nodiscard]] std::uint32_t largest_transfer_bytes() const override { return 1U << 20; }
  [[nodiscard]] const block::PartyId& party() const override { return host; }
  void uses(Namespace& space) override { used.push_back(space.nsid); }

  std::map<std::uint32_t, Namespace*> namespaces;
  bool is_ready = true;
  bool host_delays_retries = false;
  bool copies_between = false;
  bool host_knows_access_states = true;
  AnaState path = AnaState::optimized;
  std::vector<CommandFailure> failures;
  int traffic = 0;
  block::PartyId host = block::test_host(1);
  std::vector<std::uint32_t> used;

 private:
  IoCounters counters_;
};

inline constexpr std::uint32_t block_bytes = 512;
inline constexpr std::uint64_t volume_blocks = 4096;

inline nvme::SubmissionEntry entry(IoOpcode opcode, std::uint16_t cid, std::uint64_t lba = 0,
                                   std::uint32_t blocks = 1) {
  nvme::SubmissionEntry e{};
  e.opcode = static_cast<std::uint8_t>(opcode);
  e.flags = nvme::psdt_sgl << 6;
  e.command_id = cid;
  e.nsid = 1;
  e.cdw10 = static_cast<std::uint32_t>(lba);
  e.cdw11 = static_cast<std::uint32_t>(lba >> 32);
  e.cdw12 = blocks - 1;
  e.data_pointer.identifier = nvme::sgl_transport;
  e.data_pointer.length = blocks * block_bytes;
  return e;
}

inline std::vector<std::byte> pattern(std::uint32_t blocks, int value) {
  return std::vector<std::byte>(std::size_t{blocks} * block_bytes, static_cast<std::byte>(value));
}

class IoQueueTest : public testing::Test {
 protected:
  // A connection of some host with its I/O queue.
  struct Path {
    explicit Path(IoQueueTest& test) : port(test.reactor.get()), queue(test.owner, port, 1) {
      port.data_ready = [this](CommandPermit permit) { queue.data_ready(std::move(permit)); };
      port.host = &test.owner.counters();
    }
    void run(const nvme::SubmissionEntry& e, std::span<const std::byte> in_capsule = {}) {
      queue.execute(CommandPermit(port.command(e, in_capsule)));
    }
    nvme::Status status_of(std::uint16_t cid) {
      const auto* answer = port.answer_to(cid);
      EXPECT_NE(answer, nullptr) << "command " << cid << " was not answered";
      return answer == nullptr ? nvme::Status{} : answer->status;
    }
    FakePort port;
    IoQueue queue;
  };

  // `clock`: nullptr is the machine's.
  explicit IoQueueTest(const engine::Clock* clock = nullptr) : reactor({64U << 20}, clock) {
    space.nsid = 1;
    space.ana_group = 1;
    space.volume = &block_volume;
    owner.namespaces[1] = &space;
  }
  void write(Path& path, std::uint16_t cid, std::uint64_t lba, int value,
             std::uint32_t blocks = 1) {
    path.port.host_data = pattern(blocks, value);
    path.run(entry(IoOpcode::write, cid, lba, blocks));
  }

  TestReactor reactor;
  HeldVolume volume{engine::BlockSize{block_bytes}, volume_blocks};
  block::BlockVolume block_volume{volume};
  Namespace space;
  FakeOwner owner;
};

}  // namespace target::nvmf
