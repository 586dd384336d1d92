// DeviceTable: the members, the volumes and their extents of a device pool, in one image that is
// replaced as a whole. docs/pool-format.md, "Device pool".
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/foundation/result.h"
#include "engine/pool/extent_map.h"
#include "engine/pool/member_label.h"
#include "engine/pool/volume_table.h"

namespace engine {

struct MemberRecord {
  Uuid uuid;
  std::uint64_t slices = 0;
  std::uint64_t added_ms = 0;  // since 1970-01-01 UTC
  // Where it was last, and what it was called, for messages alone; see printable_hint().
  std::string path;
  std::string serial;
  // 0: it has every table. Else the table was written without it; those from this number on may be
  // missing on it, and the others went on from `absent_at`.
  std::uint64_t absent_from = 0;
  std::uint64_t absent_at = 0;
  friend bool operator==(const MemberRecord&, const MemberRecord&) = default;

  static constexpr std::size_t longest_path = 256;
  static constexpr std::size_t longest_serial = 128;
};

// What of a volume the volume table does not say.
struct VolumePlace {
  std::uint32_t marker_member = 0;  // index of the member that has its marker
  std::uint32_t marker_place = 0;   // in that one's label area; no other volume has it
  std::uint64_t zeroed_units = 0;   // of its units, from the first; behind them is anything
  std::vector<ExtentRun> runs;      // in order; neighbours are one run
  [[nodiscard]] std::uint64_t units() const {
    return runs.empty() ? 0 : runs.back().volume_unit + runs.back().count;
  }
  friend bool operator==(const VolumePlace&, const VolumePlace&) = default;
};

// Invariants: contradiction_in().
struct DeviceTable {
  VolumeTable volumes;                // with the pool's UUID and the sequence of the whole
  std::uint64_t previous = 0;         // the highest that was whole everywhere before this was begun
  std::vector<MemberRecord> members;  // by index
  std::vector<VolumePlace> places;    // of volumes.records, in the same order
  std::uint64_t changed = 0;          // 0: by this one; else see last_change()

  // The number of the last table that changed something else than which members are there.
  [[nodiscard]] std::uint64_t last_change() const {
    return changed != 0 ? changed : volumes.sequence;
  }
  // The number of the volume's record and place; nullopt: none has that name.
  [[nodiscard]] std::optional<std::size_t> find(const std::string& name) const;
  void erase(std::size_t volume);
  friend bool operator==(const DeviceTable&, const DeviceTable&) = default;
};

// Whether the pool is the same in both, whoever was there when they were written.
[[nodiscard]] bool say_the_same(const DeviceTable& one, const DeviceTable& other);

// What a pool of such labels and these members looks like.
[[nodiscard]] PoolShape shape_of(const MemberLabel& label, std::span<const MemberRecord> members);

// What no table of a pool with such labels says; empty if all is well: each volume has the units
// that its size takes (a ready one may have more, for which it is to grow, but all that hosts see
// are zeroed), no two have the same unit or marker's place, nothing lies outside the members. A
// volume is never `destroying` here, as its end is one change.
[[nodiscard]] std::string contradiction_in(const DeviceTable& table, const MemberLabel& label);

// As text of a message: of any bytes; what cannot be printed becomes a question mark, and what is
// too long loses its beginning.
[[nodiscard]] std::string printable_hint(const std::string& text, std::size_t longest);

// How many bytes encode() makes.
[[nodiscard]] ByteCount encoded_bytes(const DeviceTable& table);
// Whole blocks.
[[nodiscard]] std::vector<std::byte> encode(const DeviceTable& table);

// What the first block of a slot says: how much of it is to be read.
struct DeviceTableExtent {
  ByteCount bytes;  // whole blocks, header included; at most a slot
  std::uint64_t sequence = 0;
};
// Errors: damaged (not the beginning of a table of this pool), unsupported.
[[nodiscard]] Result<DeviceTableExtent, PoolError> decode_device_table_header(
    std::span<const std::byte> block, const MemberLabel& label);
// `bytes`: as many as the header says. Errors: damaged, unsupported.
[[nodiscard]] Result<DeviceTable, PoolError> decode_device_table(std::span<const std::byte> bytes,
                                                                 const MemberLabel& label);

}  // namespace engine
