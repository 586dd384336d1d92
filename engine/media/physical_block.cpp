#include "engine/media/physical_block.h"

#include <sys/sysmacros.h>

#include <bit>
#include <fstream>

namespace engine {
namespace {

// False: no such file, or no number in it.
bool read_number(const std::string& path, long& number) {
  std::ifstream file(path);
  return static_cast<bool>(file >> number);
}

}  // namespace

std::uint32_t physical_block_bytes(dev_t device, const std::string& sysfs) {
  const std::string entry =
      sysfs + "/" + std::to_string(major(device)) + ":" + std::to_string(minor(device));
  constexpr long largest = 1L << 20;
  long bytes = 0;
  long misalignment = 0;
  // A partition's entry lies in that of its disk, which has the queue.
  if (!read_number(entry + "/queue/physical_block_size", bytes) &&
      !read_number(entry + "/../queue/physical_block_size", bytes)) {
    return 0;
  }
  if (!read_number(entry + "/alignment_offset", misalignment) || misalignment != 0) return 0;
  if (bytes <= 0 || bytes > largest) return 0;
  const auto block = static_cast<std::uint32_t>(bytes);
  return std::has_single_bit(block) ? block : 0;
}

}  // namespace engine
