// PoolMember: what a device pool needs of a disk, or a file, for everything but the I/O of its
// volumes; with a simulated twin that crashes.
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>

#include "engine/pool/pool_directory.h"

namespace engine {

// How a member is told from others in a message.
struct MemberInfo {
  std::string path;    // as the operator wrote it
  std::string device;  // the same without symbolic links
  std::string serial;  // empty where there is none
  ByteCount size;
};

// One thread.
class PoolMember : public PoolFile {
 public:
  [[nodiscard]] virtual const MemberInfo& info() const = 0;

  struct HoldAnswer {
    bool held = false;
    bool inherited = false;  // held: by what the predecessor has open as well
  };
  // Keeps everybody else from using it as long as the object lives: another daemon, and of a block
  // device whoever mounts, formats or assembles it. Nothing is written. `predecessor`: an earlier
  // opening by this process of perhaps the same member; what it holds is shared, and held until
  // both have ended.
  [[nodiscard]] virtual FileResult<HoldAnswer> hold(const PoolMember* predecessor) = 0;

  // False: somebody's I/O in that range has not ended; see lock_file_range(). Until unlock().
  [[nodiscard]] virtual FileResult<bool> lock(MediaOffset offset, ByteCount length) = 0;
  [[nodiscard]] virtual FileResult<void> unlock(MediaOffset offset, ByteCount length) = 0;
};

// What a configured path leads to.
struct MemberCandidate {
  std::string path;
  FileResult<std::unique_ptr<PoolMember>> opened;
};

// `read`: whoever only looks; udev sees nothing happen to a disk.
enum class MemberAccess { read, write };

// A block device or a regular file that is there. `serial`: as the caller has found it out; else
// what the disk says. Errors: ENOENT, ENOTBLK (it is neither), EACCES...
[[nodiscard]] FileResult<std::unique_ptr<PoolMember>> open_pool_member(
    const std::string& path, const std::string& serial = {},
    MemberAccess access = MemberAccess::write);

}  // namespace engine
