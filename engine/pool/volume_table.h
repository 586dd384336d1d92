// VolumeTable: the volumes of a pool and their identities. docs/pool-format.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "engine/foundation/result.h"
#include "engine/foundation/units.h"
#include "engine/foundation/uuid.h"
#include "engine/pool/cache_binding.h"
#include "engine/pool/kept_reservations.h"
#include "engine/pool/lost_ranges.h"
#include "engine/pool/pool_error.h"
#include "engine/pool/provisioning.h"

namespace engine {

struct VolumeRecord {
  Uuid uuid;
  std::string name;
  std::string image;  // file name in the pool's directory
  ByteCount size;
  BlockSize block_size;
  std::uint64_t created_ms = 0;  // since 1970-01-01 UTC
  bool ready = false;            // false: being made, no host has seen it; or
  bool destroying = false;       // its files are being removed
  // What the configuration asked for when it was grown online, beyond that; zero: never was. A
  // configuration that still says so (or more) lags behind; one that says less wants it shrunk.
  ByteCount configured{};
  CacheBinding cache{};
  LostRanges lost{};
  Provisioning provisioning = Provisioning::thick;
  KeptReservations reservations{};
  bool write_protected = false;  // as its operator or a host has said: nobody writes it
  bool formatting = false;       // all of it is to be zeros before anybody is served
  bool blocks_by_host = false;   // a host's format has set the block size, whatever is configured
  friend bool operator==(const VolumeRecord&, const VolumeRecord&) = default;
};

// Invariants: names, images and UUIDs are each unique; see valid() for one record.
struct VolumeTable {
  Uuid pool_uuid;
  std::uint64_t sequence = 0;
  std::vector<VolumeRecord> records;

  static constexpr std::size_t most_records = 65536;
  static constexpr std::size_t most_registrants = 65536;  // of all volumes together
  static constexpr std::size_t longest_name = 128;
  static constexpr std::size_t longest_image = 140;

  [[nodiscard]] VolumeRecord* find(const std::string& name);
  // For the image of a new volume of that name: NAME.raw, unless that is another's already, which
  // has been renamed or adopted.
  [[nodiscard]] std::string free_image(const std::string& name) const;
  friend bool operator==(const VolumeTable&, const VolumeTable&) = default;
};

// True for what may be the name of a volume: 1 to longest_name of A-Z a-z 0-9 . _ - and no dot in
// front.
[[nodiscard]] bool is_volume_name(const std::string& name);
// True for what may be the name of an image that somebody else has made: the same, to
// longest_image, and .raw behind it.
[[nodiscard]] bool is_image_name(const std::string& name);
// True if a table may contain `record`: names, size a multiple of a block of 512 or 4096, UUID.
[[nodiscard]] bool valid(const VolumeRecord& record);

[[nodiscard]] std::vector<std::byte> encode(const VolumeTable& table);
// How many registrants all its volumes have.
[[nodiscard]] std::size_t count_registrants(const VolumeTable& table);
// Errors: damaged, unsupported.
[[nodiscard]] Result<VolumeTable, PoolError> decode_volume_table(std::span<const std::byte> bytes);
// The longest encoding: no more is read of a file.
[[nodiscard]] std::size_t longest_volume_table();

}  // namespace engine
