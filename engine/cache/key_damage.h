// KeyDamage: why a key of a kset that is whole cannot be followed.
#pragma once

#include <cstdint>
#include <string>

#include "engine/cache/cache_device.h"
#include "engine/cache/kset.h"

namespace engine {

// A kset that is whole and says something impossible.
struct KeyDamage {
  KeyFault fault = KeyFault::none;
  bool stale = false;  // its segment is another's now, although its data was not on the backing yet
  std::uint64_t sequence = 0;
  std::size_t key = 0;  // which of the kset
  std::uint64_t chunk = 0;
  MediaOffset place;  // of the kset, copy 0

  [[nodiscard]] bool any() const { return fault != KeyFault::none || stale; }
  [[nodiscard]] std::string text() const;
};

// What device and volume allow a key to say. Both tables must not change meanwhile.
class KeyJudge {
 public:
  KeyJudge(CacheDevice& device, std::uint32_t slot)
      : device_(device), volume_(device.volumes()[slot]), limits_(device.key_limits(slot)) {}

  // Fault and staleness; where the key stands is for the caller to add. `sequence`: of its kset.
  [[nodiscard]] KeyDamage judge(const format::Key& key, std::uint64_t sequence) const;
  // Whether the segment of a key that has a place is still the one that the key names.
  [[nodiscard]] bool is_current(const format::Key& key) const;

 private:
  CacheDevice& device_;
  const CacheVolume& volume_;
  const KeyLimits limits_;
};

}  // namespace engine
