#include "target/overrides.h"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <string>

#include "config/parse.h"
#include "tests/engine/test_directory.h"

namespace target {
namespace {

using Kind = Override::Kind;

std::vector<Override> some() {
  return {{.kind = Kind::mode,
           .subject = "db01",
           .value = "write-through",
           .by = "root",
           .since_ms = 1'796'000'000'000},
          {.kind = Kind::drain, .subject = "db01", .by = "uid 1000", .since_ms = 7}};
}

std::shared_ptr<const config::Config> file() {
  auto outcome = config::parse_text(R"(apiVersion: forebay/v1
node: store1
cache_devices:
  d: {path: /dev/dax0.0}
pools:
  p: {kind: file, directory: /srv/p}
volumes:
  db01: {pool: p, size: 1GiB, cache: {device: d, mode: write-around}}
  plain: {pool: p, size: 1GiB}
)",
                                    "f.yaml");
  EXPECT_TRUE(outcome.config.has_value());
  return std::make_shared<const config::Config>(std::move(*outcome.config));
}

class OverridesTest : public testing::Test {
 protected:
  [[nodiscard]] std::string path() const { return directory_.path() + "/overrides"; }
  [[nodiscard]] std::string on_disk() const {
    std::ifstream in(path(), std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  void write(const std::string& where, const std::string& text) const {
    std::ofstream(where, std::ios::binary) << text;
  }

  const engine::TestDirectory directory_{"overrides"};
};

TEST_F(OverridesTest, WhatIsKeptIsThereAtTheNextStart) {
  {
    Overrides overrides(directory_.path());
    EXPECT_EQ(overrides.damage(), "");
    EXPECT_TRUE(overrides.all().empty());
    for (const Override& one : some()) overrides.set(one);
    EXPECT_TRUE(overrides.keep().has_value());
  }
  Overrides overrides(directory_.path());
  EXPECT_EQ(overrides.damage(), "");
  const auto all = overrides.all();
  ASSERT_EQ(all.size(), 2U);
  EXPECT_EQ(to_text(all), to_text(some()));
  EXPECT_EQ(all[0].value, "write-through");
  EXPECT_EQ(all[1].by, "uid 1000");
  overrides.set({.kind = Kind::mode, .subject = "db01", .value = "read-only"});
  EXPECT_EQ(overrides.size(), 2U) << "in place of the one before";
  EXPECT_TRUE(overrides.erase(Kind::mode, "db01"));
  EXPECT_FALSE(overrides.erase(Kind::mode, "db01"));
  EXPECT_TRUE(overrides.keep().has_value());
  EXPECT_EQ(Overrides(directory_.path()).size(), 1U);
}

// Whatever a crash has left of the new file: the old one holds.
TEST_F(OverridesTest, ACrashInTheMiddleOfWritingLeavesThoseOfBefore) {
  {
    Overrides overrides(directory_.path());
    overrides.set(some()[0]);
    ASSERT_TRUE(overrides.keep().has_value());
  }
  const std::string fresh = to_text(some());
  for (std::size_t written = 0; written <= fresh.size(); ++written) {
    write(path() + ".new", fresh.substr(0, written));
    Overrides overrides(directory_.path());
    EXPECT_EQ(overrides.damage(), "");
    ASSERT_EQ(overrides.size(), 1U);
    EXPECT_EQ(overrides.all()[0].value, "write-through");
  }
  Overrides overrides(directory_.path());
  overrides.set(some()[1]);
  EXPECT_TRUE(overrides.keep().has_value()) << "what a crash has left is no obstacle";
  EXPECT_EQ(Overrides(directory_.path()).size(), 2U);
}

TEST_F(OverridesTest, ADamagedFileIsSaidAndIgnored) {
  const std::string whole = to_text(some());
  ASSERT_TRUE(parse_overrides(whole).has_value());
  for (std::size_t at = 0; at < whole.size(); ++at) {
    EXPECT_FALSE(parse_overrides(whole.substr(0, at)).has_value()) << "cut at " << at;
    std::string flipped = whole;
    flipped[at] = static_cast<char>(flipped[at] ^ 1);
    EXPECT_FALSE(parse_overrides(flipped).has_value()) << "flipped at " << at;
  }
  write(path(), whole.substr(0, whole.size() / 2));
  Overrides overrides(directory_.path());
  EXPECT_EQ(overrides.size(), 0U);
  EXPECT_NE(overrides.damage().find(path() + " is damaged and ignored"), std::string::npos)
      << overrides.damage();
  EXPECT_TRUE(overrides.keep().has_value());
  EXPECT_EQ(on_disk(), whole.substr(0, whole.size() / 2)) << "it stays until there is something";
  overrides.set(some()[0]);
  EXPECT_TRUE(overrides.keep().has_value());
  EXPECT_EQ(Overrides(directory_.path()).damage(), "");
}

TEST_F(OverridesTest, WithoutADirectoryTheyAreNotKeptAndThatIsSaid) {
  Overrides none{std::string()};
  EXPECT_TRUE(none.keep().has_value()) << "there is nothing to keep";
  none.set(some()[0]);
  const auto kept = none.keep();
  ASSERT_FALSE(kept.has_value());
  EXPECT_NE(kept.error().find("hold until the daemon ends"), std::string::npos) << kept.error();
  Overrides gone(directory_.path() + "/gone");
  gone.set(some()[0]);
  EXPECT_NE(gone.keep().error().find("/gone/overrides.new cannot be written: "), std::string::npos);
}

TEST_F(OverridesTest, WhatIsSaidOfAPathIsKeptAndReadAsSuch) {
  const Override path{.kind = Kind::access,
                      .subject = "right",
                      .value = "non-optimized",
                      .by = "root",
                      .since_ms = 1'796'000'000'000};
  const std::string whole = to_text({path});
  const auto read = parse_overrides(whole);
  ASSERT_TRUE(read.has_value());
  ASSERT_EQ(read->size(), 1U);
  EXPECT_EQ(sentence(read->at(0)),
            "path right is non-optimized, by root since 2026-11-30 00:53 UTC");
  EXPECT_EQ(access_states(*read).named(),
            (AccessStates::States{{"right", block::AccessState::non_optimized}}));
  EXPECT_TRUE(access_states(some()).named().empty());
  Override wrong = path;
  wrong.value = "gone";
  EXPECT_FALSE(parse_overrides(to_text({wrong})).has_value()) << "no such state";
}

TEST_F(OverridesTest, ANameCannotMakeALine) {
  std::vector<Override> all = some();
  all[0].by = "eve\nmode\tdb02\twrite-back\t1\troot\n";
  const auto read = parse_overrides(to_text(all));
  ASSERT_TRUE(read.has_value());
  EXPECT_EQ(read->size(), 2U);
  EXPECT_EQ((*read)[0].by, "eve?mode?db02?write-back?1?root?");
}

TEST_F(OverridesTest, TheyAreOverTheFileWhereItHasSuchACache) {
  const auto before = file();
  EXPECT_EQ(overridden(before, {}), before);
  EXPECT_EQ(overridden(before, {{.subject = "plain", .value = "read-only"},
                                {.subject = "gone", .value = "read-only"}}),
            before);
  const auto after = overridden(before, some());
  EXPECT_EQ(after->volumes.at("db01").cache->mode, config::VolumeCache::Mode::write_through);
  EXPECT_EQ(before->volumes.at("db01").cache->mode, config::VolumeCache::Mode::write_around);
  const auto all = with_file_values(*before, some());
  EXPECT_EQ(all[0].file_value, "write-around");
  EXPECT_EQ(sentence(all[0]),
            "mode of db01 is write-through (the file says write-around), by root since "
            "2026-11-30 00:53 UTC");
  EXPECT_EQ(sentence(all[1]), "db01 is being drained, by uid 1000 since 1970-01-01 00:00 UTC");
  EXPECT_EQ(file_value(*before, {.subject = "plain", .value = "read-only"}), "");
}

}  // namespace
}  // namespace target
