#include "appliance/media/patched_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <vector>

#include "engine/media/file_bytes.h"

namespace media {

using engine::success;

std::string PatchedFile::failed(const char* what) const {
  return path_ + " " + what + ": " + std::generic_category().message(errno);
}

engine::Result<PatchedFile, std::string> PatchedFile::open(const std::string& path,
                                                           engine::ByteCount size) {
  const bool is_new = ::access(path.c_str(), F_OK) != 0;
  PatchedFile file(
      path, engine::FileDescriptor(
                ::open(path.c_str(), O_RDWR | O_CLOEXEC | (is_new ? O_CREAT | O_EXCL : 0), 0600)));
  if (!file.file_) return file.failed("cannot be opened");
  const int fd = file.file_.get();
  if (is_new && ::ftruncate(fd, static_cast<off_t>(size.value)) != 0) {
    const std::string reason = file.failed("cannot be made");
    ::unlink(path.c_str());
    return reason;
  }
  const off_t end = ::lseek(fd, 0, SEEK_END);
  if (end < 0) return file.failed("cannot be measured");
  if (static_cast<std::uint64_t>(end) < size.value) {
    return path + " has " + std::to_string(end) + " bytes, the volume " +
           std::to_string(size.value) + ": is it the right one?";
  }
  return file;
}

PatchedFile::Done PatchedFile::write(engine::MediaOffset at, std::span<const std::byte> bytes) {
  if (!engine::write_fully(file_.get(), at, bytes)) return failed("cannot be written");
  return success();
}

PatchedFile::Done PatchedFile::write_zeros(engine::MediaOffset at, engine::ByteCount length) {
  const std::vector<std::byte> zeros(std::min<std::uint64_t>(length.value, 1U << 20));
  for (std::uint64_t done = 0; done < length.value; done += zeros.size()) {
    const auto count = std::min<std::uint64_t>(zeros.size(), length.value - done);
    TRY(write(at + engine::ByteCount{done}, std::span(zeros).first(count)));
  }
  return success();
}

PatchedFile::Done PatchedFile::finish() {
  if (::fsync(file_.get()) != 0) return failed("cannot be made durable");
  return success();
}

}  // namespace media
