#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <vector>

#include "tests/bench/ceiling/copy.h"
#include "tests/bench/ceiling/echo.h"

namespace bench {
namespace {

TEST(Echo, ReportsARateForEveryShape) {
  for (const EchoShape shape : {read_shape(4096), write_shape(4096), read_shape(131072)}) {
    for (const std::uint32_t depth : {1u, 32u}) {
      std::string error;
      const auto figures = run_echo(
          {.shape = shape, .depth = depth, .seconds = 0.05, .warmup_seconds = 0.01}, error);
      ASSERT_TRUE(figures) << error;
      EXPECT_GT(figures->per_second, 0);
      EXPECT_EQ(figures->p50_us > 0, depth == 1);
    }
  }
}

TEST(Copy, MeasuresAndLeavesNoFileBehind) {
  const auto path = std::filesystem::temp_directory_path() /
                    ("forebay-ceiling-test-" + std::to_string(::getpid()));
  std::string error;
  const auto ceiling = CopyCeiling::open(path.string(), 1 << 20, error);
  ASSERT_NE(ceiling, nullptr) << error;
  EXPECT_FALSE(std::filesystem::exists(path));
  const std::vector<std::byte> source(3 * 4096, std::byte{7});
  for (const auto pattern :
       {CopyPattern::sequential, CopyPattern::sequential_with_crc, CopyPattern::random}) {
    EXPECT_GT(ceiling->copy({.pattern = pattern, .source = source, .blocks = 1000}), 0);
  }
  for (const unsigned part : {0u, 1u}) {
    EXPECT_GT(ceiling->copy({.source = source, .blocks = 1000, .part = part, .parts = 2}, 1), 0);
  }
}

TEST(Copy, APlaceThatCannotBeMappedIsAnErrorWithItsName) {
  std::string error;
  EXPECT_EQ(CopyCeiling::open("/no/such/folder/x", 1 << 20, error), nullptr);
  EXPECT_NE(error.find("/no/such/folder/x"), std::string::npos);
}

}  // namespace
}  // namespace bench
