#include "engine/cache/replicated_table.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "engine/foundation/byte_cursor.h"

namespace engine {
namespace {

constexpr std::size_t page_entries = PmemRegion::page_bytes / format::entry_bytes;
constexpr std::size_t slot_entries = sizeof(format::VolumeSlot) / format::entry_bytes;
static_assert(page_entries % slot_entries == 0);

using Page = std::array<std::optional<RawEntry>, page_entries>;

// The first `count` entries of a page. Where the page as a whole cannot be read, each by itself.
void read_page(const PmemRegion& region, MediaOffset at, std::size_t count, Page& page) {
  std::array<RawEntry, page_entries> raw;
  const auto bytes = std::as_writable_bytes(std::span(raw)).first(count * sizeof(RawEntry));
  if (region.read(at, bytes)) {
    for (std::size_t entry = 0; entry < count; ++entry) page[entry] = raw[entry];
    return;
  }
  for (std::size_t entry = 0; entry < count; ++entry) {
    const auto one = bytes.subspan(entry * sizeof(RawEntry), sizeof(RawEntry));
    const MediaOffset place = at + ByteCount{entry * sizeof(RawEntry)};
    page[entry] = region.read(place, one) ? std::optional(raw[entry]) : std::nullopt;
  }
}

CacheFinding::Kind kind_of(ReplicaState state) {
  if (state == ReplicaState::unreadable) return CacheFinding::Kind::replica_unreadable;
  return state == ReplicaState::older ? CacheFinding::Kind::replica_older
                                      : CacheFinding::Kind::replica_invalid;
}

}  // namespace

ReplicatedTable::ReplicatedTable(const PmemRegion& region, const CacheLayout& layout,
                                 const DeviceSeal& seal, Kind kind)
    : region_(region),
      kind_(kind),
      begin_(kind == Kind::volumes ? layout.volume_table : layout.segment_table) {
  const std::size_t entries =
      kind == Kind::volumes ? layout.volume_slots * slot_entries : layout.segment_count;
  readings_.reserve(entries);
  std::array<Page, 2> pages;
  for (std::size_t first = 0; first < entries; first += page_entries) {
    const std::size_t count = std::min(page_entries, entries - first);
    for (std::size_t replica = 0; replica < 2; ++replica) {
      read_page(region, places(first)[replica], count, pages[replica]);
    }
    for (std::size_t entry = 0; entry < count; ++entry) {
      readings_.push_back(judge_replicas(seal, type_of(first + entry), position_of(first + entry),
                                         {pages[0][entry], pages[1][entry]}));
    }
  }
}

CacheLayout::Places ReplicatedTable::places(std::size_t entry) const {
  const ByteCount offset{entry * format::entry_bytes};
  return {begin_[0] + offset, begin_[1] + offset};
}

format::EntryType ReplicatedTable::type_of(std::size_t entry) const {
  if (kind_ == Kind::segments) return format::EntryType::segment;
  return static_cast<format::EntryType>(
      static_cast<std::size_t>(format::EntryType::volume_identity) + entry % slot_entries);
}

std::uint64_t ReplicatedTable::position_of(std::size_t entry) const {
  return kind_ == Kind::segments ? entry : entry / slot_entries;
}

void ReplicatedTable::report(CacheFindings& findings) const {
  for (std::size_t entry = 0; entry < readings_.size(); ++entry) {
    const EntryReading& reading = readings_[entry];
    if (reading.is_whole()) continue;
    CacheFinding finding{.subject = kind_ == Kind::volumes ? CacheFinding::Subject::volume_entry
                                                           : CacheFinding::Subject::segment_entry,
                         .place = places(entry)[0],
                         .index = position_of(entry)};
    if (!reading.value) {
      finding.kind = reading.contradicts ? CacheFinding::Kind::replicas_contradict
                                         : CacheFinding::Kind::lost_entry;
      findings.push_back(finding);
      continue;
    }
    const std::size_t bad = reading.state[0] == ReplicaState::good ? 1 : 0;
    finding.place = places(entry)[bad];
    finding.kind = kind_of(reading.state[bad]);
    findings.push_back(finding);
  }
}

// Gives a page with an unreadable entry new content as a whole: nothing smaller can be healed.
Result<void, PmemError> ReplicatedTable::heal_page(DurableWriter& writer, std::size_t first,
                                                   std::size_t replica) const {
  std::array<RawEntry, page_entries> page{};
  for (std::size_t entry = 0; entry < page_entries && first + entry < readings_.size(); ++entry) {
    const auto& value = readings_[first + entry].value;
    if (value) page[entry] = *value;
  }
  TRY(writer.write(places(first)[replica], std::as_bytes(std::span(page))));
  return writer.settle();
}

Result<void, PmemError> ReplicatedTable::heal(DurableWriter& writer) const {
  // First what can be written in place: after this every good value that is not on an unreadable
  // page is there twice.
  bool wrote = false;
  for (std::size_t entry = 0; entry < readings_.size(); ++entry) {
    const EntryReading& reading = readings_[entry];
    if (!reading.value) continue;
    for (std::size_t replica = 0; replica < 2; ++replica) {
      if (reading.state[replica] != ReplicaState::older &&
          reading.state[replica] != ReplicaState::invalid) {
        continue;
      }
      // A media error here means that the page is bad as a whole: below.
      const auto written = writer.write(places(entry)[replica], bytes_of(*reading.value));
      if (!written && written.error() != PmemError::media_error) return written.error();
      wrote = true;
    }
  }
  if (wrote) {
    TRY(writer.settle());
  }
  for (std::size_t first = 0; first < readings_.size(); first += page_entries) {
    const std::size_t end = std::min(first + page_entries, readings_.size());
    for (std::size_t replica = 0; replica < 2; ++replica) {
      const auto page = std::span(readings_).subspan(first, end - first);
      const bool unreadable = std::any_of(page.begin(), page.end(), [replica](const auto& reading) {
        return reading.state[replica] == ReplicaState::unreadable;
      });
      // Writing the page whole would decide a contradiction by accident.
      const bool contradicts = std::any_of(page.begin(), page.end(),
                                           [](const auto& reading) { return reading.contradicts; });
      if (unreadable && !contradicts) {
        TRY(heal_page(writer, first, replica));
      }
    }
  }
  return success();
}

Result<void, PmemError> ReplicatedTable::flush(DurableWriter& writer) const {
  const ByteCount length{readings_.size() * format::entry_bytes};
  for (const MediaOffset begin : begin_) {
    TRY(writer.flush(begin, length));
  }
  return success();
}

}  // namespace engine
