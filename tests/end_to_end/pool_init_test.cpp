// `forebayctl pool init` of disks, for which files stand here: what is on one of them is destroyed
// only when it is named, and all of them are looked at before anything is written.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/end_to_end/harness/process.h"
#include "tests/end_to_end/harness/workplace.h"

namespace end_to_end {
namespace {

constexpr const char* file_system = "77a1c0de-1111-4222-8333-444455556666";

class PoolInit : public testing::Test {
 protected:
  std::string disk(const std::string& name) {
    const std::string path = workplace.path(name);
    write_file(path, "");
    std::filesystem::resize_file(path, 256U << 20);
    return path;
  }
  void put_file_system(const std::string& path) {
    const Outcome made = run(
        {.arguments = {"/sbin/mkfs.ext4", "-q", "-F", "-L", "backup", "-U", file_system, path}});
    ASSERT_EQ(made.exit.code, 0) << made.output;
  }
  Outcome init(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {FOREBAYCTL, "pool", "init"});
    return run({.arguments = std::move(arguments)});
  }
  static std::string begin_of(const std::string& path) {
    std::string begin(8, '\0');
    std::ifstream(path, std::ios::binary).read(begin.data(), 8);
    return begin;
  }
  // The UUID that a pool has got.
  static std::string uuid_in(const std::string& output) {
    const auto at = output.find("the pool ");
    return at == std::string::npos ? "" : output.substr(at + 9, 36);
  }

  Workplace workplace;
};

TEST_F(PoolInit, BlankDisksBecomeAPoolAndThenAreNobodyElses) {
  const std::string a = disk("a");
  const std::string b = disk("b");
  const Outcome made = init({"--layout", "stripe", "--chunk-size", "64KiB", a, b});
  ASSERT_EQ(made.exit.code, 0) << made.output;
  EXPECT_EQ(made.output,
            a + ", " + b + " are now the pool " + uuid_in(made.output) + " (stripe)\n");
  EXPECT_EQ(begin_of(a), "FBYMEMB\n");
  EXPECT_EQ(begin_of(b), "FBYMEMB\n");
  const Outcome again = init({"--layout", "single", b});
  EXPECT_EQ(again.exit.code, 1);
  EXPECT_NE(again.output.find(uuid_in(made.output)), std::string::npos) << again.output;
  // Not by another's name.
  EXPECT_EQ(init({"--layout", "single", b, "--overwrite", file_system}).exit.code, 1);
  const Outcome taken = init({"--layout", "single", "--overwrite", uuid_in(made.output), b});
  EXPECT_EQ(taken.exit.code, 0) << taken.output;
}

TEST_F(PoolInit, WhatIsOnADiskIsDestroyedOnlyByItsUuidAndNothingIsWrittenBefore) {
  const std::string a = disk("a");
  const std::string b = disk("b");
  put_file_system(b);
  const std::string before = begin_of(a);
  const Outcome refused = init({"--layout", "linear", a, b, workplace.path("none")});
  EXPECT_EQ(refused.exit.code, 1);
  EXPECT_NE(refused.output.find(b + " holds an ext4 file system \"backup\" (UUID " + file_system +
                                "); refused. If it may be destroyed, add --overwrite " +
                                file_system + "\n"),
            std::string::npos)
      << refused.output;
  EXPECT_NE(refused.output.find(workplace.path("none")), std::string::npos)
      << "of all of them at once: " << refused.output;
  EXPECT_EQ(init({"--layout", "linear", a, b, "--overwrite", "ext4"}).exit.code, 1);
  EXPECT_EQ(init({"--layout", "linear", a, b, workplace.path("none"), "--overwrite", file_system})
                .exit.code,
            1);
  EXPECT_EQ(begin_of(a), before);
  const Outcome still = init({"--layout", "linear", a, b});
  EXPECT_NE(still.output.find(file_system), std::string::npos) << "nothing was wiped";
  const Outcome made = init({"--layout", "linear", a, b, "--overwrite", file_system});
  EXPECT_EQ(made.exit.code, 0) << made.output;
}

TEST_F(PoolInit, WhatNobodyRecognisesIsNotOverwritten) {
  const std::string a = disk("a");
  std::fstream(a, std::ios::in | std::ios::out | std::ios::binary).seekp(70'000) << "letters";
  const Outcome refused = init({"--layout", "single", a});
  EXPECT_EQ(refused.exit.code, 1);
  EXPECT_NE(refused.output.find("not blank"), std::string::npos) << refused.output;
}

TEST_F(PoolInit, WordsThatMakeNoPoolAreRefused) {
  const std::string a = disk("a");
  const std::string b = disk("b");
  for (const std::vector<std::string>& words :
       std::vector<std::vector<std::string>>{{a},
                                             {a, b},
                                             {"--layout", "raid5", a, b},
                                             {"--layout", "stripe", a},
                                             {"--layout", "single", a, b},
                                             {"--layout", "linear", a, a},
                                             {"--layout", "linear", "--chunk-size", "64KiB", a, b},
                                             {"--layout", "stripe", "--chunk-size", "100KiB", a, b},
                                             {"--layout", "stripe", "--chunk-size", "64", a, b},
                                             {"--layout", "single", "/dev/null"},
                                             {"--layout", "single", workplace.directory()},
                                             {"--overwrite", file_system, workplace.directory()}}) {
    const Outcome refused = init(words);
    EXPECT_EQ(refused.exit.code, 1) << refused.output;
    EXPECT_EQ(refused.output.find("forebayctl: "), 0U) << refused.output;
  }
  EXPECT_EQ(begin_of(a), std::string(8, '\0'));
  EXPECT_EQ(begin_of(b), std::string(8, '\0'));
}

}  // namespace
}  // namespace end_to_end
