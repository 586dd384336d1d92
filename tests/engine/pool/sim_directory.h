// SimDirectory: a directory with names and files of which power loss keeps only what was synced.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/foundation/random.h"
#include "engine/pool/pool_directory.h"

namespace engine {

// The disk itself; outlives the SimDirectory of each life of the daemon.
//
// What a crash may do: each change of a name since the last sync() of the directory is kept or lost
// by itself; a file that was being written holds any prefix of the new contents, one that was only
// allocated has any length. What one call makes durable is durable only when it returns.
struct SimDirectoryDisk {
  struct File {
    std::vector<std::byte> bytes;  // small files
    std::uint64_t length = 0;      // >= bytes.size(); the rest are zeros (images)
    bool synced = true;            // else a crash leaves any length
    bool is_sparse = false;        // made without space
    // Before what was changed in place, and not synced: a crash leaves either of each sector.
    std::optional<std::vector<std::byte>> before;
  };
  struct Change {  // of one name: to a file, or gone
    std::string name;
    std::optional<std::uint64_t> file;
  };
  std::map<std::uint64_t, File> files;         // by number, as an inode
  std::map<std::string, std::uint64_t> names;  // as a reader sees them
  std::map<std::string, std::uint64_t> durable_names;
  std::vector<std::vector<Change>> unsynced;  // each entry is one atomic operation
  std::uint64_t last_file = 0;
  std::uint64_t free_bytes = std::uint64_t{1} << 40;
  bool locked = false;
  std::uint64_t steps = 0;  // of the last SimDirectory over it

  void crash(SeededRandom& random);
};

// Thrown out of an operation when the crash that was asked for comes.
struct SimCrash {};

class SimDirectory final : public PoolDirectory {
 public:
  // The nth step (each operation has one or two) crashes, or fails with `error` if that is not 0;
  // 0: none does.
  struct Fault {
    std::uint64_t step = 0;
    int error = 0;
  };
  SimDirectory(SimDirectoryDisk& disk, Fault fault, std::uint64_t seed)
      : disk_(disk), fault_(fault), random_(seed) {
    disk_.steps = 0;
  }
  ~SimDirectory() override;

  const std::string& path() const override { return path_; }
  FileResult<std::vector<std::string>> list() override;
  FileResult<std::vector<std::byte>> read(const std::string& name, std::size_t limit) override;
  FileResult<std::unique_ptr<PoolFile>> open(const std::string& name) override;
  FileResult<void> write(const std::string& name, std::span<const std::byte> bytes) override;
  FileResult<void> allocate(const std::string& name, ByteCount size,
                            Provisioning provisioning) override;
  FileResult<void> extend(const std::string& name, ByteCount from, ByteCount size,
                          Provisioning provisioning) override;
  FileResult<std::optional<ByteCount>> size_of(const std::string& name) override;
  FileResult<void> rename(const std::string& from, const std::string& to, bool replace) override;
  FileResult<void> remove(const std::string& name) override;
  FileResult<void> sync() override;
  FileResult<void> sync_allocated() override;
  FileResult<ByteCount> allocated(const std::string& name) override;
  FileResult<LockAnswer> lock(const std::string& name, const PoolDirectory* predecessor) override;
  FileResult<Space> space() override { return Space{{std::uint64_t{1} << 40}, {disk_.free_bytes}}; }

 private:
  class InPlace;  // one file

  // Counts a step; throws SimCrash or returns the error that was asked for.
  [[nodiscard]] FileResult<void> step();
  std::uint64_t create(const std::string& name);
  void change(std::vector<SimDirectoryDisk::Change> changes);

  SimDirectoryDisk& disk_;
  const Fault fault_;
  SeededRandom random_;
  bool holds_lock_ = false;
  const std::string path_ = "/pool";
};

}  // namespace engine
