#include "target/config_file.h"

#include <gtest/gtest.h>

#include <fstream>
#include <string>

#include "target/applied_copy.h"
#include "tests/engine/test_directory.h"

namespace target {
namespace {

class BootConfigTest : public testing::Test {
 protected:
  void write(const std::string& text) { std::ofstream(path_) << text; }
  [[nodiscard]] const std::string& state() const { return state_; }

  const engine::TestDirectory directory_{"boot"};
  const std::string state_ = directory_.path();
  const std::string path_ = directory_.path() + "/forebay.yaml";
};

constexpr const char* good = "apiVersion: forebay/v1\nnode: store1\n";

TEST_F(BootConfigTest, AGoodFileIsServed) {
  write(good);
  const BootConfig boot = boot_config(path_, state());
  ASSERT_TRUE(boot.config.has_value());
  EXPECT_EQ(boot.text, good);
  EXPECT_EQ(boot.status.hash, content_hash(good));
  EXPECT_FALSE(boot.status.is_copy);
  EXPECT_EQ(boot.status.applied_by, "start");
}

TEST_F(BootConfigTest, OfABrokenFileTheLastAppliedIsServed) {
  write("node: [");
  EXPECT_FALSE(boot_config(path_, state()).config.has_value()) << "nothing was ever applied";
  const AppliedCopy copy{.text = good, .file = path_, .applied_ms = 86'400'000, .by = "uid 1000"};
  ASSERT_TRUE(write_applied_copy(state(), copy).has_value());
  const BootConfig boot = boot_config(path_, state());
  ASSERT_TRUE(boot.config.has_value());
  EXPECT_EQ(boot.config->node, "store1");
  EXPECT_TRUE(boot.status.is_copy);
  EXPECT_EQ(boot.status.applied_by, "uid 1000");
  EXPECT_EQ(boot.status.note.find("last applied copy of 1970-01-02 00:00 UTC, because " + path_),
            0U)
      << boot.status.note;
  EXPECT_FALSE(boot.file.outcome.messages.empty());
}

TEST_F(BootConfigTest, AChangeThatWasCutOffBeginsWithWhatRanBefore) {
  const std::string old = std::string(good) + "# old\n";
  write(good);
  const AppliedCopy copy{.text = old, .file = path_, .applied_ms = 77, .by = "x"};
  ASSERT_TRUE(write_applied_copy(state(), copy).has_value());
  EXPECT_EQ(boot_config(path_, state()).text, good) << "a file that was edited is served";
  ASSERT_TRUE(mark_change(state(), content_hash("another")).has_value());
  EXPECT_EQ(boot_config(path_, state()).text, good) << "it was the change to another file";
  ASSERT_TRUE(mark_change(state(), content_hash(good)).has_value());
  const BootConfig boot = boot_config(path_, state());
  EXPECT_EQ(boot.text, old);
  EXPECT_TRUE(boot.status.resumes);
  EXPECT_FALSE(boot.status.is_copy);
  EXPECT_EQ(boot.status.applied_ms, 77U);
  write("node: [");
  EXPECT_TRUE(boot_config(path_, state()).status.is_copy) << "there is nothing to go on to";
  write(good);
  ASSERT_TRUE(mark_change(state(), {}).has_value());
  EXPECT_EQ(boot_config(path_, state()).text, good) << "it has ended";
}

TEST_F(BootConfigTest, ACopyOfAnotherFileIsNot) {
  ASSERT_TRUE(write_applied_copy(state(), {.text = good, .file = "/other.yaml"}).has_value());
  EXPECT_FALSE(boot_config(path_, state()).config.has_value());
}

TEST_F(BootConfigTest, WhenItWasAppliedIsRememberedOverAStart) {
  write(good);
  ASSERT_TRUE(
      write_applied_copy(state(), {.text = good, .file = path_, .applied_ms = 77, .by = "x"})
          .has_value());
  EXPECT_EQ(boot_config(path_, state()).status.applied_ms, 77U);
}

TEST_F(BootConfigTest, ACopyOfWhichAnythingIsMissingIsNone) {
  ASSERT_TRUE(write_applied_copy(state(), {.text = good, .file = path_}).has_value());
  const std::string file = state() + "/applied.yaml";
  std::string whole;
  {
    std::ifstream in(file, std::ios::binary);
    whole.assign(std::istreambuf_iterator<char>(in), {});
  }
  ASSERT_TRUE(read_applied_copy(state()).has_value());
  for (std::size_t bytes = 0; bytes < whole.size(); ++bytes) {
    std::ofstream(file, std::ios::binary) << whole.substr(0, bytes);
    EXPECT_FALSE(read_applied_copy(state()).has_value()) << bytes;
  }
  std::string flipped = whole;
  flipped[3] ^= 1;
  std::ofstream(file, std::ios::binary) << flipped;
  EXPECT_FALSE(read_applied_copy(state()).has_value());
}

TEST_F(BootConfigTest, ADirectoryThatIsNotThereIsSaid) {
  const auto written = write_applied_copy(state() + "/none", {.text = good});
  ASSERT_FALSE(written.has_value());
  EXPECT_NE(written.error().find("cannot be written"), std::string::npos);
}

}  // namespace
}  // namespace target
