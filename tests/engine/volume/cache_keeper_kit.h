// A CacheKeeper over a real cache file and simulated disks.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <deque>

#include "engine/volume/cache_keeper.h"
#include "tests/engine/volume/cached_engine_kit.h"
#include "tests/sim/sim_backing.h"
#include "tests/sim/sim_marker.h"

namespace engine {

inline constexpr ByteCount disk_size = 32_MiB;

// A disk outlives the volumes that are opened over it.
class Borrowed final : public BackingDevice {
 public:
  explicit Borrowed(SimBacking& disk) : disk_(disk) {}
  [[nodiscard]] ByteCount size() const override { return disk_.size(); }
  void submit(IoLane& lane, BackingIo& io) override { disk_.submit(lane, io); }
  [[nodiscard]] bool needs_reopen() const override { return disk_.needs_reopen(); }

 private:
  SimBacking& disk_;
};

// The table of a pool: answers at once, later, or never, or with an error.
class Records final : public BindingKeeper {
 public:
  enum class Mode : std::uint8_t { write, refuse, hold };

  void bind(const std::string& volume, const CacheBinding& binding, BindDone done) override {
    std::unique_lock lock(mutex_);
    ++asked_;
    if (mode_ == Mode::hold) {
      held_.push_back({volume, binding, std::move(done)});
      return;
    }
    const bool refused = mode_ == Mode::refuse;
    if (!refused) records_[volume] = binding;
    lock.unlock();
    if (refused) return done(std::string("the table is full"));
    done(success());
  }
  void abandon(const std::string& volume, const GivenUpCache& cache, AbandonDone done) override {
    std::unique_lock lock(mutex_);
    const auto answer = std::make_shared<Abandoned>(
        Abandoned{.binding = abandoned(volume, records_[volume], cache)});
    if (answer->binding) records_[volume] = answer->binding.value();
    lock.unlock();
    done(answer);
  }
  void set(Mode mode) {
    const std::lock_guard lock(mutex_);
    mode_ = mode;
  }
  // Writes what is held.
  void write_held() {
    std::vector<Held> held;
    {
      const std::lock_guard lock(mutex_);
      mode_ = Mode::write;
      held.swap(held_);
      for (const Held& one : held) records_[one.volume] = one.binding;
    }
    for (const Held& one : held) one.done(success());
  }
  [[nodiscard]] int asked() {
    const std::lock_guard lock(mutex_);
    return asked_;
  }
  [[nodiscard]] CacheBinding of(const std::string& volume) {
    const std::lock_guard lock(mutex_);
    return records_[volume];
  }

 private:
  std::mutex mutex_;
  Mode mode_ = Mode::write;
  int asked_ = 0;
  std::map<std::string, CacheBinding> records_;
  struct Held {
    std::string volume;
    CacheBinding binding;
    BindDone done;
  };
  std::vector<Held> held_;
};

// What stays when a daemon ends.
struct Disk {
  explicit Disk(std::string called) : name(std::move(called)) {}
  const std::string name;
  const Uuid uuid = Uuid::random();
  SimBacking backing{disk_size};
};

class CacheKeeperTest : public CachedEngine {
 protected:
  Records records;
  Disk db01{"db01"};
  Disk db02{"db02"};

  // One volume in one life.
  struct Served {
    Served(CacheKeeper& keeper, Records& all, Disk& on, const VolumeSpec& spec)
        : disk(on), records(all), user(keeper.add(spec, volume, all)) {}
    void come() {
      backed.go_online(std::make_unique<Borrowed>(disk.backing), disk.uuid,
                       {disk_size.value / block}, {});
      user.backing_came({.binding = records.of(disk.name),
                         .marker = std::make_unique<SimMarker>(),
                         .promise = {}});
    }
    [[nodiscard]] std::string reason() const { return volume.condition().reason; }

    Disk& disk;
    Records& records;
    BackedVolume backed{{.name = disk.name, .uuid = {}, .block_size = {block}},
                        {disk_size.value / block},
                        "its pool has not come yet"};
    CachedVolume volume{backed, "its cache has not come yet"};
    BackingUser& user;
  };

  // What tells a volume of its backing, as a pool would.
  struct Keeping : private VolumeObserver {
    Keeping(CacheKeeperTest& test, const std::vector<VolumeSpec>& specs, const CacheSpec& device,
            ByteCount memory = 64_MiB)
        : budget(memory, 4_MiB), keeper(device, budget, workers) {
      for (const VolumeSpec& spec : specs) {
        Disk& disk = spec.name == "db01" ? test.db01 : test.db02;
        volumes.emplace_back(keeper, test.records, disk, spec);
        volumes.back().backed.observe(this);
      }
    }
    ~Keeping() {
      finish(*lane);
      lane.reset();
      EXPECT_TRUE(keeper.stop(SystemClock().now() + patience));
    }
    void start() {
      keeper.start();
      for (Served& one : volumes) one.come();
      EXPECT_TRUE(keeper.await_idle(SystemClock().now() + patience));
    }
    void volume_changed(Volume& volume) noexcept override {
      for (Served& one : volumes) {
        if (&one.backed == &volume) one.user.backing_changed();
      }
    }
    [[nodiscard]] Served& operator[](std::size_t at) { return volumes[at]; }
    // Its number.
    std::size_t add(CacheKeeperTest& test, Disk& disk, const VolumeSpec& spec) {
      volumes.emplace_back(keeper, test.records, disk, spec);
      volumes.back().backed.observe(this);
      volumes.back().come();
      return volumes.size() - 1;
    }
    // Begins; empty: it is done.
    std::future<std::string> remove(std::size_t at) {
      auto removed = std::make_shared<std::promise<std::string>>();
      keeper.remove_volume(volumes[at].disk.name, [removed](const auto& result) {
        removed->set_value(result ? std::string() : result.error());
      });
      return removed->get_future();
    }
    // Begins; the answer.
    Result<void, std::string> detach(std::size_t at) {
      std::promise<Result<void, std::string>> begun;
      keeper.detach(volumes[at].disk.name, [&begun](auto result) { begun.set_value(result); });
      return begun.get_future().get();
    }
    Result<void, std::string> set_mode(std::size_t at, CacheMode mode) {
      std::promise<Result<void, std::string>> set;
      keeper.set_mode(volumes[at].disk.name, mode, [&set](auto result) { set.set_value(result); });
      return set.get_future().get();
    }
    bool cancel(std::size_t at) {
      std::promise<bool> cancelled;
      keeper.cancel_drain(volumes[at].disk.name,
                          [&](const auto& result) { cancelled.set_value(bool(result)); });
      return cancelled.get_future().get();
    }
    [[nodiscard]] bool has_cache(std::size_t at) const {
      return keeper.status_of(volumes[at].disk.name).has_value();
    }
    // While the lane works.
    [[nodiscard]] bool await_detached(std::size_t at) {
      return Life::wait_for([&] {
        lane->finish_turn();
        (void)lane->reap();
        return !has_cache(at);
      });
    }
    // Begins to join again what has been detached.
    std::future<Result<void, std::string>> join(std::size_t at) {
      auto joined = std::make_shared<std::promise<Result<void, std::string>>>();
      const std::string& name = volumes[at].disk.name;
      keeper.release(name, [this, joined, name](const auto& arrival, const std::string& why_not) {
        if (arrival == nullptr) return joined->set_value(why_not);
        keeper.join(name, arrival, [joined](auto result) { joined->set_value(result); });
      });
      return joined->get_future();
    }
    [[nodiscard]] bool stop(Duration within) { return keeper.stop(SystemClock().now() + within); }

    IoStatus write(std::size_t at, std::uint64_t lba, int value) {
      std::vector<std::byte> data(block, static_cast<std::byte>(value));
      return run(volumes[at].volume, *lane, VolumeIo::Kind::write, lba, 1, data);
    }
    int read(std::size_t at, std::uint64_t lba) {
      std::vector<std::byte> data(block);
      const IoStatus status = run(volumes[at].volume, *lane, VolumeIo::Kind::read, lba, 1, data);
      if (status != IoStatus::ok) return -static_cast<int>(status);
      return std::to_integer<int>(data.back());
    }

    MemoryBudget budget;
    RecoveryWorkers workers;
    std::deque<Served> volumes;
    CacheKeeper keeper;
    std::unique_ptr<UringLane> lane = std::move(UringLane::create(budget).value());
  };
};

}  // namespace engine
