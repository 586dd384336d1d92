// forebay-media inspect and check, as an operator and a script see them.
#include <gmock/gmock.h>

#include "tests/appliance/media_kit.h"

namespace media::test {
namespace {

using testing::HasSubstr;

void damage(WrittenCache& cache) {
  cache.set_tails({.dirty_tail = 20});
  cache.rot(7, 1);
  cache.rot(140);
  engine::test::flip_bit(cache.pmem(), cache.data(100));
}

class MediaCheck : public MediaTest {};

TEST_F(MediaCheck, InspectShowsTheDeviceAndItsVolumes) {
  WrittenCache cache;
  const std::string file = file_of(cache);
  const auto screen = media({"inspect", file});
  EXPECT_EQ(screen.exit.code, 0);
  expect_golden("inspect.txt", screen.output);
  const auto json = media({"inspect", file, "--json"});
  EXPECT_EQ(json.exit.code, 0);
  expect_golden("inspect.json", json.output);
}

TEST_F(MediaCheck, CheckNamesEveryFindingAndWritesNothing) {
  WrittenCache cache;
  damage(cache);
  const std::string file = file_of(cache);
  const std::string before = file_content(file);
  const auto written = std::filesystem::last_write_time(file);
  const auto screen = media({"check", file});
  EXPECT_EQ(screen.exit.code, 2);
  expect_golden("check_damaged.txt", screen.output);
  const auto json = media({"check", file, "--json"});
  EXPECT_EQ(json.exit.code, 2);
  expect_golden("check_damaged.json", json.output);
  EXPECT_TRUE(file_content(file) == before);
  EXPECT_EQ(std::filesystem::last_write_time(file), written);
}

// A file that nobody may write is enough.
TEST_F(MediaCheck, CheckNeedsNoRightToWrite) {
  WrittenCache cache;
  cache.rot(7, 1);
  const std::string file = file_of(cache);
  std::filesystem::permissions(file, std::filesystem::perms::owner_read |
                                         std::filesystem::perms::group_read |
                                         std::filesystem::perms::others_read);
  std::filesystem::permissions(std::filesystem::path(file).parent_path(),
                               std::filesystem::perms::all);
  const auto checked = end_to_end::run({.arguments = {FOREBAY_MEDIA, "check", file},
                                        .environment = {},
                                        .as_nobody = geteuid() == 0});
  EXPECT_EQ(checked.exit.code, 1) << checked.output;
  EXPECT_THAT(checked.output, HasSubstr("- copy 1 of kset 7 in log chunk 1"));
}

TEST_F(MediaCheck, ExitCodesAreTheVerdict) {
  WrittenCache whole;
  const auto good = media({"check", file_of(whole)});
  EXPECT_EQ(good.exit.code, 0);
  EXPECT_THAT(good.output, HasSubstr("DIRTY, nothing is wrong with it"));
  WrittenCache harmless;
  harmless.lose_header_of(1, 0);
  EXPECT_EQ(media({"check", file_of(harmless)}).exit.code, 1);
  std::ofstream(path("blank")) << std::string(1 << 20, '\0');
  for (const char* command : {"check", "inspect"}) {
    const auto blank = media({command, path("blank")});
    EXPECT_EQ(blank.exit.code, 3);
    EXPECT_THAT(blank.output, HasSubstr("there is no cache on this device"));
    const auto missing = media({command, path("missing")});
    EXPECT_EQ(missing.exit.code, 3);
    EXPECT_THAT(missing.output, HasSubstr("forebay-media: " + path("missing")));
  }
  EXPECT_EQ(media({"check"}).exit.code, 3);
  EXPECT_EQ(media({"chekc", file_of(whole)}).exit.code, 3);
  EXPECT_EQ(media({"--version"}).exit.code, 0);
}

TEST_F(MediaCheck, ADeviceThatIsInUseIsRefusedWithItsProcess) {
  WrittenCache cache;
  const std::string file = file_of(cache);
  const auto region = engine::open_pmem_region(file, {});
  ASSERT_TRUE(region);
  for (const char* command : {"check", "inspect"}) {
    const auto refused = media({command, file});
    EXPECT_EQ(refused.exit.code, 3);
    EXPECT_THAT(refused.output, HasSubstr("is in use by process " + std::to_string(getpid())));
  }
}

}  // namespace
}  // namespace media::test
