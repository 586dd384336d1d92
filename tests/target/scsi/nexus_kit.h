// What tests of a target device share: a device with two volumes, sessions without a wire, and CDBs
// written byte by byte.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <initializer_list>
#include <memory>
#include <string>
#include <vector>

#include "target/scsi/nexus.h"
#include "target/scsi/target_device.h"
#include "tests/target/nvmf/memory_lane.h"
#include "tests/target/scsi/fake_task_port.h"
#include "tests/target/scsi/scsi_volume.h"

namespace target::scsi {

namespace sense = protocol::scsi::sense;
using protocol::scsi::Lun;
using protocol::scsi::Sense;
using protocol::scsi::Status;

inline constexpr std::uint32_t block_bytes = 512;
inline constexpr std::uint64_t volume_blocks = 8192;
inline constexpr const char* target_name = "iqn.2026-11.net.example:disk";

using CdbBytes = std::array<std::byte, 16>;

inline CdbBytes cdb(std::initializer_list<int> bytes) {
  CdbBytes made{};
  std::size_t at = 0;
  for (const int byte : bytes) made[at++] = static_cast<std::byte>(byte);
  return made;
}
inline void put_be(CdbBytes& to, std::size_t at, std::size_t bytes, std::uint64_t value) {
  for (std::size_t i = 0; i < bytes; ++i) {
    to[at + i] = static_cast<std::byte>(value >> (8 * (bytes - 1 - i)));
  }
}
// A 16 byte CDB with LBA in bytes 2-9 and a count in 10-13.
inline CdbBytes cdb16(int opcode, std::uint64_t lba, std::uint32_t count, int flags = 0) {
  CdbBytes made = cdb({opcode, flags});
  put_be(made, 2, 8, lba);
  put_be(made, 10, 4, count);
  return made;
}
inline CdbBytes read16(std::uint64_t lba, std::uint32_t blocks) { return cdb16(0x88, lba, blocks); }
inline CdbBytes write16(std::uint64_t lba, std::uint32_t blocks) {
  return cdb16(0x8a, lba, blocks);
}
inline CdbBytes compare_and_write(std::uint64_t lba, int blocks) {
  CdbBytes made = cdb16(0x89, lba, 0);
  made[13] = static_cast<std::byte>(blocks);
  return made;
}
inline CdbBytes inquiry(int page = -1, int allocation = 1024) {
  return cdb({0x12, page < 0 ? 0 : 1, page < 0 ? 0 : page, allocation >> 8, allocation & 0xff});
}
inline const CdbBytes test_unit_ready = cdb({0x00});

inline std::vector<std::byte> pattern(std::uint64_t blocks, int value) {
  return std::vector<std::byte>(blocks * block_bytes, static_cast<std::byte>(value));
}
inline std::uint64_t be(std::span<const std::byte> data, std::size_t at, std::size_t bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < bytes; ++i) {
    value = value << 8 | std::to_integer<std::uint64_t>(data[at + i]);
  }
  return value;
}

// A session of some initiator. Ends with its nexus.
class Session final : public NexusObserver {
 public:
  Session(nvmf::TestReactor& reactor, std::shared_ptr<TargetDevice> device,
          const std::string& initiator, std::uint8_t isid = 1, std::uint16_t target_port = 1)
      : port(reactor.get()), reactor_(reactor) {
    NexusIdentity identity{.initiator = initiator, .target_port = target_port};
    identity.isid[5] = std::byte{isid};
    nexus = std::make_unique<Nexus>(std::move(device), identity, port, *this);
    port.nexus = nexus.get();
  }
  ~Session() {
    if (!ended) end();
    reactor_.run_until_idle();
    EXPECT_TRUE(ended);
  }
  void end() {
    nexus->end([this] { ended = true; });
    reactor_.run_until_idle();
  }

  struct What {
    CdbBytes cdb{};
    std::uint16_t lun = 0;
    DataDirection direction = DataDirection::none;
    std::uint32_t expected_bytes = 0;
    std::vector<std::byte> data{};
    TaskAttribute attribute = TaskAttribute::simple;
  };
  // The tag of the task.
  std::uint32_t start(What what) {
    const std::uint32_t tag = ++last_tag_;
    Task& task = port.task(tag, std::move(what.data));
    task.cdb = what.cdb;
    task.lun = Lun::of_unit(what.lun);
    task.direction = what.direction;
    task.expected_bytes = what.expected_bytes;
    task.attribute = what.attribute;
    nexus->execute(TaskPermit(task));
    return tag;
  }
  std::uint32_t start_write(const CdbBytes& bytes, std::vector<std::byte> data,
                            std::uint16_t lun = 0) {
    const auto size = static_cast<std::uint32_t>(data.size());
    return start({.cdb = bytes,
                  .lun = lun,
                  .direction = DataDirection::from_host,
                  .expected_bytes = size,
                  .data = std::move(data)});
  }
  std::uint32_t start_read(const CdbBytes& bytes, std::uint32_t expected, std::uint16_t lun = 0) {
    return start({.cdb = bytes,
                  .lun = lun,
                  .direction = DataDirection::to_host,
                  .expected_bytes = expected});
  }
  FakeTaskPort::Answer answer(std::uint32_t tag) {
    reactor_.run_until_idle();
    const auto* found = port.answer_to(tag);
    EXPECT_NE(found, nullptr) << "task " << tag << " was not answered";
    return found == nullptr ? FakeTaskPort::Answer{} : *found;
  }
  FakeTaskPort::Answer run(What what) { return answer(start(std::move(what))); }
  FakeTaskPort::Answer run_write(const CdbBytes& bytes, std::vector<std::byte> data,
                                 std::uint16_t lun = 0) {
    return answer(start_write(bytes, std::move(data), lun));
  }
  FakeTaskPort::Answer run_read(const CdbBytes& bytes, std::uint32_t expected,
                                std::uint16_t lun = 0) {
    return answer(start_read(bytes, expected, lun));
  }
  FakeTaskPort::Answer run_none(const CdbBytes& bytes, std::uint16_t lun = 0) {
    return run({.cdb = bytes, .lun = lun});
  }
  // Until TEST UNIT READY has no unit attention to tell; what it told.
  std::vector<protocol::scsi::SenseCode> take_attentions(std::uint16_t lun = 0) {
    std::vector<protocol::scsi::SenseCode> told;
    for (;;) {
      const auto found = run_none(test_unit_ready, lun);
      if (!found.sense || found.sense->key != protocol::scsi::SenseKey::unit_attention) return told;
      told.push_back(found.sense->code);
    }
  }
  std::optional<ManagementResponse> manage(const ManagementRequest& request) {
    std::optional<ManagementResponse> response;
    managed_.push_back(std::make_unique<std::optional<ManagementResponse>>());
    auto* const place = managed_.back().get();
    nexus->manage(request, [place](ManagementResponse answered) { *place = answered; });
    reactor_.run_until_idle();
    return *place;
  }
  // Of the last manage().
  [[nodiscard]] std::optional<ManagementResponse> managed() {
    reactor_.run_until_idle();
    return *managed_.back();
  }

  void lun_inventory_changed() override { ++inventory_changes; }

  FakeTaskPort port;
  std::unique_ptr<Nexus> nexus;
  bool ended = false;
  int inventory_changes = 0;

 private:
  nvmf::TestReactor& reactor_;
  std::uint32_t last_tag_ = 0;
  std::vector<std::unique_ptr<std::optional<ManagementResponse>>> managed_;
};

inline void expect_good(const FakeTaskPort::Answer& answer) {
  EXPECT_EQ(answer.status, Status::good)
      << (answer.sense ? name_of(answer.sense->code) : std::string_view());
}
inline void expect_sense(const FakeTaskPort::Answer& answer, const Sense& expected) {
  ASSERT_TRUE(answer.sense) << "status " << static_cast<int>(answer.status);
  EXPECT_TRUE(answer.sense->is(expected)) << name_of(answer.sense->code);
}

class NexusTest : public testing::Test {
 protected:
  // `clock`: nullptr is the machine's.
  explicit NexusTest(const engine::Clock* clock = nullptr) : reactor({64U << 20}, clock) {
    device = std::make_shared<TargetDevice>(
        DeviceOptions{.name = target_name,
                      .target_ports = {1},
                      .luns = {{.lun = 0, .volume = &first_block, .initiators = {}},
                               {.lun = 1, .volume = &second_block, .initiators = {}}},
                      .product_revision = "0001"});
  }
  std::unique_ptr<Session> connect(const std::string& initiator = "iqn.2026-11.net.example:host",
                                   std::uint8_t isid = 1) {
    auto session = std::make_unique<Session>(reactor, device, initiator, isid);
    for (const auto lun : {std::uint16_t{0}, std::uint16_t{1}}) (void)session->take_attentions(lun);
    return session;
  }

  nvmf::TestReactor reactor;
  ScsiVolume first{"first", 0x11, block_bytes, volume_blocks};
  ScsiVolume second{"second", 0x22, block_bytes, volume_blocks};
  block::BlockVolume first_block{first};
  block::BlockVolume second_block{second};
  std::shared_ptr<TargetDevice> device;
};

}  // namespace target::scsi
