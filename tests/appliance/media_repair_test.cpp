// forebay-media repair: it says, and does nothing until it is told.
#include <gmock/gmock.h>

#include "tests/appliance/media_kit.h"

namespace media::test {
namespace {

using engine::test::uuid_of;
using testing::HasSubstr;

const std::string cache_uuid = uuid_of(0xd0).text();
const std::string repaired_uuid = uuid_of(1).text();

void damage_to_repair(WrittenCache& cache) {
  cache.rot(7, 1);
  cache.rot(140);
  cache.lose_header_of(1, 0);
}

class MediaRepair : public MediaTest {};

TEST_F(MediaRepair, NothingIsChangedUntilTheCacheIsNamed) {
  WrittenCache cache;
  damage_to_repair(cache);
  const std::string file = file_of(cache);
  const std::string before = file_content(file);
  const auto plan = media({"repair", file, "--cut", repaired_uuid});
  EXPECT_EQ(plan.exit.code, 2);
  expect_golden("repair_plan.txt", plan.output);
  expect_golden("repair_plan_without_cut.txt", media({"repair", file}).output);
  expect_golden("repair_plan.json",
                media({"repair", file, "--cut", repaired_uuid, "--json"}).output);
  for (const std::vector<std::string>& named :
       {std::vector<std::string>{}, {"--uuid", uuid_of(9).text()}, {"--uuid", "nonsense"}}) {
    std::vector<std::string> arguments{"repair", file, "--yes"};
    arguments.insert(arguments.end(), named.begin(), named.end());
    const auto refused = media(arguments);
    EXPECT_EQ(refused.exit.code, 3);
    EXPECT_THAT(refused.output, HasSubstr("carries cache " + cache_uuid + "; name it with --uuid"));
  }
  EXPECT_EQ(media({"repair", file, "--cut", "nonsense"}).exit.code, 3);
  EXPECT_TRUE(file_content(file) == before);
}

TEST_F(MediaRepair, DoesWhatItHasSaid) {
  WrittenCache cache;
  damage_to_repair(cache);
  const std::string file = file_of(cache);
  const auto healed = media({"repair", file, "--yes", "--uuid", cache_uuid});
  EXPECT_THAT(healed.output, HasSubstr("Done. What is left: forebay-media check"));
  EXPECT_EQ(healed.exit.code, 2) << "the log is not cut without being asked: " << healed.output;
  EXPECT_EQ(media({"check", file}).exit.code, 2);
  const auto cut = media({"repair", file, "--yes", "--uuid", cache_uuid, "--cut", repaired_uuid});
  EXPECT_EQ(cut.exit.code, 0) << cut.output;
  expect_golden("repair_done.txt", cut.output);
  EXPECT_EQ(media({"check", file}).exit.code, 0);
  EXPECT_THAT(media({"repair", file}).output, HasSubstr("There is nothing to repair."));
}

// An ordinary file, as the machine has it: media of pages.
TEST_F(MediaRepair, AnOrdinaryFile) {
  const auto plain = [](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), FOREBAY_MEDIA);
    return end_to_end::run({.arguments = std::move(arguments)});
  };
  const std::string file = path("cache");
  ASSERT_EQ(plain({"format", file, "--size", "8MiB"}).exit.code, 0);
  std::string uuid = plain({"inspect", file}).output;
  uuid = uuid.substr(uuid.find("cache ") + 6, 36);
  std::fstream(file, std::ios::in | std::ios::out | std::ios::binary).seekp(8).write("rot", 3);
  const auto found = plain({"check", file});
  EXPECT_EQ(found.exit.code, 1) << found.output;
  EXPECT_THAT(found.output, HasSubstr("superblock at byte 0: one replica does not match"));
  const auto done = plain({"repair", file, "--yes", "--uuid", uuid});
  EXPECT_EQ(done.exit.code, 0) << done.output;
  EXPECT_EQ(plain({"check", file}).exit.code, 0);
}

}  // namespace
}  // namespace media::test
