// PoolDirectory: the few operations a file pool needs of its directory, with a simulated twin that
// crashes.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/foundation/result.h"
#include "engine/foundation/units.h"
#include "engine/pool/provisioning.h"

namespace engine {

// A positive errno.
struct FileError {
  int code = 0;
  [[nodiscard]] std::string text() const;
};
template <class T>
using FileResult = Result<T, FileError>;

// One file that is read and changed in place. One thread.
class PoolFile {
 public:
  PoolFile() = default;
  PoolFile(const PoolFile&) = delete;
  PoolFile& operator=(const PoolFile&) = delete;
  virtual ~PoolFile() = default;

  // How much has been read: less than asked for where the file ends.
  [[nodiscard]] virtual FileResult<std::size_t> read(MediaOffset offset,
                                                     std::span<std::byte> bytes) = 0;
  // Within the file; durable after the next sync().
  [[nodiscard]] virtual FileResult<void> write(MediaOffset offset,
                                               std::span<const std::byte> bytes) = 0;
  // The same of zeros; the space stays the file's.
  [[nodiscard]] virtual FileResult<void> zero(MediaOffset offset, ByteCount length) = 0;
  // After a failure, only what is written again can become durable.
  [[nodiscard]] virtual FileResult<void> sync() = 0;
};

// All names are names in the directory, without a slash. What is written or extended is durable on
// return; creation, renaming and removal of names are durable after the next sync(), what is
// allocated after the next sync_allocated(). One thread.
class PoolDirectory {
 public:
  PoolDirectory() = default;
  PoolDirectory(const PoolDirectory&) = delete;
  PoolDirectory& operator=(const PoolDirectory&) = delete;
  virtual ~PoolDirectory() = default;

  // As the operator wrote it.
  [[nodiscard]] virtual const std::string& path() const = 0;
  // Without "." and "..".
  [[nodiscard]] virtual FileResult<std::vector<std::string>> list() = 0;
  // At most `limit` bytes from the front; ENOENT when missing.
  [[nodiscard]] virtual FileResult<std::vector<std::byte>> read(const std::string& name,
                                                                std::size_t limit) = 0;
  // An existing file, for changes in place.
  [[nodiscard]] virtual FileResult<std::unique_ptr<PoolFile>> open(const std::string& name) = 0;
  // Creates or empties the file, then fills it.
  [[nodiscard]] virtual FileResult<void> write(const std::string& name,
                                               std::span<const std::byte> bytes) = 0;
  // Makes a new file of `size` zeros, thick with all its space and thin with none, to be made
  // durable by sync_allocated() together with others; EEXIST when there is one. EOPNOTSUPP where
  // the file system cannot give the one, or take back what the other is not to keep. Leaves none on
  // failure, as far as it can.
  [[nodiscard]] virtual FileResult<void> allocate(const std::string& name, ByteCount size,
                                                  Provisioning provisioning) = 0;
  // Makes the file at least `size` long, thick with all its space from `from` on and thin without,
  // and zeros from there. As before on failure.
  [[nodiscard]] virtual FileResult<void> extend(const std::string& name, ByteCount from,
                                                ByteCount size, Provisioning provisioning) = 0;
  // nullopt when there is no such file.
  [[nodiscard]] virtual FileResult<std::optional<ByteCount>> size_of(const std::string& name) = 0;
  // Replaces `to` atomically, or fails with EEXIST if it exists and `replace` is not set.
  [[nodiscard]] virtual FileResult<void> rename(const std::string& from, const std::string& to,
                                                bool replace) = 0;
  // Succeeds when there is no such file.
  [[nodiscard]] virtual FileResult<void> remove(const std::string& name) = 0;
  [[nodiscard]] virtual FileResult<void> sync() = 0;
  [[nodiscard]] virtual FileResult<void> sync_allocated() = 0;

  // What the file's space takes of the file system now, also beyond its end; 0 when missing.
  [[nodiscard]] virtual FileResult<ByteCount> allocated(const std::string& name) = 0;

  struct LockAnswer {
    bool locked = false;
    bool inherited = false;  // locked: it is the predecessor's very lock
    pid_t holder = 0;        // when not locked: who holds it, 0 if unknown
  };
  // Locks the pool for this process until the object ends. `predecessor`: an earlier opening of
  // perhaps the same directory; the lock it holds is shared, and held until both have ended.
  [[nodiscard]] virtual FileResult<LockAnswer> lock(const std::string& name,
                                                    const PoolDirectory* predecessor = nullptr) = 0;
  struct Space {
    ByteCount size;  // without what is kept for root
    ByteCount free;
  };
  [[nodiscard]] virtual FileResult<Space> space() = 0;
};

// The directory itself. Errors: ENOENT, ENOTDIR, EACCES...
[[nodiscard]] FileResult<std::unique_ptr<PoolDirectory>> open_pool_directory(
    const std::string& path);

}  // namespace engine
