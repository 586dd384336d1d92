// LocalEngine: the Engine over file and memory pools of this machine.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/media/file_device.h"
#include "engine/media/memory_device.h"
#include "engine/pool/file_pool.h"
#include "engine/volume/backed_volume.h"
#include "engine/volume/engine.h"
#include "engine/volume/known_volumes.h"

namespace engine {

class LocalEngine final : public Engine {
 public:
  LocalEngine(std::vector<PoolSpec> pools, std::vector<VolumeSpec> volumes, EngineOptions options);

  [[nodiscard]] std::vector<Volume*> volumes() const override;
  [[nodiscard]] Volume* find(const std::string& name) const override;
  [[nodiscard]] std::vector<PoolStatus> pools() const override;
  [[nodiscard]] std::vector<Finding> findings() const override;
  void observe(VolumeObserver* observer) override;
  bool retry_late() override;
  Result<void, std::string> grow(const std::string& name, ByteCount new_size) override;

 private:
  struct Slot {
    VolumeSpec spec;
    std::unique_ptr<BackedVolume> volume;
    // Which kind of backing it has, once online; owned by the volume.
    FileDevice* file = nullptr;
    MemoryDevice* memory = nullptr;
    Finding::About reason_about = Finding::About::volume;  // what its reason speaks of
  };
  struct Pool {
    PoolSpec spec;
    std::uint32_t backing_number = 0;  // IoSource::backing: what hangs together
    std::vector<Slot*> slots;
    std::unique_ptr<FilePool> files;  // null while not open, and for memory
    std::optional<PoolError> error;   // why it is not open
    std::string note;
  };

  // Opens the pool if it is not open, and brings up whatever of it is late or failed.
  void bring_up(Pool& pool);
  void bring_up_memory(Slot& slot);
  void bring_up_file(Pool& pool, Slot& slot, const VolumeRecord& record);
  // What retrying found; a volume that cannot be as configured is refused.
  static void stay_down(Slot& slot, const PoolError& error);
  static void stay_down(Slot& slot, const std::string& reason);
  void save_known();
  // Gives a late volume the identity and size of `record`, unless it has one.
  static void learn_identity(Slot& slot, const VolumeRecord* record);
  [[nodiscard]] Pool* pool_of(const Slot& slot);

  std::vector<std::unique_ptr<Slot>> slots_;
  std::vector<std::unique_ptr<Pool>> pools_;
  std::map<std::string, Slot*> slots_by_name_;
  KnownVolumes known_;
  std::string known_error_;  // why it could not be saved
};

}  // namespace engine
