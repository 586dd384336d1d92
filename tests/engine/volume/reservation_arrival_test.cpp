// Reservations come with their volume: before it is served, whatever was late.
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <future>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "engine/pool/file_pool.h"
#include "engine/volume/engine.h"
#include "tests/engine/pool/kept_registrants.h"
#include "tests/engine/test_directory.h"

namespace engine {
namespace {

namespace fs = std::filesystem;

TEST(KeptReservationsOfAVolume, ReservationsAreThereBeforeTheirVolumeIsServed) {
  const TestDirectory place("reservation-arrival");
  const std::string directory = place.path();
  fs::create_directory(directory + "/bulk");
  ASSERT_TRUE(init_file_pool(directory + "/bulk"));
  // What a protocol would see that looks when it is told.
  struct Watch final : VolumeObserver {
    void volume_changed(Volume& volume) noexcept override {
      if (volume.state() == VolumeState::late) return;
      const std::lock_guard lock(mutex);
      seen.push_back(volume.kept_reservations());
    }
    std::mutex mutex;
    std::vector<std::optional<KeptReservations>> seen;
  } watch;
  const std::string away = directory + "/away";
  for (std::size_t life = 0; life < 3; ++life) {
    fs::rename(directory + "/bulk", away);
    auto engine =
        Engine::open({{.name = "bulk",
                       .kind = PoolSpec::Kind::file,
                       .directory = directory + "/bulk",
                       .uuid = {}}},
                     {{.name = "db01", .pool = "bulk", .size = 1_MiB, .block_size = {512}}});
    Volume& db01 = *engine->find("db01");
    EXPECT_EQ(db01.kept_reservations(), std::nullopt) << "nobody knows yet";
    engine->observe(&watch);
    fs::rename(away, directory + "/bulk");
    engine->retry_now();
    ASSERT_TRUE(engine->settle(std::chrono::seconds(120)));
    ASSERT_EQ(db01.state(), VolumeState::online);
    const KeptReservations before = life == 0 ? KeptReservations{} : kept_reservations(life);
    EXPECT_EQ(db01.kept_reservations(), before);
    {
      const std::lock_guard lock(watch.mutex);
      ASSERT_FALSE(watch.seen.empty());
      for (const auto& seen : std::exchange(watch.seen, {})) EXPECT_EQ(seen, before);
    }
    std::promise<bool> kept;
    db01.keep_reservations(kept_reservations(life + 1),
                           [&](const auto& result) { kept.set_value(result.has_value()); });
    ASSERT_TRUE(kept.get_future().get());
    EXPECT_EQ(db01.kept_reservations(), kept_reservations(life + 1));
    engine->observe(nullptr);
  }
}

TEST(KeptReservationsOfAVolume, InMemoryReservationsLastAsLongAsTheirVolume) {
  auto engine =
      Engine::open({{.name = "ram", .kind = PoolSpec::Kind::memory, .directory = {}, .uuid = {}}},
                   {{.name = "m", .pool = "ram", .size = 1_MiB, .block_size = {4096}}});
  Volume& m = *engine->find("m");
  EXPECT_EQ(m.kept_reservations(), KeptReservations{});
  std::promise<bool> kept;
  m.keep_reservations(kept_reservations(2),
                      [&](const auto& result) { kept.set_value(result.has_value()); });
  ASSERT_TRUE(kept.get_future().get());
  EXPECT_EQ(m.kept_reservations(), kept_reservations(2));
}

}  // namespace
}  // namespace engine
