#include "engine/pool/device_table.h"

#include <algorithm>
#include <set>
#include <string_view>
#include <utility>

#include "engine/format/pool_format.h"
#include "engine/foundation/check.h"
#include "engine/foundation/guard.h"
#include "engine/pool/checked_struct.h"

namespace engine {
namespace {

static_assert(MemberRecord::longest_path == sizeof(format::DeviceMemberEntry::path));
static_assert(MemberRecord::longest_serial == sizeof(format::DeviceMemberEntry::serial));

PoolError table_damaged(const std::string& what) {
  return {PoolError::Kind::damaged, "the pool's table is damaged (" + what + ")"};
}

PoolError unsupported_table(const std::string& what) {
  return {PoolError::Kind::unsupported,
          "the pool's table " + what + ", which this version does not know; use a newer Forebay"};
}

bool is_printable(char c) { return c >= ' ' && c <= '~'; }

template <std::size_t size>
void put_text(const std::string& text, std::array<char, size>& field,
              format::little_uint16_t& length) {
  CHECK(text.size() <= size && std::ranges::all_of(text, is_printable));
  std::ranges::copy(text, field.begin());
  length = static_cast<std::uint16_t>(text.size());
}

// nullopt unless exactly `length` printable characters are used and the rest is zero.
template <std::size_t size>
std::optional<std::string> take_text(const std::array<char, size>& field, std::size_t length) {
  if (length > size) return std::nullopt;
  const std::string_view whole(field.data(), size);
  const auto text = whole.substr(0, length);
  if (whole.substr(length).find_first_not_of('\0') != std::string_view::npos ||
      !std::ranges::all_of(text, is_printable)) {
    return std::nullopt;
  }
  return std::string(text);
}

std::uint64_t whole_blocks(std::uint64_t bytes) {
  constexpr std::uint64_t block = format::label_block_bytes;
  return (bytes + block - 1) / block * block;
}

std::uint64_t volume_table_bytes(std::uint64_t volumes) {
  return sizeof(format::VolumeTableHeader) + volumes * sizeof(format::VolumeEntry);
}

std::uint64_t body_bytes(std::uint64_t members, std::uint64_t volumes, std::uint64_t runs,
                         std::uint64_t registrants) {
  return members * sizeof(format::DeviceMemberEntry) + volumes * sizeof(format::DeviceVolumeEntry) +
         runs * sizeof(format::DeviceRunEntry) + volume_table_bytes(volumes) +
         registrants * sizeof(format::RegistrantEntry);
}

std::size_t count_runs(const DeviceTable& table) {
  std::size_t count = 0;
  for (const VolumePlace& place : table.places) count += place.runs.size();
  return count;
}

// ---- what cannot be

bool are_in_order(const std::vector<ExtentRun>& runs, std::uint64_t pool_units) {
  std::uint64_t next = 0;
  std::uint64_t end_before = ~std::uint64_t{0};
  for (const ExtentRun& run : runs) {
    const bool is_in_pool =
        run.count != 0 && run.pool_unit < pool_units && run.count <= pool_units - run.pool_unit;
    if (!is_in_pool || run.volume_unit != next || run.pool_unit == end_before) return false;
    next += run.count;
    end_before = run.pool_unit + run.count;
  }
  return true;
}

bool overlap(const std::vector<VolumePlace>& places) {
  std::vector<std::pair<std::uint64_t, std::uint64_t>> taken;
  for (const VolumePlace& place : places) {
    for (const ExtentRun& run : place.runs) {
      taken.emplace_back(run.pool_unit, run.pool_unit + run.count);
    }
  }
  std::ranges::sort(taken);
  for (std::size_t at = 1; at < taken.size(); ++at) {
    if (taken[at].first < taken[at - 1].second) return true;
  }
  return false;
}

bool has_its_units(const VolumeRecord& record, const VolumePlace& place, const PoolShape& shape) {
  const std::uint64_t seen = shape.units_for(record.size);
  if (place.zeroed_units > place.units()) return false;
  return record.ready ? place.zeroed_units >= seen : place.units() == seen;
}

// ---- entries

format::DeviceMemberEntry entry_of(const MemberRecord& member) {
  format::DeviceMemberEntry entry{};
  entry.uuid = member.uuid.bytes;
  entry.slices = member.slices;
  entry.added_ms = member.added_ms;
  put_text(member.path, entry.path, entry.path_length);
  put_text(member.serial, entry.serial, entry.serial_length);
  entry.absent_from = member.absent_from;
  entry.absent_at = member.absent_at;
  return entry;
}

std::optional<MemberRecord> record_of(const format::DeviceMemberEntry& entry) {
  const auto path = take_text(entry.path, entry.path_length);
  const auto serial = take_text(entry.serial, entry.serial_length);
  if (!path || !serial) return std::nullopt;
  return MemberRecord{.uuid = {entry.uuid},
                      .slices = entry.slices,
                      .added_ms = entry.added_ms,
                      .path = *path,
                      .serial = *serial,
                      .absent_from = entry.absent_from,
                      .absent_at = entry.absent_at};
}

// No pool changes so often; numbers behind it can be counted on without an overflow.
constexpr std::uint64_t highest_number = std::uint64_t{1} << 62;

constexpr std::uint64_t device_table_features =
    format::feature_device_registrants | format::feature_device_absent;

bool has_feature(const format::DeviceTableHeader& header, std::uint64_t feature) {
  return (header.features.incompatible & feature) != 0;
}

bool has_absent_member(const DeviceTable& table) {
  return std::ranges::any_of(table.members,
                             [](const MemberRecord& member) { return member.absent_from != 0; });
}

Result<format::DeviceTableHeader, PoolError> read_header(std::span<const std::byte> bytes,
                                                         const MemberLabel& label) {
  const auto header = ByteReader(bytes).read<format::DeviceTableHeader>();
  if (!header) return table_damaged("it is too short");
  if (header->magic != format::device_table_magic) {
    return table_damaged("it does not begin as a table does");
  }
  if (GUARD("device table crc") && !is_sealed(*header)) {
    return table_damaged("its checksum does not match");
  }
  if (Uuid{header->pool_uuid} != label.pool) return table_damaged("it belongs to another pool");
  if (header->version != format::device_pool_version) {
    return unsupported_table("has format version " + std::to_string(header->version));
  }
  if (header->features.read_only != 0 ||
      (header->features.incompatible & ~device_table_features) != 0) {
    return unsupported_table("asks for features");
  }
  const bool are_possible =
      header->members != 0 && header->members <= format::most_members &&
      header->volumes <= label.area.marker_places && header->runs <= label.area.slot_bytes.value &&
      header->registrants <= VolumeTable::most_registrants &&
      (header->registrants != 0) == has_feature(*header, format::feature_device_registrants);
  if (!are_possible ||
      header->body_bytes !=
          body_bytes(header->members, header->volumes, header->runs, header->registrants) ||
      header->body_bytes > label.area.slot_bytes.value - sizeof(*header) ||
      header->previous > header->sequence || header->changed > header->sequence ||
      header->sequence > highest_number) {
    return table_damaged("its dimensions are impossible");
  }
  return *header;
}

// The volume numbers of all runs are below places.size() afterwards.
Result<void, PoolError> read_runs(ByteReader& reader, std::uint32_t count,
                                  std::vector<VolumePlace>& places) {
  std::uint32_t volume_before = 0;
  for (std::uint32_t at = 0; at < count; ++at) {
    const auto entry = *reader.read<format::DeviceRunEntry>();
    if (entry.kind != static_cast<std::uint32_t>(format::DeviceRunKind::data)) {
      return unsupported_table("has extents of kind " + std::to_string(entry.kind));
    }
    if (entry.volume >= places.size() || entry.volume < volume_before) {
      return table_damaged("its extents are not in order");
    }
    volume_before = entry.volume;
    places[entry.volume].runs.push_back(
        {.volume_unit = entry.volume_unit, .pool_unit = entry.pool_unit, .count = entry.units});
  }
  return success();
}

}  // namespace

std::optional<std::size_t> DeviceTable::find(const std::string& name) const {
  for (std::size_t at = 0; at < volumes.records.size(); ++at) {
    if (volumes.records[at].name == name) return at;
  }
  return std::nullopt;
}

void DeviceTable::erase(std::size_t volume) {
  const auto at = static_cast<std::ptrdiff_t>(volume);
  volumes.records.erase(volumes.records.begin() + at);
  places.erase(places.begin() + at);
}

bool say_the_same(const DeviceTable& one, const DeviceTable& other) {
  DeviceTable likened = other;
  likened.previous = one.previous;
  likened.changed = one.changed;
  likened.volumes.sequence = one.volumes.sequence;
  if (likened.members.size() != one.members.size()) return false;
  for (std::size_t at = 0; at < one.members.size(); ++at) {
    likened.members[at].absent_from = one.members[at].absent_from;
    likened.members[at].absent_at = one.members[at].absent_at;
  }
  return likened == one;
}

PoolShape shape_of(const MemberLabel& label, std::span<const MemberRecord> members) {
  PoolShape shape{.layout = label.layout,
                  .chunk = label.chunk,
                  .slice = label.slice,
                  .data_offset = label.area.bytes,
                  .member_slices = {}};
  for (const MemberRecord& member : members) shape.member_slices.push_back(member.slices);
  return shape;
}

std::string contradiction_in(const DeviceTable& table, const MemberLabel& label) {
  const PoolShape shape = shape_of(label, table.members);
  if (!valid(shape)) return "its members are impossible";
  std::set<Uuid> members;
  for (const MemberRecord& member : table.members) {
    if (member.uuid.is_nil() || !members.insert(member.uuid).second) {
      return "a member is there twice";
    }
    if (std::max(member.absent_from, member.absent_at) > table.volumes.sequence) {
      return "a member lacks what is not there yet";
    }
  }
  if (std::ranges::all_of(table.members,
                          [](const MemberRecord& member) { return member.absent_from != 0; })) {
    return "it was written without any member";
  }
  if (table.places.size() != table.volumes.records.size()) return "a volume has no place";
  std::set<std::uint32_t> markers;
  for (std::size_t at = 0; at < table.places.size(); ++at) {
    const VolumeRecord& record = table.volumes.records[at];
    const VolumePlace& place = table.places[at];
    if (record.destroying) return "volume \"" + record.name + "\" is in an impossible state";
    if (place.marker_member >= table.members.size() ||
        place.marker_place >= label.area.marker_places ||
        !markers.insert(place.marker_place).second) {
      return "the marker of volume \"" + record.name + "\" is at an impossible place";
    }
    if (!are_in_order(place.runs, shape.units())) {
      return "the extents of volume \"" + record.name + "\" are impossible";
    }
    if (!has_its_units(record, place, shape)) {
      return "the extents of volume \"" + record.name + "\" do not match its size";
    }
  }
  if (GUARD("overlapping extents") && overlap(table.places)) return "two extents overlap";
  return {};
}

std::string printable_hint(const std::string& text, std::size_t longest) {
  std::string hint = text.size() > longest ? text.substr(text.size() - longest) : text;
  std::ranges::replace_if(
      hint, [](char c) { return !is_printable(c); }, '?');
  return hint;
}

ByteCount encoded_bytes(const DeviceTable& table) {
  return {sizeof(format::DeviceTableHeader) +
          whole_blocks(body_bytes(table.members.size(), table.volumes.records.size(),
                                  count_runs(table), count_registrants(table.volumes)))};
}

std::vector<std::byte> encode(const DeviceTable& table) {
  CHECK(table.places.size() == table.volumes.records.size());
  std::vector<std::byte> body;
  for (const MemberRecord& member : table.members) append(body, entry_of(member));
  for (const VolumePlace& place : table.places) {
    format::DeviceVolumeEntry entry{};
    entry.marker_member = place.marker_member;
    entry.marker_place = place.marker_place;
    entry.zeroed_units = place.zeroed_units;
    append(body, entry);
  }
  for (std::size_t volume = 0; volume < table.places.size(); ++volume) {
    for (const ExtentRun& run : table.places[volume].runs) {
      format::DeviceRunEntry entry{};
      entry.volume = static_cast<std::uint32_t>(volume);
      entry.kind = static_cast<std::uint32_t>(format::DeviceRunKind::data);
      entry.volume_unit = run.volume_unit;
      entry.pool_unit = run.pool_unit;
      entry.units = run.count;
      append(body, entry);
    }
  }
  const auto volumes = encode(table.volumes);
  body.insert(body.end(), volumes.begin(), volumes.end());

  format::DeviceTableHeader header{};
  header.magic = format::device_table_magic;
  header.version = format::device_pool_version;
  header.pool_uuid = table.volumes.pool_uuid.bytes;
  header.sequence = table.volumes.sequence;
  header.previous = table.previous;
  header.changed = table.changed;
  header.members = static_cast<std::uint32_t>(table.members.size());
  header.volumes = static_cast<std::uint32_t>(table.volumes.records.size());
  header.runs = static_cast<std::uint32_t>(count_runs(table));
  header.registrants = static_cast<std::uint32_t>(count_registrants(table.volumes));
  std::uint64_t features = header.registrants != 0 ? format::feature_device_registrants : 0;
  if (has_absent_member(table)) features |= format::feature_device_absent;
  header.features.incompatible = features;
  header.body_crc = crc32c(body);
  header.body_bytes = body.size();
  seal(header);
  std::vector<std::byte> bytes;
  bytes.reserve(encoded_bytes(table).value);
  append(bytes, header);
  bytes.insert(bytes.end(), body.begin(), body.end());
  bytes.resize(encoded_bytes(table).value);
  return bytes;
}

Result<DeviceTableExtent, PoolError> decode_device_table_header(std::span<const std::byte> block,
                                                                const MemberLabel& label) {
  TRY(const auto header, read_header(block, label));
  return DeviceTableExtent{.bytes = {sizeof(header) + whole_blocks(header.body_bytes)},
                           .sequence = header.sequence};
}

Result<DeviceTable, PoolError> decode_device_table(std::span<const std::byte> bytes,
                                                   const MemberLabel& label) {
  TRY(const auto header, read_header(bytes, label));
  if (bytes.size() != sizeof(header) + whole_blocks(header.body_bytes)) {
    return table_damaged("its length does not match its header");
  }
  const auto body = bytes.subspan(sizeof(header), header.body_bytes);
  if (GUARD("device table crc") && crc32c(body) != header.body_crc) {
    return table_damaged("the checksum of its contents does not match");
  }
  ByteReader reader(body);
  DeviceTable table{.volumes = {},
                    .previous = header.previous,
                    .members = {},
                    .places = {},
                    .changed = header.changed};
  for (std::uint32_t at = 0; at < header.members; ++at) {
    auto member = record_of(*reader.read<format::DeviceMemberEntry>());
    if (!member) return table_damaged("the text of a member is impossible");
    table.members.push_back(std::move(*member));
  }
  if (has_absent_member(table) != has_feature(header, format::feature_device_absent)) {
    return table_damaged("its features do not match its members");
  }
  for (std::uint32_t at = 0; at < header.volumes; ++at) {
    const auto entry = *reader.read<format::DeviceVolumeEntry>();
    table.places.push_back({.marker_member = entry.marker_member,
                            .marker_place = entry.marker_place,
                            .zeroed_units = entry.zeroed_units,
                            .runs = {}});
  }
  TRY(read_runs(reader, header.runs, table.places));
  TRY(table.volumes, decode_volume_table(reader.rest()));
  if (table.volumes.pool_uuid != label.pool || table.volumes.sequence != header.sequence) {
    return table_damaged("its volumes are of another table");
  }
  if (const std::string contradiction = contradiction_in(table, label); !contradiction.empty()) {
    return table_damaged(contradiction);
  }
  return table;
}

}  // namespace engine
