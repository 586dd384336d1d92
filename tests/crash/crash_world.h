// CrashWorld: one life of a small cache device with its volumes, between an open and a crash.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "engine/cache/recovery.h"
#include "tests/crash/volume_model.h"
#include "tests/sim/sim_clock.h"
#include "tests/sim/sim_pmem.h"
#include "tests/sim/sim_pmem_pages.h"

namespace engine::test {

inline constexpr std::uint32_t world_volumes = 2;
inline constexpr std::uint64_t world_sectors = 384;
// Across the border of two stripes of the index.
inline constexpr Sector world_base{8192 - world_sectors / 2};

// A new device; `crc`: with payload checksums.
[[nodiscard]] std::unique_ptr<SimPmem> make_world_pmem(bool crc, std::uint32_t segments);
[[nodiscard]] std::unique_ptr<SimPmemPages> make_world_pages(bool crc, std::uint32_t segments);

// Opens the device and recovers both volumes. Anything but success is a violation.
class CrashWorld {
 public:
  explicit CrashWorld(PmemRegion& pmem);
  CrashWorld(const CrashWorld&) = delete;
  CrashWorld& operator=(const CrashWorld&) = delete;
  ~CrashWorld();

  // Empty: opened, undamaged and writable.
  [[nodiscard]] const std::string& trouble() const { return trouble_; }
  // Whether all of trouble() is that a volume has no room for a new chunk: it is whole, and
  // read-only until space is reclaimed.
  [[nodiscard]] bool only_lacks_room() const { return only_lacks_room_; }
  // Whether a volume's log was reported as damaged; then it is in trouble() too.
  [[nodiscard]] bool damaged(std::uint32_t slot) const { return damaged_[slot]; }
  [[nodiscard]] bool is_open() const { return device_ != nullptr; }
  [[nodiscard]] CacheDevice& device() { return *device_; }
  [[nodiscard]] VolumeCache& volume(std::uint32_t slot) { return *volumes_[slot]; }
  [[nodiscard]] DurableWriter& writer() { return *writer_; }

  // What the volume reads as, over a backing in that state.
  [[nodiscard]] VolumeModel::State state(std::uint32_t slot, const VolumeModel::State& backing);

 private:
  target::SimClock clock_;
  std::unique_ptr<CacheDevice> device_;
  std::unique_ptr<DurableWriter> writer_;
  std::vector<std::unique_ptr<VolumeCache>> volumes_;
  std::vector<bool> damaged_;
  std::string trouble_;
  bool only_lacks_room_ = false;
};

}  // namespace engine::test
