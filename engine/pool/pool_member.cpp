#include "engine/pool/pool_member.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <utility>
#include <vector>

#include "engine/foundation/check.h"
#include "engine/media/file_bytes.h"
#include "engine/media/file_descriptor.h"
#include "engine/media/range_lock.h"
#include "engine/pool/disk_identity.h"

namespace engine {
namespace {

using boost::outcome_v2::success;

// Locked for whoever holds the member; no volume and no marker lies there.
constexpr MediaOffset held_at{0};
constexpr ByteCount held_length{4096};
constexpr std::uint64_t zero_granularity = 4096;

FileError errno_error() { return {errno}; }

// False: somebody else has a part of it.
FileResult<bool> lock_range(int fd, MediaOffset offset, ByteCount length) {
  const int error = lock_file_range(fd, {.offset = offset, .length = length});
  if (error != 0 && error != EWOULDBLOCK) return FileError{error};
  return error == 0;
}

// Through the page cache, durable by fdatasync. Nothing of it stays cached beside what volumes
// write directly: zeroing drops the range, and label areas are nobody else's.
class PosixPoolMember final : public PoolMember {
 public:
  PosixPoolMember(FileDescriptor file, MemberInfo info, bool is_block)
      : file_(std::move(file)), info_(std::move(info)), is_block_(is_block) {}

  FileResult<std::size_t> read(MediaOffset offset, std::span<std::byte> bytes) override;
  FileResult<void> write(MediaOffset offset, std::span<const std::byte> bytes) override;
  FileResult<void> zero(MediaOffset offset, ByteCount length) override;
  FileResult<void> sync() override;
  const MemberInfo& info() const override { return info_; }
  FileResult<HoldAnswer> hold(const PoolMember* predecessor) override;
  FileResult<bool> lock(MediaOffset offset, ByteCount length) override {
    return lock_range(file_.get(), offset, length);
  }
  FileResult<void> unlock(MediaOffset offset, ByteCount length) override {
    const int error = unlock_file_range(file_.get(), {.offset = offset, .length = length});
    if (error != 0) return FileError{error};
    return success();
  }

 private:
  [[nodiscard]] bool is_of_same_node(const PosixPoolMember& other) const;

  const FileDescriptor file_;
  const MemberInfo info_;
  const bool is_block_;
  FileDescriptor hold_;
};

FileResult<std::size_t> PosixPoolMember::read(MediaOffset offset, std::span<std::byte> bytes) {
  const auto done = read_fully(file_.get(), offset, bytes);
  if (!done) return errno_error();
  return *done;
}

FileResult<void> PosixPoolMember::write(MediaOffset offset, std::span<const std::byte> bytes) {
  if (!write_fully(file_.get(), offset, bytes)) return errno_error();
  return success();
}

FileResult<void> PosixPoolMember::zero(MediaOffset offset, ByteCount length) {
  CHECK(offset.value % zero_granularity == 0 && length.value % zero_granularity == 0);
  if (!zero_fully(file_.get(), offset, length)) return errno_error();
  return success();
}

FileResult<void> PosixPoolMember::sync() {
  if (fdatasync(file_.get()) != 0) return errno_error();
  return success();
}

bool PosixPoolMember::is_of_same_node(const PosixPoolMember& other) const {
  struct stat one {};
  struct stat two {};
  return fstat(file_.get(), &one) == 0 && fstat(other.file_.get(), &two) == 0 &&
         one.st_dev == two.st_dev && one.st_ino == two.st_ino;
}

FileResult<PoolMember::HoldAnswer> PosixPoolMember::hold(const PoolMember* predecessor) {
  const auto* earlier = dynamic_cast<const PosixPoolMember*>(predecessor);
  if (earlier != nullptr && earlier->hold_ && is_of_same_node(*earlier)) {
    // The same open file description: what it holds is let go of when both descriptors are closed.
    hold_ = FileDescriptor(fcntl(earlier->hold_.get(), F_DUPFD_CLOEXEC, 0));
    if (!hold_) return errno_error();
    return HoldAnswer{.held = true, .inherited = true};
  }
  // O_EXCL without O_CREAT claims a block device, and means nothing of a file.
  const int exclusive = is_block_ ? O_EXCL : 0;
  FileDescriptor file(::open(info_.device.c_str(), O_RDWR | O_CLOEXEC | O_NONBLOCK | exclusive));
  if (!file && errno == EBUSY) return HoldAnswer{.held = false};
  if (!file) return errno_error();
  TRY(const bool locked, lock_range(file.get(), held_at, held_length));
  if (locked) hold_ = std::move(file);
  return HoldAnswer{.held = locked};
}

std::string serial_of(dev_t device) {
  const SystemRoots roots;
  const auto disk = SysBlock::find(device, roots);
  return disk ? identity_of(*disk, roots).serial : std::string();
}

}  // namespace

FileResult<std::unique_ptr<PoolMember>> open_pool_member(const std::string& path,
                                                         const std::string& serial,
                                                         MemberAccess access) {
  const std::unique_ptr<char, decltype(&std::free)> device(::realpath(path.c_str(), nullptr),
                                                           &std::free);
  if (!device) return errno_error();
  // Without waiting: what stands there may be a pipe.
  const int mode = access == MemberAccess::read ? O_RDONLY : O_RDWR;
  FileDescriptor file(::open(device.get(), mode | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW));
  if (!file) return errno_error();
  struct stat status {};
  if (fstat(file.get(), &status) != 0) return errno_error();
  const bool is_block = S_ISBLK(status.st_mode);
  if (!is_block && !S_ISREG(status.st_mode)) return FileError{ENOTBLK};
  const off_t size = lseek(file.get(), 0, SEEK_END);
  if (size < 0) return errno_error();
  // After a flush that failed the page cache may hold what the disk never got.
  (void)posix_fadvise(file.get(), 0, 0, POSIX_FADV_DONTNEED);
  MemberInfo info{.path = path,
                  .device = device.get(),
                  .serial = is_block && serial.empty() ? serial_of(status.st_rdev) : serial,
                  .size = {static_cast<std::uint64_t>(size)}};
  std::unique_ptr<PoolMember> opened =
      std::make_unique<PosixPoolMember>(std::move(file), std::move(info), is_block);
  return opened;
}

}  // namespace engine
