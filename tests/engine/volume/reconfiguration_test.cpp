// Pools, cache devices and volumes that come, go and change while the engine runs; somebody else's
// volume is used all the while.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <optional>

#include "engine/cache/cache_device.h"
#include "engine/cache/durable_writer.h"
#include "engine/media/queue_depth.h"
#include "engine/pool/journal_file.h"
#include "tests/engine/volume/cached_engine_kit.h"

namespace engine {
namespace {

namespace fs = std::filesystem;

class Reconfiguration : public CachedEngine {
 protected:
  // A life with a volume beside, which is written and read whenever something is waited for.
  struct Running : Life {
    Running(const CachedEngine& test, std::vector<VolumeSpec> volumes,
            std::vector<CacheSpec> caches)
        : Life(test, with_bystander(std::move(volumes)), std::move(caches)) {}

    void use_bystander() {
      const std::uint64_t at = ++turns % 64;
      const int value = static_cast<int>(turns % 251);
      ASSERT_EQ(write("other", at, 1, value), IoStatus::ok);
      ASSERT_EQ(read("other", at), value);
    }
    template <class Condition>
    [[nodiscard]] bool meanwhile(const Condition& condition) {
      const auto deadline = std::chrono::steady_clock::now() + patience;
      while (!condition()) {
        if (std::chrono::steady_clock::now() > deadline) return false;
        use_bystander();
        // Else its own writes fill the cache, and everybody's go to the pool.
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
        if (testing::Test::HasFatalFailure()) return false;
      }
      return true;
    }
    // What it answers; empty: it is done.
    template <class Ask>
    [[nodiscard]] std::string answer(const Ask& ask) {
      const auto promise = std::make_shared<std::promise<std::string>>();
      auto future = promise->get_future();
      ask([promise](const Result<void, std::string>& outcome) {
        promise->set_value(outcome ? std::string() : outcome.error());
      });
      const auto is_there = [&future] {
        return future.wait_for(std::chrono::milliseconds(0)) == std::future_status::ready;
      };
      return meanwhile(is_there) ? future.get() : "it hangs";
    }
    [[nodiscard]] std::string remove(const std::string& name) {
      return answer([&](Engine::Done done) { engine->remove_volume(name, std::move(done)); });
    }
    // Its keepers' threads let go of it by themselves.
    [[nodiscard]] bool forgets(const Volume& removed) {
      return meanwhile([&] { return engine->forget(removed); });
    }
    [[nodiscard]] std::string remove_pool(const std::string& name) {
      return answer([&](Engine::Done done) { engine->remove_pool(name, std::move(done)); });
    }
    [[nodiscard]] std::string remove_cache(const std::string& name) {
      return answer([&](Engine::Done done) { engine->remove_cache(name, std::move(done)); });
    }
    // `destroyed`: what it says of it.
    [[nodiscard]] std::string destroy(const std::string& name, const Uuid& uuid,
                                      const Uuid& cache = {},
                                      DestroyedVolume* destroyed = nullptr) {
      return answer([&](const Engine::Done& done) {
        engine->destroy(name, uuid, cache, [done, destroyed](const auto& outcome) {
          if (!outcome) return done(outcome.error());
          if (destroyed != nullptr) *destroyed = outcome.value();
          done(success());
        });
      });
    }
    [[nodiscard]] std::string rename(const std::string& name, const std::string& to) {
      return answer([&](Engine::Done done) { engine->rename_volume(name, to, std::move(done)); });
    }
    // Volumes that their pools call otherwise yet.
    [[nodiscard]] std::string renaming() const {
      std::string all;
      for (const PoolStatus& pool : engine->pools()) {
        for (const std::string& name : pool.renaming) all += name;
      }
      return all;
    }
    [[nodiscard]] std::string set_cache(const VolumeSpec& spec) {
      return answer([&](Engine::Done done) {
        engine->set_volume_cache(spec.name, *spec.cache, std::move(done));
      });
    }
    // Empty: it is there, and whatever can be opened is.
    [[nodiscard]] std::string add(const VolumeSpec& spec) {
      const auto added = engine->add_volume(spec);
      if (!added) return added.error();
      EXPECT_EQ(added.value(), engine->find(spec.name));
      EXPECT_TRUE(engine->settle(patience));
      return {};
    }
    [[nodiscard]] ByteCount dirty(const std::string& name) const {
      const auto status = engine->cache_of(name);
      return status ? status->dirty : ByteCount{};
    }
    [[nodiscard]] std::optional<RetainedVolume> retained(const std::string& name) const {
      for (const PoolStatus& pool : engine->pools()) {
        for (const RetainedVolume& one : pool.retained) {
          if (one.name == name) return one;
        }
      }
      return std::nullopt;
    }

    std::uint64_t turns = 0;

   private:
    static std::vector<VolumeSpec> with_bystander(std::vector<VolumeSpec> volumes) {
      volumes.push_back(cached("other", 4_MiB));
      return volumes;
    }
  };

  [[nodiscard]] int on_image(const std::string& name, std::uint64_t lba) const {
    std::ifstream file(path_of("bulk/" + name + ".raw"), std::ios::binary);
    file.seekg(static_cast<std::streamoff>(lba * block));
    return file.get();
  }
  [[nodiscard]] PoolSpec second_pool() const {
    return {.name = "more", .directory = directory + "/more", .uuid = {}};
  }
  static VolumeSpec on_second_pool(const std::string& name) {
    return {.name = name, .pool = "more", .size = 4_MiB, .block_size = {block}};
  }
};

TEST_P(Reconfiguration, RemovedWhileDirtyItComesBackWithAllOfIt) {
  Uuid uuid;
  {
    Running life(*this, {cached("db01", 8_MiB)}, {cache()});
    uuid = life.engine->find("db01")->identity().uuid;
    for (int round = 1; round <= 3; ++round) {
      const auto lba_of = [](int of) { return 100 + 4 * static_cast<std::uint64_t>(of); };
      ASSERT_EQ(life.write("db01", 7, 1, 0x40 + round), IoStatus::ok);
      ASSERT_EQ(life.write("db01", lba_of(round), 4, round), IoStatus::ok);
      Volume& before = *life.engine->find("db01");
      ASSERT_EQ(life.remove("db01"), "");
      EXPECT_EQ(life.engine->find("db01"), nullptr);
      EXPECT_EQ(before.state(), VolumeState::refused);
      std::vector<std::byte> data(block);
      EXPECT_EQ(run(before, *life.lane, VolumeIo::Kind::read, 7, 1, data), IoStatus::unavailable);
      EXPECT_EQ(run(before, *life.lane, VolumeIo::Kind::flush, 0, 0), IoStatus::unavailable);
      EXPECT_EQ(before.identity().uuid, uuid);
      const auto retained = life.retained("db01");
      ASSERT_TRUE(retained.has_value());
      EXPECT_EQ(retained->uuid, uuid);
      EXPECT_TRUE(retained->dirty);
      EXPECT_EQ(on_image("db01", 7), 0) << "it would prove nothing";
      if (round != 2) {
        ASSERT_TRUE(life.forgets(before));
      }
      ASSERT_EQ(life.add(cached("db01", 8_MiB)), "");
      EXPECT_EQ(life.condition("db01").state, VolumeState::online) << life.reason("db01");
      EXPECT_EQ(life.engine->find("db01")->identity().uuid, uuid);
      EXPECT_FALSE(life.retained("db01").has_value());
      EXPECT_EQ(life.read("db01", 7), 0x40 + round);
      for (int old = 1; old <= round; ++old) EXPECT_EQ(life.read("db01", lba_of(old) + 3), old);
    }
    ASSERT_EQ(life.remove("db01"), "");
  }
  EXPECT_EQ(on_image("db01", 7), 0);
  Running next(*this, {cached("db01", 8_MiB)}, {cache()});
  EXPECT_EQ(next.engine->find("db01")->identity().uuid, uuid);
  EXPECT_EQ(next.read("db01", 7), 0x43);
}

// Its cache, dirty, and its pool go on as before, whichever of its names they were told.
TEST_P(Reconfiguration, RenamedWhileDirtyItIsServedOnAndFoundByTheNextStart) {
  Uuid uuid;
  {
    Running life(*this, {cached("db01", 8_MiB)}, {cache()});
    Volume& volume = *life.engine->find("db01");
    uuid = volume.identity().uuid;
    const VolumeIdentity& identity_before = volume.identity();
    ASSERT_EQ(life.write("db01", 7, 1, 0x41), IoStatus::ok);
    ASSERT_EQ(life.rename("db01", "db02"), "");
    EXPECT_EQ(life.engine->find("db02"), &volume);
    EXPECT_EQ(volume.identity().name, "db02");
    EXPECT_EQ(identity_before.name, "db01") << "who has it may still look";
    EXPECT_EQ(volume.identity().uuid, uuid);
    EXPECT_EQ(life.read("db02", 7), 0x41);
    ASSERT_EQ(life.write("db02", 8, 1, 0x42), IoStatus::ok);
    EXPECT_TRUE(life.meanwhile([&] { return life.dirty("db02").value != 0; }));
    EXPECT_FALSE(life.retained("db01")) << "it is served";
    EXPECT_EQ(life.renaming(), "db02");
    EXPECT_EQ(life.set_cache(cached("db02", 8_MiB, "pmem0", std::chrono::minutes(30))), "");
    ASSERT_EQ(life.grow("db02", 12_MiB) ? "" : "no", std::string());
    // The name that it had is its own until the end.
    EXPECT_EQ(life.add(direct("db01", 4_MiB)),
              "volume db01: volume db02 was called so when the daemon started; restart it first");
    EXPECT_EQ(life.rename("other", "db01"),
              "volume other cannot be called db01: another one is, or was since the start");
    EXPECT_EQ(life.rename("other", "db02"),
              "volume other cannot be called db02: another one is, or was since the start");
    EXPECT_EQ(life.rename("none", "x"), "there is no volume none");
    // And back, and again.
    EXPECT_EQ(life.rename("db02", "db01"), "");
    EXPECT_EQ(life.renaming(), "");
    EXPECT_EQ(life.rename("db01", "db02"), "");
  }
  // A crash before the pool has written it down.
  VolumeSpec renamed = cached("db02", 12_MiB);
  renamed.was = "db01";
  {
    EXPECT_EQ(binding("db01").state, format::CacheBindingState::dirty);
    Running life(*this, {renamed}, {cache()});
    EXPECT_EQ(life.condition("db02").state, VolumeState::online) << life.reason("db02");
    EXPECT_EQ(life.engine->find("db02")->identity().uuid, uuid);
    EXPECT_EQ(life.read("db02", 7), 0x41);
    EXPECT_EQ(life.read("db02", 8), 0x42);
    EXPECT_EQ(life.renaming(), "");
    EXPECT_EQ(life.rename("db02", "db03"), "");
    ASSERT_EQ(life.write("db03", 9, 1, 0x43), IoStatus::ok);
    life.engine->keep_names();
    EXPECT_TRUE(life.meanwhile([&] { return life.renaming().empty(); }));
  }
  Running life(*this, {cached("db03", 12_MiB)}, {cache()});
  EXPECT_EQ(life.engine->find("db03")->identity().uuid, uuid);
  for (int at = 0; at < 3; ++at) {
    EXPECT_EQ(life.read("db03", 7 + static_cast<std::uint64_t>(at)), 0x41 + at);
  }
  EXPECT_EQ(life.remove("db03"), "");
  ASSERT_TRUE(life.retained("db03").has_value());
  EXPECT_TRUE(life.retained("db03")->dirty);
}

TEST_P(Reconfiguration, ANameThatItsPoolRetainsIsNotGivenAndWhatWasIsNeverMadeAnew) {
  VolumeSpec gone = direct("new", 4_MiB);
  gone.was = "lost";
  Running life(*this, {cached("db01", 8_MiB), direct("left", 4_MiB), gone}, {cache()});
  EXPECT_EQ(life.reason("new"),
            "its pool has no volume new, and none that is called lost, as it was (was: lost); it "
            "is not made anew: bring it back, or take `was` out of the configuration");
  const Uuid left = life.engine->find("left")->identity().uuid;
  EXPECT_EQ(life.remove("left"), "");
  EXPECT_EQ(life.rename("db01", "left"), "pool bulk retains a volume left (UUID " + left.text() +
                                             "): rename or destroy that first");
  EXPECT_EQ(life.engine->find("db01")->identity().name, "db01");
  EXPECT_EQ(life.write("db01", 1, 1, 1), IoStatus::ok);
  // It comes by that name, and is called otherwise in one go.
  VolumeSpec again = direct("right", 4_MiB);
  again.was = "left";
  EXPECT_EQ(life.add(again), "");
  EXPECT_EQ(life.engine->find("right")->identity().uuid, left);
  EXPECT_EQ(life.renaming(), "");
}

TEST_P(Reconfiguration, RemovedAndDirtyItCannotBeDestroyed) {
  Running life(*this, {cached("db01", 8_MiB)}, {cache()});
  const Uuid uuid = life.engine->find("db01")->identity().uuid;
  ASSERT_EQ(life.write("db01", 7, 1, 1), IoStatus::ok);
  ASSERT_EQ(life.remove("db01"), "");
  EXPECT_TRUE(contains(life.destroy("db01", uuid), "may have what its image lacks"));
  ASSERT_EQ(life.add(cached("db01", 8_MiB)), "");
  EXPECT_EQ(life.read("db01", 7), 1);
}

TEST_P(Reconfiguration, RemovedAndDirtyItIsDestroyedWithTheCacheThatIsNamed) {
  Running life(*this, {cached("db01", 8_MiB)}, {cache()});
  const Uuid uuid = life.engine->find("db01")->identity().uuid;
  ASSERT_EQ(life.write("db01", 7, 16, 1), IoStatus::ok);
  EXPECT_TRUE(contains(life.destroy("db01", uuid, cache_uuid), "is in the configuration"));
  ASSERT_EQ(life.remove("db01"), "");
  EXPECT_TRUE(contains(life.destroy("db01", uuid), "name it with --cache " + cache_uuid.text()));
  EXPECT_TRUE(contains(life.destroy("db01", uuid, Uuid::random()), "not with"));
  EXPECT_TRUE(contains(life.destroy("db01", cache_uuid, cache_uuid), "retains a volume db01"));

  DestroyedVolume destroyed;
  ASSERT_EQ(life.destroy("db01", uuid, cache_uuid, &destroyed), "");
  EXPECT_TRUE(contains(destroyed.cache_text, "Its image lacked what cache " + cache_uuid.text()))
      << destroyed.cache_text;
  EXPECT_GT(destroyed.cache_freed.value, 0U);
  EXPECT_FALSE(life.retained("db01"));
  EXPECT_TRUE(contains(life.destroy("db01", uuid, cache_uuid), "no pool that is open retains"));
  ASSERT_EQ(life.add(cached("db01", 8_MiB)), "");
  EXPECT_EQ(life.read("db01", 7), 0) << "another one";
}

// Whatever was cut off: asked again, it is done, and nothing of it keeps any space.
TEST_P(Reconfiguration, DestroyingIsTakenUpWhereItWasCutOff) {
  enum class Cut { nothing, leaving, forgotten, pool_first, without_cache };
  Uuid uuid;
  {
    Running life(*this, {cached("db01", 8_MiB)}, {cache()});
    uuid = life.engine->find("db01")->identity().uuid;
    ASSERT_EQ(life.write("db01", 7, 16, 1), IoStatus::ok);
    ASSERT_EQ(life.remove("db01"), "");
  }
  for (const std::string name : {"bulk", "pmem0"}) copy(name, name + ".before");
  for (const Cut cut :
       {Cut::nothing, Cut::leaving, Cut::forgotten, Cut::pool_first, Cut::without_cache}) {
    SCOPED_TRACE(static_cast<int>(cut));
    for (const std::string name : {"bulk", "pmem0"}) copy(name + ".before", name);
    if (cut == Cut::leaving || cut == Cut::forgotten) {
      const auto region = open_pmem_region(path_of("pmem0"), {});
      ASSERT_TRUE(region);
      const auto device = CacheDevice::open(*region.value());
      ASSERT_TRUE(device);
      auto writer = DurableWriter::make(*region.value());
      ASSERT_TRUE(writer);
      const auto slot = device.value()->volumes().find(uuid);
      ASSERT_TRUE(slot.has_value());
      ASSERT_TRUE(device.value()->volumes().leave(writer.value(), *slot));
      if (cut == Cut::forgotten) {
        ASSERT_TRUE(device.value()->finish_leaving(writer.value(), *slot));
      }
    } else if (cut == Cut::pool_first) {
      ASSERT_TRUE(FilePool::open(directory + "/bulk").value()->destroy("db01", uuid, cache_uuid));
    } else if (cut == Cut::without_cache) {
      const auto engine = Engine::open({pool()}, {});
      std::promise<Result<DestroyedVolume, std::string>> promise;
      engine->destroy("db01", uuid, cache_uuid, [&](auto done) { promise.set_value(done); });
      const auto done = promise.get_future().get();
      ASSERT_TRUE(done) << done.error();
      EXPECT_TRUE(contains(done.value().cache_text, "The cache is not open"));
    }
    {
      Running life(*this, {}, {cache()});
      ASSERT_EQ(life.destroy("db01", uuid, cache_uuid), "");
      EXPECT_FALSE(life.retained("db01"));
      EXPECT_FALSE(fs::exists(path_of("bulk/db01.raw")));
    }
    const auto region = open_pmem_region(path_of("pmem0"), {});
    ASSERT_TRUE(region);
    const auto device = CacheDevice::open(*region.value());
    ASSERT_TRUE(device);
    EXPECT_FALSE(device.value()->volumes().find(uuid)) << "its space is taken";
  }
}

TEST_P(Reconfiguration, RemovedAndCleanItIsNoCachesAnyMore) {
  Running life(*this, {cached("db01", 8_MiB, "pmem0", soon)}, {cache()});
  const Uuid uuid = life.engine->find("db01")->identity().uuid;
  ASSERT_EQ(life.write("db01", 7, 512, 0x42), IoStatus::ok);
  ASSERT_TRUE(life.meanwhile([&] { return on_image("db01", 7) == 0x42; }));
  ASSERT_TRUE(life.meanwhile([&] { return life.dirty("db01") == ByteCount{}; }));
  ASSERT_EQ(life.remove("db01"), "");
  const auto retained = life.retained("db01");
  ASSERT_TRUE(retained.has_value());
  EXPECT_FALSE(retained->dirty);
  EXPECT_TRUE(retained->cache.is_nil());
  ASSERT_EQ(life.add(cached("db01", 8_MiB)), "");
  EXPECT_EQ(life.engine->find("db01")->identity().uuid, uuid);
  EXPECT_EQ(life.read("db01", 518), 0x42);
  ASSERT_EQ(life.remove("db01"), "");
  EXPECT_EQ(life.destroy("db01", uuid), "");
  ASSERT_EQ(life.add(cached("db01", 8_MiB)), "");
  EXPECT_NE(life.engine->find("db01")->identity().uuid, uuid);
  EXPECT_EQ(life.read("db01", 7), 0);
}

TEST_P(Reconfiguration, AVolumeWithoutACacheComesAndGoes) {
  Running life(*this, {}, {cache()});
  ASSERT_EQ(life.add(direct("vm01", 4_MiB)), "");
  ASSERT_EQ(life.write("vm01", 3, 1, 9), IoStatus::ok);
  EXPECT_EQ(life.engine->add_volume(direct("vm01", 4_MiB)).error(),
            "volume vm01 is there already, or is still being removed");
  ASSERT_EQ(life.remove("vm01"), "");
  EXPECT_EQ(life.remove("vm01"), "there is no volume vm01");
  EXPECT_EQ(life.engine->backing_errors_of("vm01"), 0U);
  ASSERT_EQ(life.add(direct("vm01", 4_MiB)), "");
  EXPECT_EQ(life.read("vm01", 3), 9);
  VolumeSpec nowhere = direct("vm02", 4_MiB);
  nowhere.pool = "none";
  EXPECT_EQ(life.engine->add_volume(nowhere).error(), "volume vm02: there is no pool none");
  EXPECT_EQ(life.engine->add_volume(cached("vm02", 4_MiB, "pmem7")).error(),
            "volume vm02: there is no cache device pmem7");
  EXPECT_EQ(life.engine->volumes().size(), 2U);
}

TEST_P(Reconfiguration, AVolumeOfALatePoolComesWithIt) {
  Running life(*this, {}, {cache()});
  ASSERT_TRUE(life.engine->add_pool(second_pool()));
  EXPECT_FALSE(life.engine->add_pool(second_pool()));
  ASSERT_TRUE(life.engine->add_volume(on_second_pool("far")));
  EXPECT_TRUE(life.meanwhile([&] { return contains(life.reason("far"), "/more"); }))
      << life.reason("far");
  EXPECT_EQ(life.condition("far").state, VolumeState::late);
  // One that never came can go, too.
  ASSERT_TRUE(life.engine->add_volume(on_second_pool("never")));
  ASSERT_EQ(life.remove("never"), "");
  fs::create_directory(directory + "/more");
  ASSERT_TRUE(init_file_pool(directory + "/more"));
  life.retry();
  EXPECT_EQ(life.condition("far").state, VolumeState::online) << life.reason("far");
  EXPECT_EQ(life.write("far", 1, 1, 1), IoStatus::ok);
}

TEST_P(Reconfiguration, APoolGoesWithItsLastVolumeAndComesBack) {
  fs::create_directory(directory + "/more");
  ASSERT_TRUE(init_file_pool(directory + "/more"));
  Running life(*this, {}, {cache()});
  ASSERT_TRUE(life.engine->add_pool(second_pool()));
  VolumeSpec far = on_second_pool("far");
  far.cache = VolumeCacheSpec{.device = "pmem0", .max_dirty_age = std::chrono::hours(1)};
  ASSERT_EQ(life.add(far), "");
  ASSERT_EQ(life.write("far", 5, 1, 0x55), IoStatus::ok);
  EXPECT_EQ(life.remove_pool("more"), "pool more has volume far: take that out first");
  EXPECT_EQ(life.engine->why_not_remove_pool("more", {"far"}), "");
  EXPECT_EQ(life.engine->why_not_remove_pool("none", {}), "there is no pool none");
  ASSERT_EQ(life.remove("far"), "");
  ASSERT_EQ(life.remove_pool("more"), "");
  EXPECT_EQ(life.engine->pools().size(), 1U);
  EXPECT_TRUE(FilePool::open(directory + "/more")) << "it holds its lock";
  ASSERT_TRUE(life.engine->add_pool(second_pool()));
  ASSERT_EQ(life.add(far), "");
  EXPECT_EQ(life.read("far", 5), 0x55);
}

TEST_P(Reconfiguration, ACacheDeviceGoesWhenNobodyNeedsItAndComesBack) {
  (void)make_cache("pmem1");
  Running life(*this, {}, {cache()});
  ASSERT_TRUE(life.engine->add_cache(cache("pmem1")));
  EXPECT_FALSE(life.engine->add_cache(cache("pmem1")));
  ASSERT_EQ(life.add(cached("db01", 8_MiB, "pmem1")), "");
  ASSERT_EQ(life.write("db01", 7, 1, 0x42), IoStatus::ok);
  EXPECT_TRUE(contains(life.remove_cache("pmem1"), "has volume db01"));
  EXPECT_TRUE(life.meanwhile([&] { return life.dirty("db01") != ByteCount{}; }));
  EXPECT_TRUE(contains(life.engine->why_not_remove_cache("pmem1", {"db01"}), "drain that first"));
  ASSERT_EQ(life.remove("db01"), "");
  EXPECT_TRUE(
      contains(life.remove_cache("pmem1"), "has what the images of retained volumes lack (db01)"));
  ASSERT_EQ(life.add(cached("db01", 8_MiB, "pmem1")), "");
  ASSERT_EQ(
      life.answer([&](Engine::Done done) { life.engine->detach_cache("db01", std::move(done)); }),
      "");
  ASSERT_TRUE(life.meanwhile([&] { return !life.engine->cache_of("db01"); }));
  ASSERT_EQ(life.remove_cache("pmem1"), "");
  EXPECT_EQ(life.engine->caches().size(), 1U);
  EXPECT_EQ(life.read("db01", 7), 0x42);
  ASSERT_EQ(life.write("db01", 8, 1, 0x43), IoStatus::ok);
  EXPECT_TRUE(open_pmem_region(path_of("pmem1"), {})) << "it is held";
  ASSERT_TRUE(life.engine->add_cache(cache("pmem1")));
  ASSERT_TRUE(life.engine->settle(patience));
  ASSERT_EQ(life.answer([&](Engine::Done done) {
    life.engine->attach_cache("db01", "pmem1", std::move(done));
  }),
            "");
  ASSERT_EQ(life.write("db01", 9, 1, 0x44), IoStatus::ok);
  for (const std::uint64_t lba : {7U, 8U, 9U}) {
    EXPECT_EQ(life.read("db01", lba), 0x3b + static_cast<int>(lba));
  }
  EXPECT_TRUE(life.meanwhile([&] { return life.engine->cache_of("db01").has_value(); }));
  const Volume& before = *life.engine->find("db01");
  ASSERT_EQ(life.remove("db01"), "");
  EXPECT_TRUE(life.forgets(before)) << "the device that was removed had it too";
}

TEST_P(Reconfiguration, SharesAreCheckedAndMovedWhileItIsServed) {
  VolumeSpec db01 = cached("db01", 16_MiB);
  VolumeSpec db02 = cached("db02", 16_MiB);
  db01.cache->guaranteed = db02.cache->guaranteed = 10_MiB;
  Running life(*this, {db01, db02}, {cache()});
  ASSERT_EQ(life.write("db01", 0, 1536, 1), IoStatus::ok);
  ASSERT_TRUE(life.meanwhile([&] { return life.dirty("db01") >= 6_MiB; }));
  db02.cache->guaranteed = 18_MiB;
  EXPECT_TRUE(contains(life.set_cache(db02), "lower a `guaranteed` by"));
  db01.cache->guaranteed = {};
  db01.cache->maximum = 4_MiB;
  ASSERT_EQ(life.set_cache(db01), "");
  EXPECT_EQ(life.set_cache(db02), "");
  // What it has beyond its maximum is written back at once, young as it is.
  EXPECT_TRUE(life.meanwhile([&] { return life.dirty("db01") <= 3_MiB; }));
  EXPECT_EQ(life.read("db01", 1535), 1);
  db01.cache->device = "pmem7";
  EXPECT_EQ(life.set_cache(db01), "volume db01: there is no cache device pmem7");
}

TEST_P(Reconfiguration, AgeAndModeChangeWhileItIsServed) {
  VolumeSpec db01 = cached("db01", 8_MiB);
  Running life(*this, {db01}, {cache()});
  ASSERT_EQ(life.write("db01", 7, 1, 0x42), IoStatus::ok);
  EXPECT_EQ(on_image("db01", 7), 0);
  db01.cache->max_dirty_age = soon;
  ASSERT_EQ(life.set_cache(db01), "");
  EXPECT_TRUE(life.meanwhile([&] { return on_image("db01", 7) == 0x42; }));
  db01.cache->max_dirty_age = std::chrono::hours(1);
  db01.cache->mode = CacheMode::write_through;
  ASSERT_EQ(life.set_cache(db01), "");
  EXPECT_EQ(life.engine->cache_of("db01")->mode, CacheMode::write_through);
  ASSERT_EQ(life.write("db01", 8, 1, 0x43), IoStatus::ok);
  EXPECT_EQ(on_image("db01", 8), 0x43);
}

TEST_P(Reconfiguration, AJournalIsKeptFromNowOnAndNoMore) {
  VolumeSpec db01 = cached("db01", 8_MiB, "pmem0", soon);
  const std::string journal = path_of("bulk/" + journal_name("db01.raw"));
  {
    Running life(*this, {db01}, {cache()});
    const auto write = [&](int value) {
      ASSERT_EQ(life.write("db01", 7, 40, value), IoStatus::ok);
      ASSERT_TRUE(life.meanwhile([&] { return on_image("db01", 46) == value; }));
    };
    write(1);
    EXPECT_FALSE(fs::exists(journal));
    db01.cache->ordered = WriteBackOrder::journal;
    ASSERT_EQ(life.set_cache(db01), "");
    const auto head = [&journal] {
      std::ifstream file(journal, std::ios::binary);
      std::string text(std::size_t{64} << 10, '\0');
      file.read(text.data(), static_cast<std::streamsize>(text.size()));
      return text;
    };
    // A batch that had begun goes without.
    write(2);
    write(3);
    EXPECT_TRUE(head().starts_with("FBYJRNL"));
    db01.cache->ordered = WriteBackOrder::batch;
    ASSERT_EQ(life.set_cache(db01), "");
    write(4);
    write(5);
    const std::string before = head();
    write(6);
    write(7);
    EXPECT_EQ(head(), before);
    EXPECT_EQ(life.read("db01", 46), 7);
  }
  Running next(*this, {db01}, {cache()});
  EXPECT_EQ(next.read("db01", 46), 7);
}

TEST_P(Reconfiguration, ASizeThatIsSpecifiedIsNoGrowth) {
  Running life(*this, {cached("db01", 8_MiB), direct("vm01", 4_MiB)}, {cache()});
  for (const std::string name : {"db01", "vm01"}) {
    const auto set = [&](ByteCount size) {
      return life.answer(
          [&](Engine::Done done) { life.engine->set_volume_size(name, size, std::move(done)); });
    };
    ASSERT_EQ(set(12_MiB), "");
    EXPECT_EQ(life.engine->find(name)->size().value, 3072U);
    EXPECT_EQ(life.finding(Finding::About::volume_size, name), "");
    EXPECT_TRUE(contains(set(4_MiB), "shrinking is refused"));
    ASSERT_TRUE(life.grow(name, 16_MiB));
    EXPECT_NE(life.finding(Finding::About::volume_size, name), "");
    ASSERT_EQ(set(16_MiB), "");
    EXPECT_EQ(life.finding(Finding::About::volume_size, name), "");
    EXPECT_EQ(life.write(name, 4095, 1, 1), IoStatus::ok);
  }
}

TEST_P(Reconfiguration, APoolsSpaceIsChangedAndNothingElseOfIt) {
  Running life(*this, {}, {cache()});
  const auto set = [&](const PoolSpec& spec) {
    return life.answer(
        [&](Engine::Done done) { life.engine->set_pool_space("bulk", spec, std::move(done)); });
  };
  PoolSpec spec = pool();
  spec.reserve = 1_MiB;
  spec.warn_at = 1;
  spec.provisioning = Provisioning::thin;
  const std::uint64_t allowed = QueueDepth::allowed();
  spec.queue_depth = 7;
  ASSERT_EQ(set(spec), "");
  EXPECT_EQ(QueueDepth::allowed(), allowed + 7);
  const PoolStatus now = life.engine->pools()[0];
  EXPECT_EQ(now.reserve, 1_MiB);
  EXPECT_EQ(now.warn_at, 1U);
  EXPECT_EQ(now.queue_depth, 7U);
  EXPECT_EQ(now.provisioning, Provisioning::thin);
  ASSERT_EQ(life.add(direct("thin", 8_MiB)), "");
  ASSERT_EQ(life.remove("thin"), "");
  EXPECT_EQ(life.retained("thin")->provisioning, Provisioning::thin);
  // Nothing can be made where all is to stay free.
  spec.provisioning = Provisioning::thick;
  spec.reserve = now.size;
  ASSERT_EQ(set(spec), "");
  ASSERT_EQ(life.add(direct("thick", 8_MiB)), "");
  EXPECT_NE(life.condition("thick").state, VolumeState::online);
  ASSERT_EQ(life.remove("thick"), "");
  spec.directory = "/elsewhere";
  EXPECT_TRUE(contains(set(spec), "cannot be changed"));
  EXPECT_EQ(life.engine->why_not_set_pool_space("none", spec), "there is no pool none");
}

INSTANTIATE_TEST_SUITE_P(Granularities, Reconfiguration, testing::Values("PAGE", "CACHE_LINE"),
                         [](const auto& granularity) { return std::string(granularity.param); });

}  // namespace
}  // namespace engine
