// FileJournal: a backing's journal in a file beside the image.
#pragma once

#include <memory>
#include <string>

#include "engine/media/file_device.h"
#include "engine/pool/journal_file.h"

namespace engine {

class FileJournal final : public BackingJournal {
 public:
  // The journal of an image, made if there is none, with room for a usual batch. `source`: of the
  // pool's disk. Blocks: a pool's thread. Errors: no_space, io.
  [[nodiscard]] static Result<std::unique_ptr<FileJournal>, PoolError> open(
      PoolDirectory& directory, const std::string& image, IoSource source);
  FileJournal(OpenFile file, IoSource source) : file_(std::move(file)), source_(source) {}

  void submit(IoLane& lane, JournalIo& io) override;

 private:
  const OpenFile file_;
  const IoSource source_;
};

}  // namespace engine
