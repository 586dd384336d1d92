// DiskSignatures: what others have written on a disk, as libblkid recognises it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/foundation/function_ref.h"
#include "engine/foundation/result.h"

namespace engine {

// Everything in it is printable (see `printable`), whatever the media say.
struct ForeignSignature {
  enum class Kind : std::uint8_t { file_system, raid, encrypted, other, partition_table };
  Kind kind = Kind::other;
  std::string type;     // "ext4", "LVM2_member", "gpt", "swap": libblkid's name
  std::string label{};  // empty: none
  std::string uuid{};   // as its own tools write it; empty: it has none
  friend bool operator==(const ForeignSignature&, const ForeignSignature&) = default;
};
// "an ext4 file system "backup" (UUID 77a1...)".
[[nodiscard]] std::string text(const ForeignSignature& signature);

struct DiskSignatures {
  std::vector<ForeignSignature> found;  // each once, however often it is on the disk
  // What is inside the partitions of its table, where anything is recognised.
  std::vector<ForeignSignature> in_partitions;
  std::size_t partitions = 0;
};

// `fd`: a block device or regular file, open for reading. Error: a sentence without the path.
[[nodiscard]] Result<DiskSignatures, std::string> read_signatures(int fd);

// Overwrites the magic of all signatures of the disk (not of those in its partitions, which end
// with the table), and their copies; durable on return. `may_wipe` is asked of each before, and the
// first it refuses is the error; then others may be gone already. `fd` is open for writing too.
// Error: a sentence without the path.
[[nodiscard]] Result<void, std::string> wipe_signatures(
    int fd, FunctionRef<bool(const ForeignSignature&)> may_wipe);

}  // namespace engine
