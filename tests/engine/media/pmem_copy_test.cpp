#include "engine/media/pmem_copy.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "engine/foundation/random.h"

namespace engine {
namespace {

TEST(PmemCopy, EveryStartAndLengthAroundLinesIsExact) {
  std::vector<std::byte> source(400);
  SeededRandom random(1);
  random.fill(source);
  alignas(64) std::array<std::byte, 512> memory;
  for (std::size_t start = 0; start < 70; ++start) {
    for (std::size_t length = 0; length < 300; ++length) {
      memory.fill(std::byte{0xee});
      const auto from = std::span(source).subspan(start % 17, length);  // any source alignment
      copy_to_pmem(&memory[start], from);
      persist_fence();
      const auto begin = memory.begin() + static_cast<std::ptrdiff_t>(start);
      const auto end = begin + static_cast<std::ptrdiff_t>(length);
      const auto untouched = [](std::byte b) { return b == std::byte{0xee}; };
      ASSERT_TRUE(std::equal(begin, end, from.begin())) << start << " " << length;
      ASSERT_TRUE(std::all_of(memory.begin(), begin, untouched)) << start << " " << length;
      ASSERT_TRUE(std::all_of(end, memory.end(), untouched)) << start << " " << length;
    }
  }
}

TEST(PmemCopy, WritingBackChangesNothing) {
  alignas(64) std::array<std::byte, 256> memory;
  memory.fill(std::byte{7});
  write_back_lines(std::span(memory).subspan(1, 200));
  write_back_lines(std::span(memory).first(0));
  persist_fence();
  EXPECT_TRUE(
      std::all_of(memory.begin(), memory.end(), [](std::byte b) { return b == std::byte{7}; }));
}

}  // namespace
}  // namespace engine
