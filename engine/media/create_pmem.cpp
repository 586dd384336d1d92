#include <fcntl.h>
#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <memory>
#include <utility>

#include "engine/foundation/check.h"
#include "engine/media/file_bytes.h"
#include "engine/media/mapped_pmem.h"
#include "engine/media/open_pmem.h"
#include "engine/media/pmem_file.h"

namespace engine {
namespace {

using boost::outcome_v2::success;

constexpr std::uint64_t piece_bytes = 1U << 20;

// False with errno.
bool write_zeros(int fd, ByteCount from, ByteCount size) {
  const std::vector<std::byte> zeros(std::min(size.value - from.value, piece_bytes));
  for (std::uint64_t at = from.value; at < size.value; at += piece_bytes) {
    const std::uint64_t count = std::min(piece_bytes, size.value - at);
    if (!write_fully(fd, {at}, std::span(zeros).first(count))) return false;
  }
  return true;
}

// False with errno.
bool sync_directory_of(const std::string& path) {
  const auto slash = path.rfind('/');
  const std::string directory = slash == std::string::npos ? "."
                                : slash == 0               ? "/"
                                                           : path.substr(0, slash);
  const FileDescriptor opened(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  return opened && fsync(opened.get()) == 0;
}

}  // namespace

Result<void, PmemOpenError> create_pmem_file(const std::string& path, ByteCount size) {
  if (size.value < PmemRegion::page_bytes) return too_small(path, size, {PmemRegion::page_bytes});
  if (size.value % PmemRegion::page_bytes != 0) {
    return PmemOpenError{PmemError::not_supported,
                         path + ": its size must be a multiple of 4096 bytes"};
  }
  const FileDescriptor file(open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!file) return pmem_system_error(path, "cannot be made", errno);
  const auto failed = [&path](const char* what) {
    const int error = errno;
    unlink(path.c_str());
    return pmem_system_error(path, what, error);
  };
  // First all space at once: contiguous where possible, and lack of it is known early. A file
  // system that cannot do this allocates while it is written.
  const int allocated = posix_fallocate(file.get(), 0, static_cast<off_t>(size.value));
  if (allocated != 0 && allocated != EOPNOTSUPP && allocated != EINVAL) {
    errno = allocated;
    return failed("cannot be allocated");
  }
  if (!write_zeros(file.get(), {0}, size)) return failed("cannot be written");
  if (fsync(file.get()) != 0) return failed("cannot be made durable");
  if (!sync_directory_of(path)) return failed("cannot be made durable in its directory");
  return success();
}

Result<void, PmemOpenError> extend_pmem_file(const std::string& path, ByteCount size) {
  if (size.value % PmemRegion::page_bytes != 0) {
    return PmemOpenError{PmemError::not_supported,
                         path + ": its size must be a multiple of 4096 bytes"};
  }
  TRY(const auto file, open_pmem_file(path, {}));
  if (file.medium == PmemMedium::devdax) {
    return PmemOpenError{PmemError::not_supported,
                         path + " is a device; make its namespace larger instead"};
  }
  if (file.size >= size) {
    return PmemOpenError{PmemError::already_there, path + " has " +
                                                       std::to_string(file.size.value) +
                                                       " bytes already; nothing is made smaller"};
  }
  const int fd = file.descriptor.get();
  // Space without length: the file becomes longer only by what is written, so that no crash leaves
  // an unwritten block inside of it.
  if (fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, static_cast<off_t>(size.value)) != 0 &&
      errno != EOPNOTSUPP) {
    return pmem_system_error(path, "cannot be allocated", errno);
  }
  // From the last whole page on: what lies behind it was never a part of the region.
  if (!write_zeros(fd, file.size, size)) return pmem_system_error(path, "cannot be written", errno);
  if (fsync(fd) != 0) return pmem_system_error(path, "cannot be made durable", errno);
  return success();
}

Result<std::unique_ptr<PmemRegion>, PmemOpenError> make_anonymous_pmem(
    ByteCount size, PmemGranularity granularity) {
  CHECK(granularity != PmemGranularity::page);
  struct Anonymous {
    void* memory = MAP_FAILED;
    std::size_t length = 0;
    ~Anonymous() {
      if (memory != MAP_FAILED) munmap(memory, length);
    }
  };
  auto anonymous = std::make_unique<Anonymous>();
  anonymous->length = size.value;
  anonymous->memory = mmap(nullptr, size.value, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
  if (anonymous->memory == MAP_FAILED) {
    return pmem_system_error("memory of " + std::to_string(size.value) + " bytes", "cannot be had",
                             errno);
  }
  auto* const memory = static_cast<std::byte*>(anonymous->memory);
  PmemMapping mapping{
      .file = FileDescriptor(),
      .memory = memory,
      .size = size,
      .release = {anonymous.release(), [](void* held) { delete static_cast<Anonymous*>(held); }},
      .note = ""};
  const PmemGuarantee guarantee{
      .granularity = granularity, .medium = PmemMedium::anonymous, .emulated = true};
  return std::unique_ptr<PmemRegion>(std::make_unique<MappedPmem>(std::move(mapping), guarantee));
}

}  // namespace engine
