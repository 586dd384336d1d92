#include "engine/media/file_bytes.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <vector>

namespace engine {

std::optional<std::size_t> read_fully(int fd, MediaOffset offset, std::span<std::byte> bytes) {
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t count = pread(fd, bytes.data() + done, bytes.size() - done,
                                static_cast<off_t>(offset.value + done));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return std::nullopt;
    if (count == 0) break;
    done += static_cast<std::size_t>(count);
  }
  return done;
}

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

bool zero_fully(int fd, MediaOffset offset, ByteCount length) {
  int done = 0;
  do {
    done = fallocate(fd, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE,
                     static_cast<off_t>(offset.value), static_cast<off_t>(length.value));
  } while (done != 0 && errno == EINTR);
  if (done == 0) return true;
  if (errno != EOPNOTSUPP) return false;
  const std::vector<std::byte> zeros(
      static_cast<std::size_t>(std::min(length.value, std::uint64_t{1} << 20)));
  for (std::uint64_t at = 0; at < length.value; at += zeros.size()) {
    const auto count = std::min<std::uint64_t>(zeros.size(), length.value - at);
    const auto some = std::span(zeros).first(static_cast<std::size_t>(count));
    if (!write_fully(fd, offset + ByteCount{at}, some)) return false;
  }
  return true;
}

bool reaches(int fd, std::uint64_t end) {
  struct stat status {};
  return fstat(fd, &status) == 0 && static_cast<std::uint64_t>(status.st_size) >= end;
}

}  // namespace engine
