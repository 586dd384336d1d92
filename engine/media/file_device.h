// FileDevice: a raw file as a backing, by O_DIRECT through the lane.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/foundation/result.h"
#include "engine/media/backing_device.h"
#include "engine/media/block_locks.h"
#include "engine/media/disk_health.h"
#include "engine/media/range_lock.h"
#include "engine/media/volume_space.h"

namespace engine {

// How a file may be read and written.
struct FileGeometry {
  std::uint32_t offset_alignment = 1;  // of offsets and lengths, bytes; a power of two
  std::uint32_t memory_alignment = 1;  // of buffers, bytes; a power of two
  bool direct = false;  // O_DIRECT: errors are each operation's own, nothing is in a page cache
  // The file system never writes an O_DIRECT request through the page cache instead.
  bool never_buffered = false;
  bool survives_power_loss = true;  // false on tmpfs and ramfs
  bool durable_by_sync = false;     // no RWF_DSYNC: write, then fdatasync
  // A write of so many bytes at a multiple of them lands whole or not at all, also when power
  // fails; 0: not known.
  std::uint32_t atomic_write_bytes = 0;
  friend bool operator==(const FileGeometry&, const FileGeometry&) = default;
};

// An open file and what is known of it. Closes it when it owns it.
class OpenFile {
 public:
  // `fd` belongs to somebody else (simulation).
  static OpenFile borrowed(int fd, FileGeometry geometry) { return {fd, geometry, false}; }
  // Opens an existing regular file or block device of at least `size` for reading and writing;
  // O_DIRECT where the file system has it. Error: one sentence about the path, without the path.
  [[nodiscard]] static Result<OpenFile, std::string> open(const std::string& path, ByteCount size);

  OpenFile(OpenFile&& other) noexcept;
  OpenFile& operator=(OpenFile&&) = delete;
  ~OpenFile();

  [[nodiscard]] int fd() const { return fd_; }
  [[nodiscard]] const FileGeometry& geometry() const { return geometry_; }
  // Locks this description of the file (flock) until it is closed and the last request on it has
  // ended, even if its process was killed before: a request that hangs in the kernel keeps the
  // description, and could otherwise land on top of what a restarted daemon has acknowledged.
  // Error: a sentence about the path, without the path.
  [[nodiscard]] Result<void, std::string> lock() const;
  // From now on lock() locks these alone, and the rest is for others.
  void lock_only(std::vector<FileRange> ranges) { ranges_ = std::move(ranges); }
  // Somebody else has the file open, as far as the kernel tells.
  [[nodiscard]] bool is_open_elsewhere() const;
  // Puts `other` in the place of this descriptor, keeping its number; what is under way ends on the
  // old file. False with errno when the kernel refuses.
  [[nodiscard]] bool replace_by(OpenFile other);

 private:
  OpenFile(int fd, FileGeometry geometry, bool owned)
      : fd_(fd), geometry_(geometry), owned_(owned) {}
  int fd_;
  FileGeometry geometry_;
  bool owned_;
  std::vector<FileRange> ranges_;  // empty: the whole file is locked
};

// What becomes of a file's space where it is zeroed.
enum class FileSpace : std::uint8_t {
  as_asked,  // zero_range keeps it, discard gives it back
  kept,      // whichever: what was allocated once stays so
  // Whichever, in whole blocks of 4096 bytes; and in a part of one zeros are not written where
  // there are none but zeros. So zeroing takes no space.
  given_back,
};

// Any offset, length and buffer alignment; what O_DIRECT cannot take goes through a bounce buffer,
// and writes of parts of a block through read-modify-write under a lock of that block (see
// FileRequest).
//
// Durable writes use RWF_DSYNC. A failed sync or durable write, and a disk that has been pulled,
// poison the device until reopen():
// from then on nothing is acknowledged, nor is what was under way (`generation_` tells it from what
// was started later). What the kernel could not even begin (EAGAIN, ECANCELED; ENOMEM of a direct
// write) is repeated instead, a few times.
class FileDevice final : public BackingDevice {
 public:
  // `space`: null, or who is asked whether there is any for a write that does not say it has some;
  // outlives it. A write that finds none ends with capacity_exceeded. `health`: of the disk
  // beneath, where everything that is asked of the kernel is counted.
  FileDevice(OpenFile file, ByteCount size, IoSource source, FileSpace zeroed = FileSpace::as_asked,
             VolumeSpace* space = nullptr, std::shared_ptr<DiskHealth> health = nullptr)
      : file_(std::move(file)),
        geometry_(file_.geometry()),
        source_(source),
        zeroed_(zeroed),
        space_(space),
        health_(std::move(health)),
        size_(size.value) {}

  [[nodiscard]] ByteCount size() const override { return {size_.load(std::memory_order_acquire)}; }
  void submit(IoLane& lane, BackingIo& io) override;
  [[nodiscard]] bool needs_reopen() const override {
    return poisoned_.load(std::memory_order_acquire);
  }
  [[nodiscard]] std::uint64_t errors() const override {
    return errors_.load(std::memory_order_relaxed);
  }

  [[nodiscard]] std::optional<Instant> silent_since(Instant now) override {
    return health_ == nullptr ? std::nullopt : health_->silent_since(now);
  }
  [[nodiscard]] VolumeSpace* space() override { return space_; }
  // Writing there takes no space, as far as can be told. Any thread; may wait for the disk.
  [[nodiscard]] bool is_allocated(MediaOffset offset, ByteCount length) const;

  // The file is at least as long already. Any thread; never smaller than before.
  void grow(ByteCount size);
  // Locks these ranges of the file; all that it has locked before are among them. One thread at a
  // time, while others submit. Error: a sentence; what was locked is.
  [[nodiscard]] Result<void, std::string> lock_ranges(std::vector<FileRange> ranges);
  // Goes on with a newly opened description of the same file, and locks it. One thread at a time,
  // while others submit. Error: a sentence; the device goes on refusing writes.
  [[nodiscard]] Result<void, std::string> reopen(OpenFile file);

  [[nodiscard]] const FileGeometry& geometry() const { return geometry_; }
  // What this file does not promise, for the operator; empty when all is well.
  [[nodiscard]] std::string note() const;

 private:
  friend class FileRequest;

  class SpaceRequest;

  [[nodiscard]] bool fits(const BackingIo& io) const;
  void begin(BackingIo& io);
  [[nodiscard]] bool is_direct(const BackingIo& io) const;
  void start_direct(BackingIo& io);
  // Every operation goes to its lane by the one and comes back to the other, which returns what the
  // result means.
  void start(IoLane& lane, FileOperation& operation);
  [[nodiscard]] int end(const FileOperation& operation, int result);
  [[nodiscard]] bool disk_is_gone() const;
  static void direct_done(FileOperation& operation, int result) noexcept;
  // Ends `io`: a success that came too late to be believed becomes sync_failed.
  void finish(BackingIo& io, IoStatus status);
  [[nodiscard]] bool never_cached() const { return geometry_.direct && geometry_.never_buffered; }
  [[nodiscard]] bool was_not_begun(FileOperation::Kind kind, int error) const;
  // True: the operation may be given to the kernel again; counts in `repeats`.
  [[nodiscard]] bool may_repeat(FileOperation::Kind kind, int error, std::uint32_t& repeats) const;
  // How a request ends whose operation has failed; poisons the device if durability is in doubt.
  [[nodiscard]] IoStatus status_of_failure(FileOperation::Kind kind, int error);

  OpenFile file_;
  const FileGeometry geometry_;
  const IoSource source_;
  const FileSpace zeroed_;
  VolumeSpace* const space_;
  const std::shared_ptr<DiskHealth> health_;  // null: nobody counts
  std::atomic<std::uint64_t> size_;
  std::atomic<bool> poisoned_{false};
  std::atomic<std::uint64_t> errors_{0};
  std::atomic<std::uint32_t> generation_{0};  // counts reopens
  // Set once when the file system refuses them; zeros are written then.
  std::atomic<bool> punch_refused_{false};
  std::atomic<bool> zero_range_refused_{false};
  BlockLocks block_locks_;
};

}  // namespace engine
