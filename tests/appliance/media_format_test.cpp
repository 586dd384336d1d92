// forebay-media format and grow.
#include <gmock/gmock.h>

#include "tests/appliance/media_kit.h"

namespace media::test {
namespace {

using engine::test::uuid_of;
using testing::HasSubstr;

class MediaFormat : public MediaTest {
 protected:
  // As the machine is, not forced: an ordinary file.
  static end_to_end::Outcome plain(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), FOREBAY_MEDIA);
    return end_to_end::run({.arguments = std::move(arguments)});
  }
};

TEST_F(MediaFormat, MakesAFileThatIsAllThereAndAnEmptyCacheInIt) {
  const auto made = plain({"format", path("cache"), "--size", "8MiB", "--checksums"});
  EXPECT_EQ(made.exit.code, 0) << made.output;
  EXPECT_THAT(made.output, HasSubstr("new cache "));
  EXPECT_THAT(made.output, HasSubstr("in 6 segments of 1MiB"));
  EXPECT_THAT(made.output, HasSubstr("Name it in the configuration: uuid: "));
  EXPECT_TRUE(engine::open_pmem_region(path("cache"), {})) << "neither sparse nor in use";
  const auto checked = plain({"check", path("cache")});
  EXPECT_EQ(checked.exit.code, 0) << checked.output;
  EXPECT_THAT(checked.output, HasSubstr("CLEAN"));
  EXPECT_THAT(plain({"inspect", path("cache")}).output, HasSubstr("No volume is attached."));
  EXPECT_EQ(plain({"format", path("cache"), "--size", "8MiB"}).exit.code, 3) << "is there already";
}

TEST_F(MediaFormat, RefusesADirtyCacheUntilItIsNamed) {
  WrittenCache cache;
  const std::string file = file_of(cache);
  const std::string before = file_content(file);
  const std::vector<std::string> small{"format", file, "--volumes", "4", "--segment-size", "16KiB"};
  const auto refused = media(small);
  EXPECT_EQ(refused.exit.code, 3);
  EXPECT_THAT(refused.output, HasSubstr("the device holds cache " + uuid_of(0xd0).text() +
                                        ", which may hold data that no backing has (volume "
                                        "\"vol1\"); name its UUID to destroy it"));
  auto other = small;
  other.insert(other.end(), {"--replace", uuid_of(9).text()});
  EXPECT_EQ(media(other).exit.code, 3);
  EXPECT_TRUE(file_content(file) == before);
  auto named = small;
  named.insert(named.end(), {"--replace", uuid_of(0xd0).text()});
  const auto done = media(named);
  EXPECT_EQ(done.exit.code, 0) << done.output;
  EXPECT_EQ(media({"check", file}).exit.code, 0);
}

TEST_F(MediaFormat, RefusesSparseFilesAndSizesThatFitNothing) {
  std::ofstream(path("sparse")).close();
  std::filesystem::resize_file(path("sparse"), 8U << 20);
  const auto sparse = plain({"format", path("sparse")});
  EXPECT_EQ(sparse.exit.code, 3);
  EXPECT_THAT(sparse.output, HasSubstr("has blocks that were never written"));
  for (const char* size : {"8", "4KiB", "1000PiB"}) {
    EXPECT_EQ(plain({"format", path("cache"), "--size", size}).exit.code, 3) << size;
    EXPECT_FALSE(std::filesystem::exists(path("cache"))) << size;
  }
  EXPECT_EQ(plain({"format", path("sparse"), "--segment-size", "1TiB"}).exit.code, 3);
  EXPECT_EQ(plain({"format", path("sparse"), "--replace", "vol1"}).exit.code, 3);
}

TEST_F(MediaFormat, GrowsWithWhatIsCached) {
  WrittenCache cache;
  const std::string file = file_of(cache);
  const auto same = media({"grow", file});
  EXPECT_EQ(same.exit.code, 3) << "nothing to take: " << same.output;
  const auto grown = media({"grow", file, "--size", "512KiB"});
  EXPECT_EQ(grown.exit.code, 0) << grown.output;
  EXPECT_THAT(grown.output, HasSubstr("grown cache " + uuid_of(0xd0).text()));
  EXPECT_THAT(grown.output, HasSubstr("512KiB in 30 segments of 16KiB"));
  const auto checked = media({"check", file, "--json"});
  EXPECT_EQ(checked.exit.code, 0) << checked.output;
  EXPECT_THAT(checked.output, HasSubstr("\"dirty_bytes\":76800"));
  EXPECT_EQ(media({"grow", file, "--size", "256KiB"}).exit.code, 3);
}

TEST_F(MediaFormat, ADeviceThatIsInUseIsLeftAlone) {
  WrittenCache cache;
  const std::string file = file_of(cache);
  const auto region = engine::open_pmem_region(file, {});
  ASSERT_TRUE(region);
  const std::string uuid = uuid_of(0xd0).text();
  for (const std::vector<std::string>& command :
       {std::vector<std::string>{"format", file, "--replace", uuid},
        {"grow", file, "--size", "1MiB"},
        {"repair", file, "--yes", "--uuid", uuid},
        {"export", file, "--volume", uuid_of(1).text()}}) {
    const auto refused = media(command);
    EXPECT_EQ(refused.exit.code, 3);
    EXPECT_THAT(refused.output, HasSubstr("is in use by process " + std::to_string(getpid())));
  }
}

}  // namespace
}  // namespace media::test
