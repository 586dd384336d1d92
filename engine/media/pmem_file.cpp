#include "engine/media/pmem_file.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <optional>
#include <sstream>
#include <string_view>
#include <system_error>

#include "engine/media/pmem_region.h"

namespace engine {
namespace {

using boost::outcome_v2::success;
using Error = PmemError;

// The process that holds the lock, as the kernel lists it; 0 if it cannot be told (another
// container's, or a file system that hides its device number).
pid_t lock_holder(const struct stat& status) {
  std::array<char, 64> wanted{};
  std::snprintf(wanted.data(), wanted.size(), "%02x:%02x:%llu", major(status.st_dev),
                minor(status.st_dev), static_cast<unsigned long long>(status.st_ino));
  std::ifstream locks("/proc/locks");
  for (std::string line; std::getline(locks, line);) {
    // "1: FLOCK  ADVISORY  WRITE 1234 fe:00:5678 0 EOF"
    std::istringstream words(line);
    std::string number, kind, advice, mode, file;
    pid_t holder = 0;
    if (!(words >> number >> kind >> advice >> mode >> holder >> file)) continue;
    if (kind == "FLOCK" && file == wanted.data()) return std::max(holder, 0);
  }
  return 0;
}

Result<void, PmemOpenError> take_lock(const std::string& path, int fd, const struct stat& status,
                                      PmemAccess access) {
  if (access == PmemAccess::look) return success();
  const int kind = access == PmemAccess::read_only ? LOCK_SH : LOCK_EX;
  if (flock(fd, kind | LOCK_NB) == 0) return success();
  if (errno != EWOULDBLOCK) return pmem_system_error(path, "cannot be locked", errno);
  const pid_t holder = lock_holder(status);
  return PmemOpenError{Error::in_use, path + " is in use by " +
                                          (holder != 0 ? "process " + std::to_string(holder)
                                                       : std::string("another process")) +
                                          "; only one may have it open"};
}

// Whether a character device is devdax: its class in sysfs is "dax".
bool is_devdax(const struct stat& status) {
  const std::string link = "/sys/dev/char/" + std::to_string(major(status.st_rdev)) + ":" +
                           std::to_string(minor(status.st_rdev)) + "/subsystem";
  const std::unique_ptr<char, decltype(&std::free)> target(realpath(link.c_str(), nullptr),
                                                           &std::free);
  return target && std::string_view(target.get()).ends_with("/dax");
}

// Whether loads and stores of this file reach persistent memory itself: the kernel allows MAP_SYNC
// nowhere else.
bool is_dax_file(int fd) {
  void* const trial =
      mmap(nullptr, PmemRegion::page_bytes, PROT_READ, MAP_SHARED_VALIDATE | MAP_SYNC, fd, 0);
  if (trial == MAP_FAILED) return false;
  munmap(trial, PmemRegion::page_bytes);
  return true;
}

Result<void, PmemOpenError> check_written(const std::string& path, int fd,
                                          const struct stat& status) {
  const off_t hole = lseek(fd, 0, SEEK_HOLE);
  const bool all_data = hole < 0 || hole >= status.st_size;  // < 0: not known here
  if (all_data && status.st_blocks * 512 >= status.st_size) return success();
  const std::string place = all_data ? "" : " (the first at byte " + std::to_string(hole) + ")";
  return PmemOpenError{
      Error::sparse, path + " has blocks that were never written" + place +
                         "; a cache must have all its space beforehand: write every byte of it "
                         "once (dd if=/dev/zero conv=notrunc,fsync) on a file system that neither "
                         "compresses nor leaves out zeros"};
}

Result<PmemMedium, PmemOpenError> medium_of(const std::string& path, int fd,
                                            const struct stat& status) {
  if (S_ISCHR(status.st_mode) && is_devdax(status)) return PmemMedium::devdax;
  if (S_ISBLK(status.st_mode)) {
    return PmemOpenError{Error::not_supported,
                         path +
                             " is a block device; give a file on it (mounted with -o dax if it "
                             "is persistent memory), or make the namespace devdax"};
  }
  if (!S_ISREG(status.st_mode)) {
    return PmemOpenError{Error::not_supported,
                         path + " is neither a regular file nor a devdax device"};
  }
  struct statfs file_system {};
  if (fstatfs(fd, &file_system) != 0) {
    return pmem_system_error(path, "cannot be examined", errno);
  }
  if (file_system.f_type == TMPFS_MAGIC || file_system.f_type == RAMFS_MAGIC) {
    return PmemMedium::tmpfs;
  }
  return is_dax_file(fd) ? PmemMedium::fsdax_file : PmemMedium::file;
}

}  // namespace

PmemOpenError pmem_system_error(const std::string& path, const char* what, int error) {
  const std::string sentence = path + " " + what + ": " + std::generic_category().message(error);
  switch (error) {
    case ENOENT:
    case ENOTDIR:
    case ENXIO:
      return {Error::not_found, sentence + "; is the file system mounted?"};
    case EACCES:
    case EPERM:
    case EROFS:
      return {Error::no_permission, sentence};
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
      return {Error::no_space, sentence};
    case EEXIST:
      return {Error::already_there, sentence + "; nothing is written over"};
    case EISDIR:
      return {Error::not_supported, sentence};
    default:
      return {Error::io, sentence};
  }
}

PmemOpenError too_small(const std::string& path, ByteCount size, ByteCount at_least) {
  return {Error::too_small, path + " has " + std::to_string(size.value) + " bytes; needed are " +
                                std::to_string(at_least.value)};
}

Result<PmemFile, PmemOpenError> open_pmem_file(const std::string& path, ByteCount at_least,
                                               PmemAccess access) {
  const int mode = access == PmemAccess::write ? O_RDWR : O_RDONLY;
  PmemFile file;
  file.descriptor = FileDescriptor(open(path.c_str(), mode | O_CLOEXEC));
  if (!file.descriptor) return pmem_system_error(path, "cannot be opened", errno);
  const int fd = file.descriptor.get();
  struct stat status {};
  if (fstat(fd, &status) != 0) return pmem_system_error(path, "cannot be examined", errno);
  TRY(file.medium, medium_of(path, fd, status));
  TRY(take_lock(path, fd, status, access));
  if (file.medium == PmemMedium::devdax) return file;

  const auto length = static_cast<std::uint64_t>(status.st_size);
  file.size = {length / PmemRegion::page_bytes * PmemRegion::page_bytes};
  const ByteCount needed{std::max(at_least.value, PmemRegion::page_bytes)};
  if (file.size < needed) return too_small(path, {length}, needed);
  if (access != PmemAccess::read_only) {
    TRY(check_written(path, fd, status));
  }
  return file;
}

}  // namespace engine
