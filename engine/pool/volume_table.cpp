#include "engine/pool/volume_table.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <set>
#include <string_view>

#include "engine/format/pool_format.h"
#include "engine/foundation/check.h"
#include "engine/foundation/guard.h"
#include "engine/pool/checked_struct.h"
#include "engine/pool/registrant_entries.h"

namespace engine {
namespace {

static_assert(VolumeTable::longest_name == sizeof(format::VolumeEntry::name));
static_assert(VolumeTable::longest_image == sizeof(format::VolumeEntry::image));
static_assert(LostRanges::most == format::most_lost_ranges);

PoolError volume_table_damaged(const std::string& what) {
  return {PoolError::Kind::damaged, "the volume table is damaged (" + what + ")"};
}

PoolError unsupported_table(const std::string& what) {
  return {PoolError::Kind::unsupported,
          "the volume table " + what + ", which this version does not know; use a newer Forebay"};
}

bool is_file_name(const std::string& name, std::size_t longest) {
  if (name.empty() || name.size() > longest || name.front() == '.') return false;
  return std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
  });
}

// nullopt unless exactly `length` characters are used and the rest is zero.
template <std::size_t size>
std::optional<std::string> text_of(const std::array<char, size>& field, std::size_t length) {
  if (length > size) return std::nullopt;
  const std::string_view whole(field.data(), size);
  if (whole.substr(length).find_first_not_of('\0') != std::string_view::npos) return std::nullopt;
  return std::string(whole.substr(0, length));
}

void encode_lost(const LostRanges& lost, format::VolumeEntry& entry) {
  CHECK(lost.all().size() <= entry.lost.size());
  for (const LostRange& range : lost.all()) {
    format::LostRangeEntry& to = entry.lost[entry.lost_count];
    entry.lost_count = entry.lost_count + 1;
    to.sector = range.begin.value;
    to.sectors = static_cast<std::uint32_t>(range.count.value);
  }
}

// nullopt if it is not what encode_lost() makes of such a list.
std::optional<LostRanges> decode_lost(const format::VolumeEntry& entry) {
  LostRanges lost;
  std::uint64_t free_from = 0;
  for (std::size_t at = 0; at < entry.lost.size(); ++at) {
    const LostRange range{.begin = {entry.lost[at].sector}, .count = {entry.lost[at].sectors}};
    if (at >= entry.lost_count) {
      if (range != LostRange{}) return std::nullopt;
      continue;
    }
    const bool is_behind = at == 0 || range.begin.value > free_from;
    if (range.count.value == 0 || !is_behind || range.begin.value > entry.size_bytes / 512) {
      return std::nullopt;
    }
    free_from = range.end().value;
    lost.append(range);
  }
  if (entry.lost_count > entry.lost.size()) return std::nullopt;
  return lost;
}

format::VolumeEntryState state_of(const VolumeRecord& record) {
  using State = format::VolumeEntryState;
  if (record.destroying) return State::destroying;
  return record.ready ? State::ready : State::creating;
}

format::VolumeEntry encode_entry(const VolumeRecord& record) {
  CHECK(valid(record));
  format::VolumeEntry entry{};
  entry.state = static_cast<std::uint32_t>(state_of(record));
  entry.uuid = record.uuid.bytes;
  entry.size_bytes = record.size.value;
  entry.block_bytes = record.block_size.bytes;
  entry.provisioning = static_cast<std::uint32_t>(record.provisioning);
  entry.created_ms = record.created_ms;
  entry.configured_bytes = record.configured.value;
  entry.cache_uuid = record.cache.device.bytes;
  entry.cache_epoch = record.cache.epoch;
  entry.cache_state = static_cast<std::uint32_t>(record.cache.state);
  encode_lost(record.lost, entry);
  encode_reservations(record.reservations, entry);
  if (record.write_protected) entry.flags = entry.flags | format::flag_write_protected;
  if (record.formatting) entry.flags = entry.flags | format::flag_formatting;
  entry.blocks_by_host = record.blocks_by_host ? 1 : 0;
  entry.name_length = static_cast<std::uint16_t>(record.name.size());
  entry.image_length = static_cast<std::uint16_t>(record.image.size());
  std::copy(record.name.begin(), record.name.end(), entry.name.begin());
  std::copy(record.image.begin(), record.image.end(), entry.image.begin());
  seal(entry);
  return entry;
}

Result<VolumeRecord, PoolError> decode_entry(const format::VolumeEntry& entry) {
  if (GUARD("volume table crc") && !is_sealed(entry))
    return volume_table_damaged("the checksum of an entry does not match");
  const auto state = static_cast<format::VolumeEntryState>(entry.state.value());
  if (state < format::VolumeEntryState::creating || state > format::VolumeEntryState::destroying) {
    return unsupported_table("has a volume in state " + std::to_string(entry.state));
  }
  const auto provisioning = static_cast<Provisioning>(entry.provisioning.value());
  if (provisioning != Provisioning::thick && provisioning != Provisioning::thin) {
    return unsupported_table("has a volume with provisioning " +
                             std::to_string(entry.provisioning));
  }
  if (entry.cache_state > static_cast<std::uint32_t>(format::CacheBindingState::dirty)) {
    return unsupported_table("has a cache binding in state " + std::to_string(entry.cache_state));
  }
  constexpr std::uint32_t known_flags =
      format::flag_reservations_persist | format::flag_write_protected | format::flag_formatting;
  if ((entry.flags & ~known_flags) != 0) {
    return unsupported_table("has a volume with flags " + std::to_string(entry.flags));
  }
  const auto name = text_of(entry.name, entry.name_length);
  const auto image = text_of(entry.image, entry.image_length);
  if (!name || !image) return volume_table_damaged("a name is too long");
  const auto lost = decode_lost(entry);
  if (!lost) return volume_table_damaged("a list of what is lost is impossible");
  VolumeRecord record{
      .uuid = {entry.uuid},
      .name = *name,
      .image = *image,
      .size = {entry.size_bytes},
      .block_size = {entry.block_bytes},
      .created_ms = entry.created_ms,
      .ready = state == format::VolumeEntryState::ready,
      .destroying = state == format::VolumeEntryState::destroying,
      .configured = {entry.configured_bytes},
      .cache = {.device = {entry.cache_uuid},
                .epoch = entry.cache_epoch,
                .state = static_cast<format::CacheBindingState>(entry.cache_state.value())},
      .lost = *lost,
      .provisioning = provisioning,
      .reservations = decode_reservations(entry),
      .write_protected = (entry.flags & format::flag_write_protected) != 0,
      .formatting = (entry.flags & format::flag_formatting) != 0,
      .blocks_by_host = entry.blocks_by_host != 0};
  return record;
}

// Those of each volume stand together, in the order of the volumes; `counts` as the entries say.
Result<void, PoolError> read_registrants(ByteReader& reader,
                                         const std::vector<std::uint32_t>& counts,
                                         std::vector<VolumeRecord>& records) {
  for (std::size_t volume = 0; volume < counts.size(); ++volume) {
    for (std::uint32_t at = 0; at < counts[volume]; ++at) {
      const auto entry = reader.read<format::RegistrantEntry>();
      if (!entry || entry->volume != volume) {
        return volume_table_damaged("registrants are missing, or not in order");
      }
      auto registrant = decode_registrant(*entry);
      if (!registrant) return volume_table_damaged("a registrant is rotten or impossible");
      records[volume].reservations.registrants.push_back(std::move(*registrant));
    }
  }
  if (reader.remaining() != 0) return volume_table_damaged("somebody else's registrants are there");
  return boost::outcome_v2::success();
}

// Who does not know what these say must not serve the images.
std::uint64_t features_of(const VolumeTable& table) {
  std::uint64_t features = 0;
  for (const VolumeRecord& record : table.records) {
    if (record.cache.epoch != 0) features |= format::feature_cache_bindings;
    if (!record.lost.empty()) features |= format::feature_lost_ranges;
    if (record.reservations.persists) features |= format::feature_reservations;
    if (record.write_protected) features |= format::feature_write_protection;
    if (record.formatting) features |= format::feature_formatting;
  }
  return features;
}

}  // namespace

VolumeRecord* VolumeTable::find(const std::string& name) {
  const auto found =
      std::find_if(records.begin(), records.end(),
                   [&name](const VolumeRecord& record) { return record.name == name; });
  return found == records.end() ? nullptr : &*found;
}

std::string VolumeTable::free_image(const std::string& name) const {
  const auto is_taken = [this](const std::string& image) {
    return std::ranges::any_of(records,
                               [&image](const auto& record) { return record.image == image; });
  };
  std::string image = name + ".raw";
  for (unsigned number = 2; is_taken(image); ++number) {
    image = name + "." + std::to_string(number) + ".raw";
  }
  return image;
}

bool is_volume_name(const std::string& name) {
  return is_file_name(name, VolumeTable::longest_name);
}

bool is_image_name(const std::string& name) {
  return is_file_name(name, VolumeTable::longest_image) && name.ends_with(".raw");
}

bool valid(const VolumeRecord& record) {
  const std::uint32_t block = record.block_size.bytes;
  return is_volume_name(record.name) && is_file_name(record.image, VolumeTable::longest_image) &&
         !record.uuid.is_nil() && (block == 512 || block == 4096) && record.size.value != 0 &&
         record.size.value % block == 0 && record.configured <= record.size &&
         is_possible(record.cache) && !(record.ready && record.destroying) &&
         record.lost.end().value <= record.size.value / 512 && valid(record.reservations) &&
         record.size.value <=
             static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()) / 2;
}

std::vector<std::byte> encode(const VolumeTable& table) {
  CHECK(table.records.size() <= VolumeTable::most_records &&
        count_registrants(table) <= VolumeTable::most_registrants);
  format::VolumeTableHeader header{};
  header.magic = format::volume_table_magic;
  header.version = format::pool_format_version;
  header.pool_uuid = table.pool_uuid.bytes;
  header.sequence = table.sequence;
  header.entries = static_cast<std::uint32_t>(table.records.size());
  header.entry_bytes = sizeof(format::VolumeEntry);
  header.features.incompatible = features_of(table);
  header.registrants = static_cast<std::uint32_t>(count_registrants(table));
  seal(header);
  std::vector<std::byte> bytes;
  bytes.reserve(sizeof(header) + table.records.size() * sizeof(format::VolumeEntry) +
                header.registrants * sizeof(format::RegistrantEntry));
  append(bytes, header);
  for (const VolumeRecord& record : table.records) append(bytes, encode_entry(record));
  for (std::size_t volume = 0; volume < table.records.size(); ++volume) {
    append_registrants(table.records[volume].reservations, volume, bytes);
  }
  return bytes;
}

std::size_t count_registrants(const VolumeTable& table) {
  std::size_t count = 0;
  for (const VolumeRecord& record : table.records) count += record.reservations.registrants.size();
  return count;
}

Result<VolumeTable, PoolError> decode_volume_table(std::span<const std::byte> bytes) {
  ByteReader reader(bytes);
  const auto header = reader.read<format::VolumeTableHeader>();
  if (!header) return volume_table_damaged("it is too short");
  if (header->magic != format::volume_table_magic)
    return volume_table_damaged("it does not begin as a table does");
  if (GUARD("volume table crc") && !is_sealed(*header))
    return volume_table_damaged("its checksum does not match");
  if (header->version != format::pool_format_version) {
    return unsupported_table("has format version " + std::to_string(header->version));
  }
  constexpr std::uint64_t known_features =
      format::feature_cache_bindings | format::feature_lost_ranges | format::feature_reservations |
      format::feature_write_protection | format::feature_formatting;
  if (header->features.read_only != 0 || (header->features.incompatible & ~known_features) != 0) {
    return unsupported_table("asks for features");
  }
  if (header->entry_bytes != sizeof(format::VolumeEntry) ||
      header->entries > VolumeTable::most_records ||
      header->registrants > VolumeTable::most_registrants) {
    return volume_table_damaged("its dimensions are impossible");
  }
  if (reader.remaining() != header->entries * sizeof(format::VolumeEntry) +
                                header->registrants * sizeof(format::RegistrantEntry)) {
    return volume_table_damaged("its length does not match its number of entries");
  }
  VolumeTable table{.pool_uuid = {header->pool_uuid}, .sequence = header->sequence, .records = {}};
  std::set<std::string> names;
  std::set<std::string> images;
  std::set<Uuid> uuids;
  std::vector<std::uint32_t> registrants;
  for (std::uint32_t at = 0; at < header->entries; ++at) {
    const auto entry = *reader.read<format::VolumeEntry>();
    TRY(auto record, decode_entry(entry));
    registrants.push_back(entry.registrants);
    if (!names.insert(record.name).second || !images.insert(record.image).second ||
        !uuids.insert(record.uuid).second) {
      return volume_table_damaged("volume \"" + record.name + "\" is there twice");
    }
    table.records.push_back(std::move(record));
  }
  TRY(read_registrants(reader, registrants, table.records));
  for (const VolumeRecord& record : table.records) {
    if (!valid(record)) return volume_table_damaged("an entry has impossible values");
  }
  if (features_of(table) != header->features.incompatible) {
    return volume_table_damaged("its features do not match its entries");
  }
  return table;
}

std::size_t longest_volume_table() {
  return sizeof(format::VolumeTableHeader) +
         VolumeTable::most_records * sizeof(format::VolumeEntry) +
         VolumeTable::most_registrants * sizeof(format::RegistrantEntry) + 1;
}

}  // namespace engine
