// PatchedFile: a raw image, or a backing device, that exported data is written onto.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "engine/foundation/result.h"
#include "engine/foundation/units.h"
#include "engine/media/file_descriptor.h"

namespace media {

// Errors are sentences for the operator.
class PatchedFile {
 public:
  using Done = engine::Result<void, std::string>;

  // A file that is not there is made, sparse and as large as the volume; one that is there must
  // have the room, and keeps what is not written over.
  [[nodiscard]] static engine::Result<PatchedFile, std::string> open(const std::string& path,
                                                                     engine::ByteCount size);

  [[nodiscard]] Done write(engine::MediaOffset at, std::span<const std::byte> bytes);
  [[nodiscard]] Done write_zeros(engine::MediaOffset at, engine::ByteCount length);
  // Everything written is durable on success.
  [[nodiscard]] Done finish();

 private:
  PatchedFile(std::string path, engine::FileDescriptor file)
      : path_(std::move(path)), file_(std::move(file)) {}
  [[nodiscard]] std::string failed(const char* what) const;

  std::string path_;
  engine::FileDescriptor file_;
};

}  // namespace media
