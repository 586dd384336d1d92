#include "engine/media/file_device.h"

#include <linux/fs.h>
#include <sys/ioctl.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include "engine/foundation/check.h"
#include "engine/media/allocated_range.h"
#include "engine/media/file_request.h"

namespace engine {
namespace {

// Each is a turn of the lane later. Then the host is told, and may try again.
constexpr std::uint32_t most_repeats = 32;

std::uint64_t length_of(const BackingIo& io) {
  switch (io.kind) {
    case BackingIo::Kind::read:
    case BackingIo::Kind::write:
      return io.buffer.size();
    case BackingIo::Kind::zero_range:
    case BackingIo::Kind::discard:
      return io.length.value;
    case BackingIo::Kind::sync:
      return 0;
  }
  return 0;
}

// The disk was asked, and has not done it.
bool is_of_the_disk(IoStatus status) {
  return status == IoStatus::media_error || status == IoStatus::sync_failed ||
         status == IoStatus::timed_out;
}

}  // namespace

// A write that waits to hear whether there is space for it. Deletes itself.
class FileDevice::SpaceRequest {
 public:
  static void start(FileDevice& device, BackingIo& io) {
    const ByteCount needed = VolumeSpace::needed(io.offset, {io.buffer.size()});
    if (device.space_->admits(needed)) {
      io.promised = needed;
      return device.begin(io);
    }
    device.space_->ask((new SpaceRequest(device, io))->question_);
  }

 private:
  SpaceRequest(FileDevice& device, BackingIo& io)
      : device_(device),
        io_(io),
        question_{.offset = io.offset,
                  .length = {io.buffer.size()},
                  .lane = io.lane,
                  .answered =
                      [](SpaceQuestion& question, SpaceQuestion::Answer answer) noexcept {
                        static_cast<SpaceRequest*>(question.context)->answered(answer);
                      },
                  .context = this} {}

  void answered(SpaceQuestion::Answer answer) {
    FileDevice& device = device_;
    BackingIo& io = io_;
    delete this;
    switch (answer) {
      case SpaceQuestion::Answer::promised:
        io.promised = VolumeSpace::needed(io.offset, {io.buffer.size()});
        [[fallthrough]];
      case SpaceQuestion::Answer::has_place:
        return device.begin(io);
      case SpaceQuestion::Answer::refused:
        return io.done(io, IoStatus::capacity_exceeded);
      case SpaceQuestion::Answer::unknown:
        return io.done(io, IoStatus::unavailable);
    }
  }

  FileDevice& device_;
  BackingIo& io_;
  SpaceQuestion question_;
};

bool FileDevice::is_allocated(MediaOffset offset, ByteCount length) const {
  return engine::is_allocated(file_.fd(), offset, length);
}

bool FileDevice::fits(const BackingIo& io) const {
  const std::uint64_t size = size_.load(std::memory_order_acquire);
  return io.offset.value <= size && length_of(io) <= size - io.offset.value;
}

bool FileDevice::is_direct(const BackingIo& io) const {
  if (io.kind != BackingIo::Kind::read && io.kind != BackingIo::Kind::write) return false;
  if (io.durable && geometry_.durable_by_sync) return false;
  const std::uint64_t offset_mask = geometry_.offset_alignment - 1;
  const std::uint64_t memory_mask = geometry_.memory_alignment - 1;
  return ((io.offset.value | io.buffer.size()) & offset_mask) == 0 &&
         (reinterpret_cast<std::uintptr_t>(io.buffer.data()) & memory_mask) == 0 &&
         io.buffer.size() <= FileOperation::largest_transfer.value;
}

void FileDevice::submit(IoLane& lane, BackingIo& io) {
  io.lane = &lane;
  io.device_state = this;
  io.progress = 0;
  io.repeats = 0;
  io.promised = {};
  io.generation = generation_.load(std::memory_order_acquire);
  if (io.kind != BackingIo::Kind::read && needs_reopen()) {
    // What is not begun has lost nothing: the same request will do after the reopen.
    return io.done(
        io, io.kind == BackingIo::Kind::sync ? IoStatus::sync_failed : IoStatus::unavailable);
  }
  if (io.kind == BackingIo::Kind::sync) {
    io.file.kind = FileOperation::Kind::sync;
    io.buffer = {};
    return start_direct(io);
  }
  if (!fits(io)) return io.done(io, IoStatus::out_of_range);
  if (length_of(io) == 0) return io.done(io, IoStatus::ok);
  if (space_ != nullptr && io.kind == BackingIo::Kind::write && !io.has_space) {
    return SpaceRequest::start(*this, io);
  }
  begin(io);
}

void FileDevice::begin(BackingIo& io) {
  if (!is_direct(io)) {
    if (io.kind == BackingIo::Kind::zero_range || io.kind == BackingIo::Kind::discard) {
      io.buffer = {};
    }
    return FileRequest::start(*this, *io.lane, io);
  }
  io.file.kind = io.kind == BackingIo::Kind::read ? FileOperation::Kind::read
                 : io.durable                     ? FileOperation::Kind::write_durable
                                                  : FileOperation::Kind::write;
  start_direct(io);
}

void FileDevice::start_direct(BackingIo& io) {
  io.file.fd = file_.fd();
  io.file.source = source_;
  io.file.offset = io.offset + ByteCount{io.progress};
  io.file.buffer = io.buffer.subspan(static_cast<std::size_t>(io.progress));
  io.file.context = &io;
  io.file.done = &FileDevice::direct_done;
  start(*io.lane, io.file);
}

void FileDevice::start(IoLane& lane, FileOperation& operation) {
  operation.is_timed = health_ != nullptr;
  if (health_ != nullptr) health_->begins(operation.kind);
  lane.start(operation);
}

int FileDevice::end(const FileOperation& operation, int result) {
  // A disk that has been pulled has no size any more: the kernel finds no space where it was, and
  // nothing to be read.
  const bool is_behind_the_end =
      result == -ENOSPC || (result == 0 && operation.kind == FileOperation::Kind::read);
  if (is_behind_the_end && disk_is_gone()) {
    result = -ENXIO;
    // A disk that returns is another one for the kernel.
    poisoned_.store(true, std::memory_order_release);
  }
  if (health_ != nullptr) {
    health_->ended(operation, result, SystemClock().now() - operation.handed);
  }
  return result;
}

bool FileDevice::disk_is_gone() const {
  std::uint64_t bytes = 0;
  return ::ioctl(file_.fd(), BLKGETSIZE64, &bytes) == 0 && bytes < size().value;
}

void FileDevice::direct_done(FileOperation& operation, int result) noexcept {
  BackingIo& io = *static_cast<BackingIo*>(operation.context);
  FileDevice& device = *static_cast<FileDevice*>(io.device_state);
  result = device.end(operation, result);
  if (result == -EINTR) return device.start_direct(io);
  const bool is_sync = operation.kind == FileOperation::Kind::sync;
  if (result < 0) {
    if (device.may_repeat(operation.kind, -result, io.repeats)) return device.start_direct(io);
    return device.finish(io, device.status_of_failure(operation.kind, -result));
  }
  if (!is_sync) {
    // A short transfer goes on where it stopped, but on a boundary that O_DIRECT takes.
    const std::uint64_t alignment = device.geometry_.offset_alignment;
    std::uint64_t moved = io.progress + static_cast<std::uint64_t>(result);
    if (moved < io.buffer.size()) {
      moved -= moved % alignment;
      if (moved <= io.progress) return device.finish(io, IoStatus::media_error);
      io.progress = moved;
      return device.start_direct(io);
    }
  }
  device.finish(io, IoStatus::ok);
}

void FileDevice::finish(BackingIo& io, IoStatus status) {
  const bool promises_durability = io.durable || io.kind == BackingIo::Kind::sync;
  if (status == IoStatus::ok && promises_durability &&
      (needs_reopen() || io.generation != generation_.load(std::memory_order_acquire))) {
    status = IoStatus::sync_failed;
  }
  if (is_of_the_disk(status)) [[unlikely]]
    errors_.fetch_add(1, std::memory_order_relaxed);
  if (io.promised.value != 0) space_->ended(std::exchange(io.promised, {}));
  io.done(io, status);
}

// Nothing has been done and nothing forgotten: the kernel gave the request back as it was.
bool FileDevice::was_not_begun(FileOperation::Kind kind, int error) const {
  if (error == EAGAIN || error == ECANCELED) return true;
  // Whatever was written in part is written again. A sync may report with it what pages it lost.
  return error == ENOMEM && (kind != FileOperation::Kind::write_durable || never_cached()) &&
         kind != FileOperation::Kind::sync;
}

bool FileDevice::may_repeat(FileOperation::Kind kind, int error, std::uint32_t& repeats) const {
  return kind != FileOperation::Kind::read && was_not_begun(kind, error) &&
         ++repeats <= most_repeats;
}

IoStatus FileDevice::status_of_failure(FileOperation::Kind kind, int error) {
  const bool is_sync = kind == FileOperation::Kind::sync;
  const bool meant_durable = is_sync || kind == FileOperation::Kind::write_durable;
  if (meant_durable && was_not_begun(kind, error)) return IoStatus::unavailable;
  // A direct write that found no space has lost nothing that was written before. Of a sync nobody
  // knows what it has lost.
  const bool lost_nothing = !is_sync && never_cached() && (error == ENOSPC || error == EDQUOT);
  if (meant_durable && !lost_nothing) poisoned_.store(true, std::memory_order_release);
  return is_sync ? IoStatus::sync_failed : io_status_of_errno(error);
}

void FileDevice::grow(ByteCount size) {
  CHECK(size.value >= size_.load(std::memory_order_relaxed));
  size_.store(size.value, std::memory_order_release);
}

Result<void, std::string> FileDevice::lock_ranges(std::vector<FileRange> ranges) {
  file_.lock_only(std::move(ranges));
  return file_.lock();
}

Result<void, std::string> FileDevice::reopen(OpenFile file) {
  if (file.geometry() != geometry_) {
    return std::string("the file is now to be accessed otherwise than before; restart the daemon");
  }
  if (!file_.replace_by(std::move(file))) {
    return "cannot be reopened: " + std::generic_category().message(errno);
  }
  if (!file_.lock()) {
    return std::string("I/O from before the failure has not ended; writes wait for it");
  }
  // In this order: whoever sees the device usable again also has the new generation.
  generation_.fetch_add(1, std::memory_order_acq_rel);
  poisoned_.store(false, std::memory_order_release);
  return boost::outcome_v2::success();
}

std::string FileDevice::note() const {
  if (!geometry_.survives_power_loss) {
    return "in memory (tmpfs): contents are gone after a power loss or reboot; for tests only";
  }
  if (!geometry_.direct) {
    return "the file system has no O_DIRECT: writes go through the page cache and are flushed one "
           "by one";
  }
  return {};
}

}  // namespace engine
