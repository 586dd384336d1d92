// Engine: every pool and volume of one daemon, opened from the configuration and kept open.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/foundation/result.h"
#include "engine/volume/volume.h"

namespace engine {

struct PoolSpec {
  enum class Kind : std::uint8_t { file, memory };
  std::string name;
  Kind kind = Kind::file;
  std::string directory;     // file: the labelled directory
  std::optional<Uuid> uuid;  // file: refuse any other pool, where the configuration names it
};

struct VolumeSpec {
  std::string name;
  std::string pool;
  ByteCount size;
  BlockSize block_size;
};

struct EngineOptions {
  // Where identities and sizes of volumes that have been online once are remembered, so that a
  // volume whose pool is late at the next start still has its own, and is never made anew on
  // another pool in its place. Only a memory of what the pools say: may be lost, and is removed by
  // an operator who wants to begin anew. Empty: none.
  std::string known_volumes_file;
};

// What a pool looks like to an operator.
struct PoolStatus {
  std::string name;
  PoolSpec::Kind kind = PoolSpec::Kind::file;
  bool open = false;
  std::string reason;  // why it is not open, and what to do; empty when open
  std::string
      note;        // what an open pool does not promise (a file system that forgets at power loss)
  Uuid uuid;       // nil while not open and for memory pools
  ByteCount size;  // of the file system; 0 while not open
  ByteCount free;
};

// Something that is not served as specified, for the operator.
struct Finding {
  enum class About : std::uint8_t {
    known_volumes,  // the file that remembers them
    pool_directory,
    pool_uuid,
    volume,  // as a whole
    volume_size,
    volume_block_size,
  };
  About about = About::volume;
  std::string name;  // of the pool or volume
  std::string text;  // one sentence: what and what to do; does not name it again
};

// Told of each change of a volume's state or size. Called on the thread that changed it (a reactor
// when a flush failed, else the one that called the Engine), after the change is visible: hand it
// on, do not work in it.
class VolumeObserver {
 public:
  virtual void volume_changed(Volume& volume) noexcept = 0;

 protected:
  ~VolumeObserver() = default;
};

// One thread at a time (main, later control), except what Volume says of itself. Destroyed after
// every lane that has carried its requests has nothing in flight.
class Engine {
 public:
  // Opens what can be opened; what cannot stays late with its reason. Never fails as a whole.
  static std::unique_ptr<Engine> open(std::vector<PoolSpec> pools, std::vector<VolumeSpec> volumes,
                                      EngineOptions options = {});
  // What open() would find amiss, by reading alone: nothing is written or locked. Of volumes only
  // what no waiting helps (size, block size).
  [[nodiscard]] static std::vector<Finding> inspect(const std::vector<PoolSpec>& pools,
                                                    const std::vector<VolumeSpec>& volumes);
  virtual ~Engine() = default;

  // In the order of the specification; stable addresses for the Engine's life.
  [[nodiscard]] virtual std::vector<Volume*> volumes() const = 0;
  [[nodiscard]] virtual Volume* find(const std::string& name) const = 0;
  [[nodiscard]] virtual std::vector<PoolStatus> pools() const = 0;
  // Each trouble once: pools that are not open, and volumes that are late or refused for another
  // reason than their pool's.
  [[nodiscard]] virtual std::vector<Finding> findings() const = 0;
  // Set before the first request; lives as long as requests may end. Null: nobody is told.
  virtual void observe(VolumeObserver* observer) = 0;

  // Tries again whatever is late or failed; true if any volume's state changed.
  virtual bool retry_late() = 0;
  // Grows a volume that is online. The error is a sentence for the operator; nothing changed then.
  virtual Result<void, std::string> grow(const std::string& name, ByteCount new_size) = 0;
};

}  // namespace engine
