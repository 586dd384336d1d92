// forebay-media export: onto an image, as a list, and never a bad byte as a good one.
#include <gmock/gmock.h>

#include "tests/appliance/media_kit.h"

namespace media::test {
namespace {

using engine::test::uuid_of;
using testing::HasSubstr;

const std::string volume_uuid = uuid_of(1).text();

// An image of the backing with 0xbb in its first 256 sectors; as large as the volume, and sparse.
void make_image(const std::string& path) {
  std::ofstream(path, std::ios::binary) << std::string(256 * 512, '\xbb');
  std::filesystem::resize_file(path, 1U << 30);
}
// The byte that each of the image's first sectors consists of; -1 if not of one.
std::vector<int> sectors_of(const std::string& path, std::size_t count) {
  std::ifstream file(path, std::ios::binary);
  std::vector<int> found;
  for (std::string sector(512, '\0'); found.size() < count;) {
    file.read(sector.data(), 512);
    const bool same = sector.find_first_not_of(sector[0]) == std::string::npos;
    found.push_back(same ? static_cast<unsigned char>(sector[0]) : -1);
  }
  return found;
}
std::vector<int> expected_sectors(std::uint64_t from, std::uint64_t to) {
  std::vector<int> sectors(200, 0xbb);
  for (std::uint64_t n = from; n <= to; ++n) sectors[n] = static_cast<int>(n);
  return sectors;
}

class MediaExport : public MediaTest {};

TEST_F(MediaExport, PatchesAnImageWithWhatIsDirty) {
  WrittenCache cache([](engine::test::OpenVolume& open) {
    engine::CommitRecord zeroes(open.sink);
    const engine::SectorRange range{{160}, {4}};
    engine::test::must(open.volume->write_zeroes(*open.actor, zeroes, {&range, 1}));
    EXPECT_FALSE(open.actor->end_turn());
  });
  cache.set_tails({.dirty_tail = 20});
  const std::string file = file_of(cache);
  const std::string before = file_content(file);
  make_image(path("image"));
  const auto exported = media({"export", file, "--volume", volume_uuid, "--onto", path("image")});
  EXPECT_EQ(exported.exit.code, 0);
  expect_golden("export.txt", exported.output);
  auto expected = expected_sectors(21, 150);
  std::fill_n(expected.begin() + 160, 4, 0);
  EXPECT_EQ(sectors_of(path("image"), 200), expected);
  EXPECT_EQ(std::filesystem::file_size(path("image")), 1U << 30);
  expect_golden("export.json", media({"export", file, "--volume", volume_uuid, "--json"}).output);
  EXPECT_TRUE(file_content(file) == before) << "the cache stays as it is";
  make_image(path("all"));
  EXPECT_EQ(
      media({"export", file, "--volume", volume_uuid, "--all", "--onto", path("all")}).exit.code,
      0);
  EXPECT_EQ(sectors_of(path("all"), 160), [] {
    auto all = expected_sectors(1, 150);
    all.resize(160);
    return all;
  }());
}

TEST_F(MediaExport, BadPiecesAndWhatIsBehindDamageAreListedAndNotWritten) {
  WrittenCache cache;
  engine::test::flip_bit(cache.pmem(), cache.data(50));
  engine::test::flip_bit(cache.pmem(), cache.data(51) + engine::ByteCount{100});
  cache.rot(140);
  const std::string file = file_of(cache);
  make_image(path("image"));
  const auto exported = media({"export", file, "--volume", volume_uuid, "--onto", path("image")});
  EXPECT_EQ(exported.exit.code, 2);
  expect_golden("export_damaged.txt", exported.output);
  auto expected = expected_sectors(1, 139);
  expected[50] = expected[51] = 0xbb;
  EXPECT_EQ(sectors_of(path("image"), 200), expected);
  const auto json = media({"export", file, "--volume", volume_uuid, "--json"});
  EXPECT_EQ(json.exit.code, 2);
  expect_golden("export_damaged.json", json.output);
}

TEST_F(MediaExport, RefusesWhatCannotBeRight) {
  WrittenCache cache;
  const std::string file = file_of(cache);
  std::ofstream(path("small")) << "small";
  struct Row {
    std::vector<std::string> arguments;
    std::string reason;
  };
  for (const Row& row :
       {Row{{"--volume", "vol1"}, "not a UUID"},
        Row{{"--volume", uuid_of(9).text()}, "is attached to this cache"},
        Row{{"--volume", volume_uuid, "--onto", path("small")},
            "has 5 bytes, the volume 1073741824: is it the right one?"},
        Row{{"--volume", volume_uuid, "--onto", path("no/such")}, "cannot be opened"}}) {
    std::vector<std::string> arguments{"export", file};
    arguments.insert(arguments.end(), row.arguments.begin(), row.arguments.end());
    const auto refused = media(arguments);
    EXPECT_EQ(refused.exit.code, 3);
    EXPECT_THAT(refused.output, HasSubstr(row.reason));
  }
  EXPECT_EQ(file_content(path("small")), "small");
  const auto made = media({"export", file, "--volume", volume_uuid, "--onto", path("new")});
  EXPECT_EQ(made.exit.code, 0) << made.output;
  EXPECT_EQ(std::filesystem::file_size(path("new")), 1U << 30) << "a sparse patch";
  EXPECT_EQ(sectors_of(path("new"), 151)[150], 150);
}

}  // namespace
}  // namespace media::test
