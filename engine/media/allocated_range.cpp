#include "engine/media/allocated_range.h"

#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <optional>

namespace engine {
namespace {

constexpr std::size_t extents_at_once = 32;
// Where what is written does not simply land where the extent is.
constexpr std::uint32_t elsewhere = FIEMAP_EXTENT_UNKNOWN | FIEMAP_EXTENT_ENCODED |
                                    FIEMAP_EXTENT_DATA_INLINE | FIEMAP_EXTENT_SHARED;

bool overwrites_in_place(int fd) {
  struct statfs file_system {};
  if (fstatfs(fd, &file_system) != 0) return false;
  return file_system.f_type == EXT4_SUPER_MAGIC || file_system.f_type == XFS_SUPER_MAGIC ||
         file_system.f_type == TMPFS_MAGIC;
}

// How far from `begin` there is space without a gap, at least up to `end` if that far; nullopt: the
// file system does not tell.
std::optional<std::uint64_t> mapped_to(int fd, std::uint64_t begin, std::uint64_t end) {
  alignas(fiemap) std::array<std::byte, sizeof(fiemap) + extents_at_once * sizeof(fiemap_extent)>
      memory{};
  fiemap request{};
  request.fm_start = begin;
  request.fm_length = end - begin;
  request.fm_extent_count = extents_at_once;
  std::memcpy(memory.data(), &request, sizeof(request));
  if (ioctl(fd, FS_IOC_FIEMAP, memory.data()) != 0) return std::nullopt;
  std::memcpy(&request, memory.data(), sizeof(request));
  for (std::uint32_t at = 0; at < request.fm_mapped_extents; ++at) {
    fiemap_extent extent{};
    std::memcpy(&extent, memory.data() + sizeof(request) + at * sizeof(extent), sizeof(extent));
    if (extent.fe_logical > begin || (extent.fe_flags & elsewhere) != 0) break;
    begin = extent.fe_logical + extent.fe_length;
  }
  return begin;
}

}  // namespace

bool is_allocated(int fd, MediaOffset offset, ByteCount length) {
  if (!overwrites_in_place(fd)) return false;
  const std::uint64_t end = offset.value + length.value;
  std::uint64_t begin = offset.value;
  while (begin < end) {
    const auto mapped = mapped_to(fd, begin, end);
    if (!mapped) {
      const off_t hole = lseek(fd, static_cast<off_t>(begin), SEEK_HOLE);
      return hole >= 0 && static_cast<std::uint64_t>(hole) >= end;
    }
    if (*mapped == begin) return false;
    begin = *mapped;
  }
  return true;
}

}  // namespace engine
