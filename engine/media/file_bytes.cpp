#include "engine/media/file_bytes.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

namespace engine {

bool write_fully(int fd, MediaOffset offset, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t count = pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset.value));
    if (count < 0 && errno == EINTR) continue;
    if (count == 0) errno = EIO;
    if (count <= 0) return false;
    bytes = bytes.subspan(static_cast<std::size_t>(count));
    offset = offset + ByteCount{static_cast<std::uint64_t>(count)};
  }
  return true;
}

bool reaches(int fd, std::uint64_t end) {
  struct stat status {};
  return fstat(fd, &status) == 0 && static_cast<std::uint64_t>(status.st_size) >= end;
}

}  // namespace engine
