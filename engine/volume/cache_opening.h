// Opening a cache device as the configuration asks for it: judged here once, for who serves it and
// for who only looks.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "engine/cache/cache_device.h"
#include "engine/media/backing_marker.h"
#include "engine/media/memory_reservation.h"
#include "engine/media/pmem_region.h"
#include "engine/pool/cache_binding.h"
#include "engine/volume/engine.h"
#include "engine/volume/finding.h"

namespace engine {

struct OpenedCache {
  std::unique_ptr<PmemRegion> region;
  std::unique_ptr<CacheDevice> device;
};
// With Access::inspect nothing is written or locked; who serves it may go on meanwhile. Error: what
// is not as asked for.
[[nodiscard]] Result<OpenedCache, Finding> open_cache(const CacheSpec& spec,
                                                      CacheDevice::Access access);

// Whether the image alone is not the volume, and what is told while the device is not there.
[[nodiscard]] bool lacks_writes(const CacheBinding& binding);
[[nodiscard]] std::string without_device_text(const std::string& reason,
                                              const CacheBinding& binding);
// What an operator may do then, and what comes of it: `mark` is that beside the image; null: not
// known.
[[nodiscard]] std::string if_lost_text(const std::string& volume, const Uuid& cache,
                                       const BackingMark* mark);

// What the device takes of the cap while it is open. Error: the cap is too small, and what it would
// have to be for everybody who has asked so far.
[[nodiscard]] Result<void, Finding> reserve_memory(const CacheSpec& spec, ByteCount wanted,
                                                   const MemoryBudget& budget,
                                                   MemoryReservation& reservation);

// What the volume may have of the device, from now on. Error: it cannot be promised.
[[nodiscard]] Result<void, Finding> set_share(CacheDevice& device, std::uint32_t volume_tag,
                                              const std::string& volume,
                                              const VolumeCacheSpec& spec);

// Whether what the device has belongs to the volume's image, as its pool's record tells of it.
struct CacheJudgement {
  CacheVerdict verdict = CacheVerdict::attach;
  std::optional<std::uint32_t> slot;      // of the volume on the device
  std::optional<CacheContents> contents;  // what it has of it
  std::string refusal;                    // why it is not served so; empty: it is
  // Whether, and how, it may go on without: behind the refusal.
  [[nodiscard]] std::string way_out(const std::string& volume, const CacheBinding& binding,
                                    const Uuid& device, const BackingMark* mark) const;
};
[[nodiscard]] CacheJudgement judge_volume(CacheDevice& device, const std::string& device_name,
                                          const Uuid& volume, const CacheBinding& binding);

}  // namespace engine
