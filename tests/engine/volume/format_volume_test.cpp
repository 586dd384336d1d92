// Volumes that are being formatted: nobody but who formats sees their blocks until all of them are
// zeros, with a cache and without, whatever the daemon's lives come between.
#include <gtest/gtest.h>

#include "tests/engine/volume/cached_engine_kit.h"

namespace engine {
namespace {

using Kind = VolumeIo::Kind;

class FormattedVolume : public CachedEngine {
 protected:
  static constexpr const char* both[] = {"db01", "db02"};
  static constexpr std::uint64_t blocks = (8_MiB).value / block;

  [[nodiscard]] static std::vector<VolumeSpec> specs() {
    return {cached("db01", 8_MiB), direct("db02", 8_MiB)};
  }
  static bool keep(const Life& now, const char* name, bool formatting) {
    std::promise<bool> kept;
    now.engine->find(name)->keep_formatting(
        formatting, [&kept](const auto& result) { kept.set_value(result.has_value()); });
    return kept.get_future().get();
  }
  static IoStatus zero(Life& now, const char* name, std::uint64_t lba, std::uint64_t count) {
    VolumeIo io{.kind = Kind::deallocate, .formats = true, .lba = {lba}, .blocks = {count}};
    return run(*now.engine->find(name), *now.lane, io);
  }
  static void expect_hidden(Life& now, const char* name) {
    SCOPED_TRACE(name);
    Volume& volume = *now.engine->find(name);
    EXPECT_TRUE(volume.is_formatting());
    EXPECT_EQ(now.read(name, 7), -static_cast<int>(IoStatus::formatting));
    EXPECT_EQ(now.write(name, 7, 1, 0x66), IoStatus::formatting);
    for (const Kind kind : {Kind::write_zeroes, Kind::deallocate, Kind::verify}) {
      EXPECT_EQ(run(volume, *now.lane, kind, 7, 1), IoStatus::formatting);
    }
    EXPECT_EQ(run(volume, *now.lane, Kind::flush, 0, 0), IoStatus::ok);
    EXPECT_FALSE(volume.read_in_place(*now.lane, {.lba = {7}, .blocks = {4}}));
    EXPECT_TRUE(contains(now.condition(name).promise.note, "being formatted"));
  }
};

TEST_P(FormattedVolume, IsHiddenThroughRestartsUntilAllOfItIsZeros) {
  {
    Life now(*this, specs(), {cache()});
    for (const char* name : both) {
      ASSERT_EQ(now.write(name, 0, 256, 0x42), IoStatus::ok);
      ASSERT_EQ(now.write(name, blocks - 8, 8, 0x43), IoStatus::ok);
      Volume& volume = *now.engine->find(name);
      const std::uint64_t before = volume.changes();
      EXPECT_FALSE(volume.is_formatting());
      const BlockSize own = volume.identity().block_size;
      ASSERT_TRUE(volume.begin_format(own));
      EXPECT_FALSE(volume.begin_format(own)) << "it is already";
      EXPECT_GT(volume.changes(), before) << "hosts are told";
      expect_hidden(now, name);
      ASSERT_TRUE(keep(now, name, true));
      ASSERT_EQ(zero(now, name, 0, blocks / 2), IoStatus::ok);
      expect_hidden(now, name);
    }
  }
  {
    Life now(*this, specs(), {cache()});
    for (const char* name : both) {
      ASSERT_EQ(now.condition(name).state, VolumeState::online) << now.reason(name);
      expect_hidden(now, name);
      bool refused = false;
      now.engine->find(name)->protect(WriteProtection::kept,
                                      [&refused](const auto& kept) { refused = !kept; });
      EXPECT_TRUE(refused) << "or it could not be zeroed";
      ASSERT_TRUE(keep(now, name, true)) << "from its beginning";
      ASSERT_EQ(zero(now, name, 0, blocks), IoStatus::ok);
      ASSERT_TRUE(keep(now, name, false));
      EXPECT_FALSE(now.engine->find(name)->is_formatting());
      EXPECT_EQ(now.condition(name).promise.note.find("formatted"), std::string::npos);
      for (const std::uint64_t lba : {std::uint64_t{0}, std::uint64_t{255}, blocks - 1}) {
        EXPECT_EQ(now.read(name, lba), 0);
      }
      EXPECT_EQ(now.write(name, 9, 1, 0x44), IoStatus::ok);
    }
  }
  Life now(*this, specs(), {cache()});
  for (const char* name : both) {
    EXPECT_FALSE(now.engine->find(name)->is_formatting());
    EXPECT_EQ(now.read(name, 9), 0x44);
    EXPECT_EQ(now.read(name, 10), 0);
    EXPECT_EQ(now.read(name, blocks - 1), 0);
  }
}

// Before it is kept, an end leaves all that there was.
TEST_P(FormattedVolume, ThatWasNotKeptHasNotBegun) {
  {
    Life now(*this, specs(), {cache()});
    for (const char* name : both) {
      ASSERT_EQ(now.write(name, 7, 1, 0x42), IoStatus::ok);
      ASSERT_TRUE(now.engine->find(name)->begin_format({512}));
    }
  }
  Life now(*this, specs(), {cache()});
  for (const char* name : both) {
    EXPECT_FALSE(now.engine->find(name)->is_formatting());
    EXPECT_EQ(now.read(name, 7), 0x42);
  }
}

// With other blocks: from the moment that it is kept they are the volume's at the next start, and
// what runs has its own until it is let go of. The specification is as it was all the time.
TEST_P(FormattedVolume, ComesBackWithTheBlocksItWasFormattedWith) {
  const BlockSize own = specs().front().block_size;
  const BlockSize other{own.bytes == 512 ? 4096U : 512U};
  const std::uint64_t other_blocks = (8_MiB).value / other.bytes;
  {
    Life now(*this, specs(), {cache()});
    for (const char* name : both) {
      ASSERT_EQ(now.write(name, 0, 256, 0x42), IoStatus::ok);
      Volume& volume = *now.engine->find(name);
      EXPECT_TRUE(volume.can_have_blocks(own));
      ASSERT_TRUE(volume.can_have_blocks(other));
      ASSERT_TRUE(volume.begin_format(other));
      EXPECT_EQ(volume.formatted_blocks(), other);
      ASSERT_TRUE(keep(now, name, true));
      EXPECT_EQ(volume.identity().block_size, own);
      EXPECT_EQ(volume.size().value, blocks);
      ASSERT_EQ(zero(now, name, 0, blocks / 2), IoStatus::ok);
    }
  }
  {
    Life now(*this, specs(), {cache()});
    for (const char* name : both) {
      SCOPED_TRACE(name);
      Volume& volume = *now.engine->find(name);
      ASSERT_EQ(now.condition(name).state, VolumeState::online) << now.reason(name);
      EXPECT_EQ(volume.identity().block_size, other);
      EXPECT_EQ(volume.size().value, other_blocks);
      EXPECT_TRUE(volume.has_blocks_of_host());
      EXPECT_TRUE(volume.is_formatting());
      EXPECT_EQ(volume.formatted_blocks(), other);
      EXPECT_TRUE(contains(now.condition(name).promise.note, "set by a host's format"));
      ASSERT_EQ(zero(now, name, 0, other_blocks), IoStatus::ok);
      ASSERT_TRUE(keep(now, name, false));
      EXPECT_FALSE(volume.is_formatting()) << "these blocks are its own now";
      std::vector<std::byte> data(other.bytes, std::byte{0x55});
      VolumeIo io{.kind = Kind::write,
                  .lba = {other_blocks - 1},
                  .blocks = {1},
                  .data = {data.data(), data.size()}};
      ASSERT_EQ(run(volume, *now.lane, io), IoStatus::ok);
      // And back again, without a start in between.
      ASSERT_TRUE(volume.begin_format(own));
      ASSERT_TRUE(keep(now, name, true));
      ASSERT_EQ(zero(now, name, 0, other_blocks), IoStatus::ok);
      ASSERT_TRUE(keep(now, name, false));
      EXPECT_TRUE(volume.is_formatting()) << "nobody is served by it any more";
      std::promise<bool> removed;
      now.engine->remove_volume(
          name, [&removed](const auto& result) { removed.set_value(result.has_value()); });
      // Its lane has to say that nothing of it is under way.
      auto outcome = removed.get_future();
      drive_until(*now.lane, [&outcome] {
        return outcome.wait_for(std::chrono::milliseconds(1)) == std::future_status::ready;
      });
      ASSERT_TRUE(outcome.get());
      const auto all = specs();
      const auto spec = std::ranges::find(all, name, &VolumeSpec::name);
      ASSERT_TRUE(now.engine->add_volume(*spec));
      (void)now.engine->settle(std::chrono::seconds(20));
      ASSERT_EQ(now.condition(name).state, VolumeState::online) << now.reason(name);
      EXPECT_EQ(now.engine->find(name)->identity().block_size, own);
      EXPECT_EQ(now.engine->find(name)->size().value, blocks);
      EXPECT_FALSE(now.engine->find(name)->is_formatting());
      EXPECT_EQ(now.read(name, blocks - 1), 0);
      EXPECT_EQ(now.write(name, 9, 1, 0x44), IoStatus::ok);
    }
  }
  Life now(*this, specs(), {cache()});
  for (const char* name : both) {
    EXPECT_EQ(now.read(name, 9), 0x44);
    EXPECT_EQ(now.read(name, 10), 0);
  }
}

INSTANTIATE_TEST_SUITE_P(Media, FormattedVolume, testing::Values("PAGE", "CACHE_LINE"));

}  // namespace
}  // namespace engine
