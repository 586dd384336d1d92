// MemberProbe: what a path is before it becomes a member of a device pool.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/foundation/units.h"
#include "engine/pool/disk_identity.h"
#include "engine/pool/disk_signatures.h"
#include "engine/pool/disk_use.h"
#include "engine/pool/pool_error.h"

namespace engine {

struct MemberProbe {
  enum class Kind : std::uint8_t { regular_file, block_device };
  // What of ours begins at its first byte; by the magic alone, so it may be damaged.
  enum class Ours : std::uint8_t { nothing, pool_label, member_label, cache_device };

  std::string path;  // as it was asked for
  std::string node;  // without links
  Kind kind = Kind::regular_file;
  ByteCount size;
  std::uint32_t logical_block_bytes = 512;
  std::uint32_t physical_block_bytes = 512;
  DiskIdentity identity;  // of a block device
  Ours ours = Ours::nothing;

  // What forbids to take it.
  std::vector<DiskUse> uses;
  bool is_read_only = false;
  bool is_exclusively_open = false;  // by somebody: another name space, another program
  bool is_host_managed = false;      // zoned: takes writes only in the order of its zones
  DiskSignatures signatures;
  // Partitions that the kernel has of it, whether a table is there or not.
  std::vector<std::string> partitions;

  // "ata-ST8000-WRQ0BBBB (/dev/sdb)": by model and serial as far as they are known.
  [[nodiscard]] std::string name() const;
};

// Reads only, and opens nothing for writing, so udev sees nothing happen; may wait for the disk.
// Errors: missing, io (also where it is neither a block device nor a regular file, or empty).
[[nodiscard]] Result<MemberProbe, PoolError> probe_member(const std::string& path,
                                                          const SystemRoots& roots = {});

// What an operator names to let this signature of this disk be destroyed: its UUID, exactly. One
// that has none is named together with the one disk it may be destroyed on, "dos@WRQ0BBBB" by
// serial, or "dos@/dev/sdb" by path where there is no serial: a word that would fit every disk
// would permit what nobody has looked at.
[[nodiscard]] std::string permission_for(const MemberProbe& probe,
                                         const ForeignSignature& signature);

// Why it may not be taken, in one sentence that says what to do; nullopt: it may. `permitted`: what
// the operator has named, see permission_for(). Nothing permits a disk that is mounted, held, swap
// in use, read-only or what this system runs from. A pool's label of ours is not looked at here.
[[nodiscard]] std::optional<std::string> refusal(const MemberProbe& probe,
                                                 std::span<const std::string> permitted);

// What others have written there: " It holds an ext4 file system ...", to follow a sentence about
// the path. Empty: nothing that is recognised, or it cannot be read. Opens it for reading, and
// claims nothing.
[[nodiscard]] std::string foreign_contents(const std::string& path);

// Probes again, under an exclusive open that lasts to the end, and where nothing speaks against it
// removes the signatures, and then everything in the first and the last MiB; durable on return, and
// the kernel has no partitions of it any more. A disk without any signature is left as it is, also
// where something else is on it. Errors: missing, not_empty (the refusal), io.
[[nodiscard]] Result<void, PoolError> wipe_member(const std::string& path,
                                                  std::span<const std::string> permitted,
                                                  const SystemRoots& roots = {});

}  // namespace engine
