#include "engine/pool/pool_directory.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <string_view>
#include <system_error>
#include <utility>

#include "engine/media/file_bytes.h"
#include "engine/media/file_descriptor.h"

namespace engine {
namespace {

using boost::outcome_v2::success;

FileError last_error() { return {errno}; }

FileResult<void> write_all(int fd, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(fd, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return last_error();
    if (count == 0) return FileError{EIO};
    bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
  return success();
}

class PosixPoolFile final : public PoolFile {
 public:
  explicit PosixPoolFile(FileDescriptor file) : file_(std::move(file)) {}

  FileResult<std::size_t> read(MediaOffset offset, std::span<std::byte> bytes) override;
  FileResult<void> write(MediaOffset offset, std::span<const std::byte> bytes) override;
  FileResult<void> zero(MediaOffset offset, ByteCount length) override;
  FileResult<void> sync() override;

 private:
  const FileDescriptor file_;
};

FileResult<std::size_t> PosixPoolFile::read(MediaOffset offset, std::span<std::byte> bytes) {
  const auto done = read_fully(file_.get(), offset, bytes);
  if (!done) return last_error();
  return *done;
}

FileResult<void> PosixPoolFile::write(MediaOffset offset, std::span<const std::byte> bytes) {
  if (!write_fully(file_.get(), offset, bytes)) return last_error();
  return success();
}

FileResult<void> PosixPoolFile::zero(MediaOffset offset, ByteCount length) {
  if (!zero_fully(file_.get(), offset, length)) return last_error();
  return success();
}

FileResult<void> PosixPoolFile::sync() {
  if (fdatasync(file_.get()) != 0) return last_error();
  return success();
}

class PosixPoolDirectory final : public PoolDirectory {
 public:
  PosixPoolDirectory(std::string path, FileDescriptor directory)
      : path_(std::move(path)), directory_(std::move(directory)) {}

  const std::string& path() const override { return path_; }
  FileResult<std::vector<std::string>> list() override;
  FileResult<std::vector<std::byte>> read(const std::string& name, std::size_t limit) override;
  FileResult<std::unique_ptr<PoolFile>> open(const std::string& name) override;
  FileResult<void> write(const std::string& name, std::span<const std::byte> bytes) override;
  FileResult<void> allocate(const std::string& name, ByteCount size,
                            Provisioning provisioning) override;
  FileResult<void> extend(const std::string& name, ByteCount from, ByteCount size,
                          Provisioning provisioning) override;
  FileResult<std::optional<ByteCount>> size_of(const std::string& name) override;
  FileResult<void> rename(const std::string& from, const std::string& to, bool replace) override;
  FileResult<void> remove(const std::string& name) override;
  FileResult<void> sync() override;
  FileResult<void> sync_allocated() override;
  FileResult<ByteCount> allocated(const std::string& name) override;
  FileResult<LockAnswer> lock(const std::string& name, const PoolDirectory* predecessor) override;
  FileResult<Space> space() override;

 private:
  // Without waiting: what stands there may be a pipe, or leased to somebody.
  [[nodiscard]] FileDescriptor open_file(const std::string& name, int flags) const {
    constexpr int always = O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
    return FileDescriptor(openat(directory_.get(), name.c_str(), flags | always, 0600));
  }
  // True: `file` is the lock file that `predecessor` has locked, and its lock is ours as well now.
  [[nodiscard]] bool inherit_lock(int file, const PoolDirectory* predecessor);

  const std::string path_;
  const FileDescriptor directory_;
  FileDescriptor lock_;
};

FileResult<std::vector<std::string>> PosixPoolDirectory::list() {
  // A descriptor of its own: reading a directory moves its position.
  const int fd = openat(directory_.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return last_error();
  DIR* stream = fdopendir(fd);
  if (stream == nullptr) {
    const FileError error = last_error();
    close(fd);
    return error;
  }
  std::vector<std::string> names;
  errno = 0;
  while (const dirent* entry = readdir(stream)) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
  }
  const FileError error = last_error();
  closedir(stream);
  if (error.code != 0) return error;
  return names;
}

FileResult<std::vector<std::byte>> PosixPoolDirectory::read(const std::string& name,
                                                            std::size_t limit) {
  const FileDescriptor file = open_file(name, O_RDONLY);
  if (!file) return last_error();
  struct stat status {};
  if (fstat(file.get(), &status) != 0) return last_error();
  if (!S_ISREG(status.st_mode)) return FileError{EINVAL};
  std::vector<std::byte> bytes(
      std::min<std::size_t>(limit, static_cast<std::size_t>(status.st_size)));
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t count = ::read(file.get(), bytes.data() + done, bytes.size() - done);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return last_error();
    if (count == 0) break;
    done += static_cast<std::size_t>(count);
  }
  bytes.resize(done);
  return bytes;
}

FileResult<std::unique_ptr<PoolFile>> PosixPoolDirectory::open(const std::string& name) {
  FileDescriptor file = open_file(name, O_RDWR);
  if (!file) return last_error();
  struct stat status {};
  if (fstat(file.get(), &status) != 0) return last_error();
  if (!S_ISREG(status.st_mode)) return FileError{EINVAL};
  std::unique_ptr<PoolFile> opened = std::make_unique<PosixPoolFile>(std::move(file));
  return opened;
}

FileResult<void> PosixPoolDirectory::write(const std::string& name,
                                           std::span<const std::byte> bytes) {
  const FileDescriptor file = open_file(name, O_WRONLY | O_CREAT | O_TRUNC);
  if (!file) return last_error();
  TRY(write_all(file.get(), bytes));
  if (fsync(file.get()) != 0) return last_error();
  return success();
}

FileResult<void> PosixPoolDirectory::allocate(const std::string& name, ByteCount size,
                                              Provisioning provisioning) {
  const FileDescriptor file = open_file(name, O_RDWR | O_CREAT | O_EXCL);
  if (!file) return last_error();
  const auto length = static_cast<off_t>(size.value);
  // What a thin image is to give back later is tried now.
  const bool made =
      provisioning == Provisioning::thick
          ? fallocate(file.get(), 0, 0, length) == 0
          : ftruncate(file.get(), length) == 0 &&
                fallocate(file.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, length) == 0;
  if (!made) {
    const FileError error = last_error();
    (void)unlinkat(directory_.get(), name.c_str(), 0);
    return error;
  }
  return success();
}

FileResult<void> PosixPoolDirectory::extend(const std::string& name, ByteCount from, ByteCount size,
                                            Provisioning provisioning) {
  const FileDescriptor file = open_file(name, O_RDWR);
  if (!file) return last_error();
  struct stat before {};
  if (fstat(file.get(), &before) != 0) return last_error();
  if (!S_ISREG(before.st_mode)) return FileError{EINVAL};
  const auto begin = static_cast<off_t>(from.value);
  const auto length = static_cast<off_t>((size - from).value);
  // An image that is longer than the table says may hold anything behind its end.
  const bool cleared =
      before.st_size <= begin || fallocate(file.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                                           begin, before.st_size - begin) == 0;
  const auto stretch = [&] {
    if (provisioning == Provisioning::thick) return fallocate(file.get(), 0, begin, length) == 0;
    return before.st_size >= begin + length || ftruncate(file.get(), begin + length) == 0;
  };
  if (!cleared || !stretch() || fsync(file.get()) != 0) {
    const FileError error = last_error();
    (void)!ftruncate(file.get(), before.st_size);
    return error;
  }
  return success();
}

FileResult<std::optional<ByteCount>> PosixPoolDirectory::size_of(const std::string& name) {
  struct stat status {};
  if (fstatat(directory_.get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
    if (errno == ENOENT) return std::optional<ByteCount>();
    return last_error();
  }
  if (!S_ISREG(status.st_mode)) return FileError{EINVAL};
  return std::optional(ByteCount{static_cast<std::uint64_t>(status.st_size)});
}

FileResult<void> PosixPoolDirectory::rename(const std::string& from, const std::string& to,
                                            bool replace) {
  if (renameat2(directory_.get(), from.c_str(), directory_.get(), to.c_str(),
                replace ? 0 : RENAME_NOREPLACE) == 0) {
    return success();
  }
  if (replace || errno != EINVAL) return last_error();
  // No RENAME_NOREPLACE on this file system. The pool is locked: nobody creates `to` in between.
  TRY(auto existing, size_of(to));
  if (existing) return FileError{EEXIST};
  return rename(from, to, true);
}

FileResult<void> PosixPoolDirectory::remove(const std::string& name) {
  if (unlinkat(directory_.get(), name.c_str(), 0) != 0 && errno != ENOENT) return last_error();
  return success();
}

FileResult<void> PosixPoolDirectory::sync() {
  if (fsync(directory_.get()) != 0) return last_error();
  return success();
}

FileResult<void> PosixPoolDirectory::sync_allocated() {
  // One commit for a thousand files, where as many fsyncs would take as many flushes of the disk.
  if (syncfs(directory_.get()) != 0) return last_error();
  return success();
}

FileResult<ByteCount> PosixPoolDirectory::allocated(const std::string& name) {
  struct stat status {};
  if (fstatat(directory_.get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
    if (errno == ENOENT) return ByteCount{};
    return last_error();
  }
  return ByteCount{static_cast<std::uint64_t>(status.st_blocks) * 512};
}

bool PosixPoolDirectory::inherit_lock(int file, const PoolDirectory* predecessor) {
  const auto* earlier = dynamic_cast<const PosixPoolDirectory*>(predecessor);
  struct stat found {};
  struct stat held {};
  if (earlier == nullptr || !earlier->lock_ || fstat(file, &found) != 0 ||
      fstat(earlier->lock_.get(), &held) != 0 || found.st_dev != held.st_dev ||
      found.st_ino != held.st_ino) {
    return false;
  }
  // The same open file description: the lock is gone when both descriptors are.
  lock_ = FileDescriptor(fcntl(earlier->lock_.get(), F_DUPFD_CLOEXEC, 0));
  return static_cast<bool>(lock_);
}

FileResult<PoolDirectory::LockAnswer> PosixPoolDirectory::lock(const std::string& name,
                                                               const PoolDirectory* predecessor) {
  FileDescriptor file = open_file(name, O_RDWR | O_CREAT);
  if (!file) return last_error();
  char text[16] = {};
  if (flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return last_error();
    if (inherit_lock(file.get(), predecessor)) return LockAnswer{.locked = true, .inherited = true};
    pid_t holder = 0;
    const ssize_t length = pread(file.get(), text, sizeof(text) - 1, 0);
    if (length > 0) std::from_chars(text, text + length, holder);
    return LockAnswer{.locked = false, .holder = holder};
  }
  // The lock is what counts; the number is only for the message of whoever is refused, and a full
  // file system may have no room for it. Written before the rest is cut off: an old block is there.
  const int length = std::snprintf(text, sizeof(text), "%d\n", static_cast<int>(getpid()));
  if (pwrite(file.get(), text, static_cast<std::size_t>(length), 0) == length) {
    (void)!ftruncate(file.get(), length);
  }
  lock_ = std::move(file);
  return LockAnswer{.locked = true};
}

FileResult<PoolDirectory::Space> PosixPoolDirectory::space() {
  struct statvfs status {};
  if (fstatvfs(directory_.get(), &status) != 0) return last_error();
  // As df counts: what a file system keeps for root is neither used nor there to be used.
  const std::uint64_t kept = status.f_bfree - status.f_bavail;
  return Space{.size = {(status.f_blocks - kept) * status.f_frsize},
               .free = {status.f_bavail * status.f_frsize}};
}

}  // namespace

std::string FileError::text() const { return std::generic_category().message(code); }

FileResult<std::unique_ptr<PoolDirectory>> open_pool_directory(const std::string& path) {
  FileDescriptor directory(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory) return last_error();
  std::unique_ptr<PoolDirectory> opened =
      std::make_unique<PosixPoolDirectory>(path, std::move(directory));
  return opened;
}

}  // namespace engine
