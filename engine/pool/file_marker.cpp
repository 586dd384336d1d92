#include "engine/pool/file_marker.h"

#include <algorithm>
#include <utility>

#include "engine/foundation/check.h"

namespace engine {

FileMarker::FileMarker(OpenFile file, std::uint64_t sequence, IoSource source, MediaOffset place)
    : file_(std::move(file)), place_(place), sequence_(sequence) {
  operation_.fd = file_.fd();
  operation_.source = source;
  operation_.context = this;
  operation_.done = [](FileOperation& operation, int result) noexcept {
    static_cast<FileMarker*>(operation.context)->ended(result);
  };
}

FileMarker::~FileMarker() { CHECK(write_ == nullptr); }

Result<std::unique_ptr<FileMarker>, PoolError> FileMarker::open(PoolDirectory& directory,
                                                                const std::string& image,
                                                                const Uuid& volume,
                                                                IoSource source) {
  TRY(auto stored, read_marker(directory, image, volume));
  if (!stored) {
    stored = StoredMark{.mark = {.volume = volume, .cache = {}}, .sequence = 1};
    TRY(make_marker(directory, image, *stored));
  }
  const std::string path = directory.path() + "/" + marker_name(image);
  auto file = OpenFile::open(path, ByteCount{marker_bytes});
  if (!file) return PoolError{PoolError::Kind::io, path + ": " + file.error()};
  auto marker = std::make_unique<FileMarker>(std::move(file.value()), stored->sequence, source);
  marker->stands_ = stored->mark;
  return marker;
}

Result<std::unique_ptr<FileMarker>, PoolError> FileMarker::open_at(const std::string& device,
                                                                   MediaOffset place,
                                                                   const StoredMark& stored,
                                                                   IoSource source) {
  auto file = OpenFile::open(device, ByteCount{place.value + marker_bytes});
  if (!file) return PoolError{PoolError::Kind::io, device + ": " + file.error()};
  auto marker =
      std::make_unique<FileMarker>(std::move(file.value()), stored.sequence, source, place);
  marker->stands_ = stored.mark;
  return marker;
}

void FileMarker::write(IoLane& lane, MarkerWrite& write) {
  CHECK(write_ == nullptr);
  lane_ = &lane;
  write_ = &write;
  slot_ = first_;
  // A number that a failed write may have left is not used again.
  ++sequence_;
  start(file_.geometry().durable_by_sync ? FileOperation::Kind::write
                                         : FileOperation::Kind::write_durable);
}

void FileMarker::start(FileOperation::Kind kind) {
  operation_.kind = kind;
  operation_.offset = place_ + ByteCount{slot_ * marker_slot_bytes};
  operation_.buffer = {};
  if (kind != FileOperation::Kind::sync) {
    const auto bytes = encode_marker_slot({.mark = write_->mark, .sequence = sequence_}, slot_);
    std::ranges::copy(bytes, bytes_.begin());
    operation_.buffer = bytes_;
  }
  lane_->start(operation_);
}

void FileMarker::ended(int result) {
  const FileOperation::Kind kind = operation_.kind;
  if (result < 0) return finish(io_status_of_errno(-result));
  if (kind != FileOperation::Kind::sync) {
    if (static_cast<std::size_t>(result) != bytes_.size()) return finish(IoStatus::media_error);
    if (kind == FileOperation::Kind::write) return start(FileOperation::Kind::sync);
  }
  if (slot_ != first_) return finish(IoStatus::ok);
  slot_ = 1 - first_;
  start(kind == FileOperation::Kind::sync ? FileOperation::Kind::write : kind);
}

void FileMarker::finish(IoStatus status) {
  MarkerWrite& write = *std::exchange(write_, nullptr);
  if (status == IoStatus::ok) stands_ = write.mark;
  first_ = status == IoStatus::ok ? 0 : slot_;
  write.done(write, status);
}

}  // namespace engine
