#include "engine/pool/pool_check.h"

#include <algorithm>
#include <utility>

#include "engine/pool/marker_file.h"
#include "engine/pool/marker_place.h"
#include "engine/pool/member_probe.h"
#include "engine/pool/pool_files.h"

namespace engine {

using Kind = PoolError::Kind;

namespace {

// Whoever serves it may change it twice while it is read.
constexpr int looks_at_members = 3;

PoolFindings nothing_found(std::size_t wishes) {
  PoolFindings findings;
  findings.volumes.resize(wishes);
  findings.records.resize(wishes);
  findings.marks.resize(wishes);
  return findings;
}

// What the pool has of the wish at `at`.
void judge_wish(PoolFindings& findings, std::size_t at, const VolumeWish& wish,
                const VolumeRecord& record, std::optional<BackingMark> mark) {
  findings.records[at] = record;
  findings.marks[at] = std::move(mark);
  auto& refused = findings.volumes[at];
  refused = refusal_of(record, wish);
  if (refused && refused->kind == Kind::cache_missing && findings.marks[at]) {
    refused->text +=
        " The volume is then " + what_is_left(*findings.marks[at], record.cache.device);
  }
  if (!refused && wish.size < record.size) {
    refused = PoolError{Kind::shrink, larger_than_configured(record.size, wish.size)};
  }
}

// By the name that it has, or had; null: it is to be made, unless it has had another one.
const VolumeRecord* record_for(const VolumeTable& table, PoolFindings& findings, std::size_t at,
                               const VolumeWish& wish) {
  const auto called = [&table](const std::string& name) -> const VolumeRecord* {
    const auto found = std::ranges::find(table.records, name, &VolumeRecord::name);
    return found == table.records.end() ? nullptr : &*found;
  };
  const VolumeRecord* record = called(wish.name);
  if (record != nullptr || wish.was.empty()) return record;
  record = called(wish.was);
  if (record == nullptr) findings.volumes[at] = not_made_anew(wish.name, wish.was);
  return record;
}

FoundMembers look_at_members(const MembersWish& configured) {
  FoundMembers found;
  for (int look = 0; look < looks_at_members; ++look) {
    std::vector<MemberCandidate> candidates;
    for (const std::string& path : configured.paths) {
      candidates.push_back(
          {.path = path, .opened = open_pool_member(path, {}, MemberAccess::read)});
    }
    found = find_members(std::move(candidates), configured.pool, HoldMembers::no);
    if (!found.refusal() || !found.table) break;
  }
  return found;
}

}  // namespace

std::optional<PoolError> refusal_of(const VolumeRecord& record, const VolumeWish& wish) {
  if (record.block_size != wish.block_size && !record.blocks_by_host) {
    return PoolError{Kind::block_size_changed,
                     std::to_string(wish.block_size.bytes) + " is not the existing " +
                         std::to_string(record.block_size.bytes) +
                         "; the block size of a volume cannot be changed. (Make a new volume.)"};
  }
  if (!wish.is_cached && judge(record.cache, {}, {}) == CacheVerdict::cache_missing) {
    return PoolError{Kind::cache_missing,
                     "cache device " + record.cache.device.text() +
                         " holds writes that the image lacks, and is not configured here; bring it "
                         "back. (Nothing is served without them. If they are lost: forebayctl "
                         "abandon " +
                         record.name + " --cache " + record.cache.device.text() + ".)"};
  }
  // What the configuration says of its blocks does not count any more, so it may not know them.
  if (wish.size > record.size && wish.size.value % record.block_size.bytes != 0) {
    return PoolError{Kind::block_size_changed,
                     size_text(wish.size) + " is not a whole number of the volume's blocks of " +
                         std::to_string(record.block_size.bytes) +
                         " bytes, which a host's format has set. (Write another size.)"};
  }
  const bool lags_behind = record.configured.value != 0 && wish.size >= record.configured;
  if (wish.size < record.size && !lags_behind) return shrink_error(record.size, wish.size);
  return std::nullopt;
}

void add_what_is_left(PoolError& refused, PoolDirectory& directory, const VolumeRecord& record) {
  if (refused.kind != Kind::cache_missing) return;
  const auto marker = read_marker(directory, record.image, record.uuid);
  if (!marker || !marker.value()) return;
  refused.text += " The volume is then " + what_is_left(marker.value()->mark, record.cache.device);
}

PoolError not_made_anew(const std::string& name, const std::string& was) {
  return {Kind::image_missing,
          "its pool has no volume " + name + ", and none that is called " + was +
              ", as it was (was: " + was +
              "); it is not made anew: bring it back, or take `was` out of the configuration"};
}

PoolError shrink_error(ByteCount existing, ByteCount wished) {
  return {Kind::shrink, size_text(wished) + " is smaller than the existing " + size_text(existing) +
                            "; shrinking is refused. (To serve less, make a new volume.)"};
}

std::string larger_than_configured(ByteCount existing, ByteCount configured) {
  return "the configured " + size_text(configured) + " is smaller than the existing " +
         size_text(existing) +
         ", which is served; shrinking is refused. Write size: " + size_text(existing) +
         " into the configuration. (To serve less, make a new volume.)";
}

std::string blocks_by_host(BlockSize existing) {
  return "its block size is " + std::to_string(existing.bytes) +
         ", set by a host's format, whatever the configuration says of it";
}

PoolFindings inspect_file_pool(const std::string& directory, std::optional<Uuid> expected,
                               std::span<const VolumeWish> wishes) {
  PoolFindings findings = nothing_found(wishes.size());
  auto opened = open_pool_directory(directory);
  if (!opened) {
    findings.pool = pool_opening_error(directory, opened.error());
    return findings;
  }
  PoolDirectory& place = *opened.value();
  const auto label = read_pool_label(place, expected);
  if (!label) {
    findings.pool = label.error();
    return findings;
  }
  auto table = peek_volume_table(place, label.value().pool_uuid);
  if (!table) {
    findings.pool = table.error();
    return findings;
  }
  for (std::size_t at = 0; at < wishes.size(); ++at) {
    const VolumeRecord* record = record_for(table.value(), findings, at, wishes[at]);
    if (record == nullptr || !record->ready) continue;
    std::optional<BackingMark> mark;
    if (const auto marker = read_marker(place, record->image, record->uuid);
        marker && marker.value()) {
      mark = marker.value()->mark;
    }
    judge_wish(findings, at, wishes[at], *record, std::move(mark));
  }
  return findings;
}

PoolFindings inspect_device_pool(const MembersWish& configured,
                                 std::span<const VolumeWish> wishes) {
  PoolFindings findings = nothing_found(wishes.size());
  FoundMembers found = look_at_members(configured);
  const auto refused = found.refusal();
  findings.members = std::move(found.troubles);
  for (MemberTrouble& trouble : findings.members) {
    const Kind kind = trouble.error.kind;
    if (kind != Kind::not_labelled && kind != Kind::damaged) continue;
    trouble.error.text += foreign_contents(trouble.path);
  }
  if (refused) {
    if (findings.members.empty()) findings.pool = refused;
    return findings;
  }
  const DeviceTable& table = *found.table;
  const auto first =
      std::ranges::find_if(found.members, [](const auto& member) { return member.has_value(); });
  const MemberLabel& label = (*first)->label;
  findings.pool = difference(label, configured.layout, configured.chunk);
  if (table.volumes.sequence == 0) findings.pool = never_completed(label.pool);
  if (findings.pool) return findings;
  for (std::size_t at = 0; at < wishes.size(); ++at) {
    const VolumeRecord* const found_record = record_for(table.volumes, findings, at, wishes[at]);
    if (found_record == nullptr || !found_record->ready) continue;
    const VolumeRecord& record = *found_record;
    const auto volume = table.find(record.name);
    const VolumePlace& place = table.places[*volume];
    std::optional<BackingMark> mark;
    // With what it lies on, as the members tell.
    if (!found.members[place.marker_member]) continue;
    if (const auto marker = read_marker(*found.members[place.marker_member]->disk,
                                        label.area.marker(place.marker_place), record.uuid);
        marker && marker.value()) {
      mark = marker.value()->mark;
    }
    judge_wish(findings, at, wishes[at], record, std::move(mark));
  }
  return findings;
}

}  // namespace engine
