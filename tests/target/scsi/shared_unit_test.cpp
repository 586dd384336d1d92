// Sessions on several reactors use one target device while it is changed. Under TSan this shows
// that what they share is guarded; as it is, that every task ends and every session too.
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <random>
#include <thread>

#include "tests/target/scsi/nexus_kit.h"

namespace target::scsi {
namespace {

constexpr std::uint64_t shared_blocks = 256;

// Any thread; requests end at once, one after the other.
class SharedVolume final : public engine::Volume {
 public:
  SharedVolume() { identity_.uuid.bytes.fill(std::byte{7}); }
  std::atomic<std::uint64_t> blocks{shared_blocks};

  [[nodiscard]] const engine::VolumeIdentity& identity() const override { return identity_; }
  [[nodiscard]] engine::BlockCount size() const override { return {blocks.load()}; }
  [[nodiscard]] engine::VolumeState state() const override { return engine::VolumeState::online; }
  [[nodiscard]] engine::VolumeCondition condition() const override {
    return {.state = state(), .size = size(), .reason = {}, .promise = {}};
  }
  [[nodiscard]] std::uint64_t changes() const override { return 0; }
  void submit(engine::IoLane&, engine::VolumeIo& io) override {
    {
      const std::lock_guard lock(mutex_);
      const auto at =
          std::span(bytes_).subspan(io.lba.value * block_bytes, io.blocks.value * block_bytes);
      using Kind = engine::VolumeIo::Kind;
      if (io.kind == Kind::read) std::memcpy(io.data.data(), at.data(), at.size());
      if (io.kind == Kind::write) std::memcpy(at.data(), io.data.data(), at.size());
    }
    io.done(io, engine::IoStatus::ok);
  }

 private:
  engine::VolumeIdentity identity_{"shared", {}, engine::BlockSize{block_bytes}};
  std::mutex mutex_;
  std::vector<std::byte> bytes_ = std::vector<std::byte>(shared_blocks * block_bytes);
};

// A reactor with a thread of its own, and a session on it that goes on by itself.
class Worker final : public NexusObserver {
 public:
  Worker(std::shared_ptr<TargetDevice> device, std::uint8_t number)
      : number_(number), device_(std::move(device)), random_(number) {
    CHECK(reactor_.start());
    call([this] {
      port_ = std::make_unique<FakeTaskPort>(reactor_);
      NexusIdentity identity{.initiator = "iqn.2026-11.net.example:host" + std::to_string(number_)};
      nexus_ = std::make_unique<Nexus>(device_, identity, *port_, *this);
      port_->nexus = nexus_.get();
    });
  }
  ~Worker() {
    // The last functions wait for tasks of the other session, whose steps are over too.
    while (functions_open()) std::this_thread::yield();
    std::promise<void> ended;
    call([&] { nexus_->end([&] { ended.set_value(); }); });
    ended.get_future().wait();
    call([this] {
      nexus_.reset();
      EXPECT_EQ(port_->answers.size() + port_->dropped.size(), tag_);
      port_.reset();
    });
    EXPECT_TRUE(reactor_.stop(std::chrono::seconds(10)));
  }
  void work(int steps) {
    for (int i = 0; i < steps; ++i) call([this] { step(); });
  }
  void lun_inventory_changed() override { ++changes_; }

 private:
  // In order, and done when it returns.
  template <class F>
  void call(F&& f) {
    std::promise<void> done;
    reactor_.post([&] {
      f();
      done.set_value();
    });
    done.get_future().wait();
  }
  [[nodiscard]] bool functions_open() {
    bool open = false;
    call([&] { open = functions_done_ != functions_begun_; });
    return open;
  }
  void step() {
    const auto lba = static_cast<std::uint32_t>(random_() % (shared_blocks - 8));
    switch (random_() % 12) {
      case 0:
        manage(ManagementFunction::logical_unit_reset);
        break;
      case 1:
        manage(ManagementFunction::abort_task_set);
        break;
      case 2:
        run(cdb({0x16}), DataDirection::none, {});
        run(cdb({0x17}), DataDirection::none, {});
        break;
      case 3:
        run(inquiry(0xb0), DataDirection::to_host, {});
        break;
      case 4: {
        std::vector<std::byte> list(24);
        list[15] = std::byte{number_};
        CdbBytes bytes = cdb({0x5f, 6});
        bytes[8] = std::byte{24};
        run(bytes, DataDirection::from_host, std::move(list));
        break;
      }
      case 5:
        run(compare_and_write(lba, 2), DataDirection::from_host, pattern(4, number_));
        break;
      default:
        run(write16(lba, 8), DataDirection::from_host, pattern(8, number_));
        run(read16(lba, 8), DataDirection::to_host, {});
    }
  }
  void manage(ManagementFunction function) {
    ++functions_begun_;
    nexus_->manage({.function = function, .lun = Lun::of_unit(0)},
                   [this](ManagementResponse) { ++functions_done_; });
  }
  void run(const CdbBytes& bytes, DataDirection direction, std::vector<std::byte> data) {
    Task& task = port_->task(static_cast<std::uint32_t>(++tag_), std::move(data));
    task.cdb = bytes;
    task.lun = Lun::of_unit(random_() % 8 == 0 ? 1 : 0);
    task.direction = direction;
    task.expected_bytes = 8 * block_bytes;
    nexus_->execute(TaskPermit(task));
  }

  const std::uint8_t number_;
  std::shared_ptr<TargetDevice> device_;
  std::mt19937 random_;
  engine::SystemClock clock_;
  engine::MemoryBudget budget_{engine::ByteCount{64U << 20}};
  Reactor reactor_{
      {.number = number_},
      [this] {
        return engine::Result<std::unique_ptr<engine::IoLane>, std::string>(
            std::unique_ptr<engine::IoLane>(std::make_unique<nvmf::MemoryLane>(budget_)));
      },
      clock_};
  std::unique_ptr<FakeTaskPort> port_;
  std::unique_ptr<Nexus> nexus_;
  std::size_t tag_ = 0;
  std::size_t functions_begun_ = 0;
  std::size_t functions_done_ = 0;
  int changes_ = 0;
};

TEST(SharedUnit, SessionsOnSeveralReactorsAndWhoChangesTheirDevice) {
  SharedVolume volume;
  block::BlockVolume block_volume(volume, 3);
  auto device = std::make_shared<TargetDevice>(
      DeviceOptions{.name = target_name,
                    .target_ports = {1},
                    .luns = {{.lun = 0, .volume = &block_volume, .initiators = {}}},
                    .product_revision = "0001"});
  {
    Worker one(device, 1);
    Worker two(device, 2);
    std::atomic<bool> over{false};
    std::thread changing([&] {
      for (std::uint64_t i = 0; !over; ++i) {
        EXPECT_TRUE(device->add_lun({.lun = 1, .volume = &block_volume, .initiators = {}}));
        volume.blocks = shared_blocks - i % 2;
        device->refresh_volumes();
        EXPECT_GE(device->luns().size(), 1U);
        EXPECT_TRUE(device->remove_lun(1));
        std::this_thread::yield();
      }
    });
    std::thread other([&] { two.work(1500); });
    one.work(1500);
    other.join();
    over = true;
    changing.join();
  }
  const auto luns = device->luns();
  ASSERT_EQ(luns.size(), 1U);
  EXPECT_EQ(luns[0].nexuses, 0U);
  EXPECT_GT(luns[0].counts.write_commands, 100U);
  EXPECT_TRUE(block_volume.write_order().idle());
  EXPECT_EQ(block_volume.buffers().held(), 0U);
}

}  // namespace
}  // namespace target::scsi
