// ReplicatedTable: a table of replicated entries, as opening reads and heals it.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/cache/cache_finding.h"
#include "engine/cache/replicated_entry.h"

namespace engine {

// The volume table or the segment table, whole.
class ReplicatedTable {
 public:
  enum class Kind : std::uint8_t { volumes, segments };

  // Reads both replicas; media errors cost single entries at most.
  ReplicatedTable(const PmemRegion& region, const CacheLayout& layout, const DeviceSeal& seal,
                  Kind kind);

  [[nodiscard]] std::size_t size() const { return readings_.size(); }
  [[nodiscard]] const EntryReading& operator[](std::size_t entry) const { return readings_[entry]; }
  // `entry` may be the end.
  [[nodiscard]] CacheLayout::Places places(std::size_t entry) const;
  // What is not as it should be, one for each bad replica.
  void report(CacheFindings& findings) const;

  // Makes both replicas equal to the newest good one and settles. What a killed process has left
  // unsettled must have been flushed and settled before: the only whole replica is never at risk.
  // An entry that is lost stays as it is.
  [[nodiscard]] Result<void, PmemError> heal(DurableWriter& writer) const;
  // Flushes both replicas whole. Does not settle.
  [[nodiscard]] Result<void, PmemError> flush(DurableWriter& writer) const;

 private:
  [[nodiscard]] format::EntryType type_of(std::size_t entry) const;
  [[nodiscard]] std::uint64_t position_of(std::size_t entry) const;
  [[nodiscard]] Result<void, PmemError> heal_page(DurableWriter& writer, std::size_t first,
                                                  std::size_t replica) const;

  const PmemRegion& region_;
  Kind kind_;
  CacheLayout::Places begin_;
  std::vector<EntryReading> readings_;
};

}  // namespace engine
