// FileMarker: a backing's marker in a file beside the image.
#pragma once

#include <array>
#include <memory>
#include <string>

#include "engine/media/file_device.h"
#include "engine/pool/marker_file.h"

namespace engine {

// Both slots are written at every change, the second when the first is durable: no change asks for
// space, renames or commits a journal, and one bad sector brings no older mark back. A failed write
// is not final: the next one writes the whole of both again.
class FileMarker final : public BackingMarker {
 public:
  // The marker of an image, made if there is none: then it says that no cache has written to the
  // image. `source`: of the pool's disk. Blocks: a pool's thread. Errors: those of read_marker and
  // make_marker.
  [[nodiscard]] static Result<std::unique_ptr<FileMarker>, PoolError> open(PoolDirectory& directory,
                                                                           const std::string& image,
                                                                           const Uuid& volume,
                                                                           IoSource source);
  // The one at a place of a device, which is there and stands. Errors: io.
  [[nodiscard]] static Result<std::unique_ptr<FileMarker>, PoolError> open_at(
      const std::string& device, MediaOffset place, const StoredMark& stored, IoSource source);
  // Over a file whose highest sequence is this, from `place` on.
  FileMarker(OpenFile file, std::uint64_t sequence, IoSource source, MediaOffset place = {0});
  ~FileMarker() override;

  void write(IoLane& lane, MarkerWrite& write) override;
  [[nodiscard]] const BackingMark& stands() const override { return stands_; }

 private:
  void start(FileOperation::Kind kind);
  void ended(int result);
  void finish(IoStatus status);

  const OpenFile file_;
  const MediaOffset place_;
  BackingMark stands_;
  std::uint64_t sequence_;
  IoLane* lane_ = nullptr;
  MarkerWrite* write_ = nullptr;  // under way
  unsigned first_ = 0;  // slot of a change: the one that may be torn since the last one failed
  unsigned slot_ = 0;
  FileOperation operation_;
  alignas(marker_slot_bytes) std::array<std::byte, marker_slot_bytes> bytes_{};
};

}  // namespace engine
