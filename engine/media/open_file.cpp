// OpenFile: opening a backing file and finding out how it may be accessed.
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <memory>
#include <system_error>
#include <utility>

#include "engine/media/file_device.h"
#include "engine/media/physical_block.h"

namespace engine {
namespace {

constexpr std::uint32_t largest_alignment = 64U << 10;

std::string because(const char* what, int error) {
  return std::string(what) + ": " + std::generic_category().message(error);
}

// By trial, where the kernel does not tell: the smallest block that can be read; 0: none. An error
// of the disk says nothing about alignment, and is returned.
Result<std::uint32_t, std::errc> probe_alignment(int fd) {
  const std::unique_ptr<void, decltype(&std::free)> memory(
      std::aligned_alloc(largest_alignment, 2 * largest_alignment), &std::free);
  if (!memory) return std::errc::not_enough_memory;
  for (std::uint32_t alignment = 512; alignment <= largest_alignment; alignment *= 2) {
    // Memory aligned to no more than `alignment`, so that one number answers for both.
    std::byte* at = static_cast<std::byte*>(memory.get()) + alignment;
    ssize_t count = 0;
    do {
      count = pread(fd, at, alignment, 0);
    } while (count < 0 && errno == EINTR);
    if (count >= 0) return alignment;
    if (errno == EOPNOTSUPP) return std::uint32_t{0};
    if (errno != EINVAL) return std::errc{errno};
  }
  return std::uint32_t{0};
}

// False: the file cannot be read and written directly at all.
Result<bool, std::errc> find_alignment(int fd, FileGeometry& geometry) {
  struct statx status {};
  if (statx(fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &status) == 0 &&
      (status.stx_mask & STATX_DIOALIGN) != 0) {
    geometry.offset_alignment = status.stx_dio_offset_align;
    geometry.memory_alignment = status.stx_dio_mem_align;
    return status.stx_dio_offset_align != 0 && status.stx_dio_mem_align != 0 &&
           status.stx_dio_offset_align <= largest_alignment;
  }
  TRY(const std::uint32_t alignment, probe_alignment(fd));
  geometry.offset_alignment = alignment;
  geometry.memory_alignment = alignment;
  return alignment != 0;
}

// Extent-based files of these are never written through the page cache when asked directly; others
// (btrfs with checksums, network file systems) may do so behind our back.
bool writes_directly(const struct stat& status, const struct statfs& file_system) {
  return S_ISBLK(status.st_mode) || file_system.f_type == EXT4_SUPER_MAGIC ||
         file_system.f_type == XFS_SUPER_MAGIC;
}

// Of what is written directly: the disk's physical block, and no more than lies in one piece on it,
// which is one block of the file system.
std::uint32_t atomic_write_bytes(const struct stat& status, const struct statfs& file_system) {
  if (S_ISBLK(status.st_mode)) return physical_block_bytes(status.st_rdev);
  return std::min(physical_block_bytes(status.st_dev),
                  static_cast<std::uint32_t>(file_system.f_bsize));
}

}  // namespace

OpenFile::OpenFile(OpenFile&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      geometry_(other.geometry_),
      owned_(other.owned_),
      ranges_(std::move(other.ranges_)) {}

OpenFile::~OpenFile() {
  if (owned_ && fd_ >= 0) close(fd_);
}

Result<void, std::string> OpenFile::lock() const {
  if (!owned_) return boost::outcome_v2::success();
  int error = 0;
  if (ranges_.empty()) {
    error = flock(fd_, LOCK_EX | LOCK_NB) == 0 ? 0 : errno;
  } else {
    for (const FileRange& range : ranges_) {
      if (error == 0) error = lock_file_range(fd_, range);
    }
  }
  if (error == 0) return boost::outcome_v2::success();
  if (error != EWOULDBLOCK) return because("cannot be locked", error);
  return std::string(
      "an earlier daemon's I/O has not ended: its disk still holds requests of a process that is "
      "gone; waiting for them");
}

// Nobody gets a lease for writing while others have the file open. Who does not own the file may
// not ask.
bool OpenFile::is_open_elsewhere() const {
  if (fcntl(fd_, F_SETLEASE, F_WRLCK) == 0) {
    (void)fcntl(fd_, F_SETLEASE, F_UNLCK);
    return false;
  }
  return errno == EAGAIN;
}

bool OpenFile::replace_by(OpenFile other) {
  if (!owned_ || !other.owned_) return true;  // simulated: the test has replaced what is beneath
  if (dup3(other.fd_, fd_, O_CLOEXEC) < 0) return false;
  ranges_ = std::move(other.ranges_);
  return true;
}

Result<OpenFile, std::string> OpenFile::open(const std::string& path, ByteCount size) {
  constexpr int flags = O_RDWR | O_CLOEXEC | O_NOFOLLOW;
  OpenFile file(::open(path.c_str(), flags | O_DIRECT), FileGeometry{.direct = true}, true);
  if (file.fd_ < 0 && errno != EINVAL) return because("cannot be opened", errno);
  bool direct = false;
  if (file.fd_ >= 0) {
    const auto aligned = find_alignment(file.fd_, file.geometry_);
    if (!aligned) return because("cannot be read", static_cast<int>(aligned.error()));
    direct = aligned.value();
  }
  if (!direct) {
    OpenFile buffered(::open(path.c_str(), flags), FileGeometry{}, true);
    if (buffered.fd_ < 0) return because("cannot be opened", errno);
    std::swap(file.fd_, buffered.fd_);
    file.geometry_ = FileGeometry{};
  }

  struct stat status {};
  if (fstat(file.fd_, &status) != 0) return because("cannot be examined", errno);
  std::uint64_t length = static_cast<std::uint64_t>(status.st_size);
  if (S_ISBLK(status.st_mode)) {
    const off_t end = lseek(file.fd_, 0, SEEK_END);
    if (end < 0) return because("cannot be measured", errno);
    length = static_cast<std::uint64_t>(end);
  } else if (!S_ISREG(status.st_mode)) {
    return std::string("is neither a regular file nor a block device");
  }
  if (length < size.value) {
    return "holds only " + std::to_string(length) + " of " + std::to_string(size.value) +
           " bytes: it has been truncated or replaced";
  }
  // After a flush that failed the page cache may hold what the disk never got.
  if (!direct) (void)posix_fadvise(file.fd_, 0, 0, POSIX_FADV_DONTNEED);
  struct statfs file_system {};
  if (fstatfs(file.fd_, &file_system) == 0) {
    file.geometry_.never_buffered = direct && writes_directly(status, file_system);
    if (file.geometry_.never_buffered) {
      file.geometry_.atomic_write_bytes = atomic_write_bytes(status, file_system);
    }
    // Of a block device it is where its node lies, which says nothing of the disk.
    file.geometry_.survives_power_loss =
        S_ISBLK(status.st_mode) ||
        (file_system.f_type != TMPFS_MAGIC && file_system.f_type != RAMFS_MAGIC);
  }
  return file;
}

}  // namespace engine
