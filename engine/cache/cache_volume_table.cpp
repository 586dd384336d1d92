#include "engine/cache/cache_volume_table.h"

#include <algorithm>
#include <bit>
#include <limits>
#include <map>
#include <string>

#include "engine/cache/cache_volume_entries.h"
#include "engine/foundation/byte_cursor.h"
#include "engine/foundation/check.h"
#include "engine/foundation/guard.h"

namespace engine {
namespace {

using format::EntryType;
constexpr std::array entry_types{EntryType::volume_identity, EntryType::volume_epoch,
                                 EntryType::volume_tails, EntryType::volume_binding};

constexpr std::size_t index_of(EntryType type) {
  return static_cast<std::size_t>(type) - static_cast<std::size_t>(EntryType::volume_identity);
}

CacheError io_error(PmemError error, MediaOffset place, std::uint32_t slot) {
  return {
      CacheError::Kind::io, place,
      "the entries of volume slot " + std::to_string(slot) + " cannot be written: " + text(error)};
}

}  // namespace

std::uint64_t CacheVolume::durable_floor() const {
  return std::max({epoch.known_durable, epoch.first_sequence - 1, epoch.clean_end, tails.key_tail,
                   tails.dirty_tail, tails.writeback_target});
}

bool CacheVolume::is_provably_clean() const {
  if (damaged || identity_lost) return false;
  if (identity.state != format::VolumeSlotState::attached || epoch.epoch == 0) return true;
  return epoch.clean_end != 0 && tails.dirty_tail == epoch.clean_end &&
         tails.writeback_target <= tails.dirty_tail;
}

CacheVolumeTable::CacheVolumeTable(const CacheLayout& layout, const DeviceSeal& seal)
    : layout_(layout), seal_(seal) {}

std::array<RawEntry, 4> CacheVolumeTable::fresh_entries(const DeviceSeal& seal,
                                                        std::uint32_t slot) {
  return {next_entry(seal, encode_entry(CacheVolumeIdentity{}), entry_types[0], slot, 0),
          next_entry(seal, encode_entry(LogEpoch{}), entry_types[1], slot, 0),
          next_entry(seal, encode_entry(LogTails{}), entry_types[2], slot, 0),
          next_entry(seal, encode_entry(CacheVolumeBinding{}), entry_types[3], slot, 0)};
}

void CacheVolumeTable::load(const ReplicatedTable& table, CacheFindings& findings) {
  CHECK(slots_.empty() && table.size() == layout_.volume_slots * entry_types.size());
  slots_.resize(layout_.volume_slots);
  for (std::uint32_t slot = 0; slot < slots(); ++slot) load_slot(slot, table, findings);
  mark_duplicates(findings);
}

void CacheVolumeTable::load_slot(std::uint32_t slot, const ReplicatedTable& table,
                                 CacheFindings& findings) {
  CacheVolume& volume = at(slot).volume;
  const auto take = [&]<class Entry>(EntryType type, Entry, auto& to) {
    const std::size_t entry = slot * entry_types.size() + index_of(type);
    const auto& value = table[entry].value;
    if (!value) return false;
    at(slot).sequences[index_of(type)] = value->header.sequence;
    const auto decoded = decode_entry(std::bit_cast<Entry>(*value));
    if (decoded) {
      to = *decoded;
      return true;
    }
    findings.push_back({.kind = CacheFinding::Kind::impossible_entry,
                        .subject = CacheFinding::Subject::volume_entry,
                        .place = table.places(entry)[0],
                        .index = slot});
    return false;
  };
  volume.identity_lost =
      !take(EntryType::volume_identity, format::VolumeIdentityEntry{}, volume.identity);
  const bool epoch = take(EntryType::volume_epoch, format::VolumeEpochEntry{}, volume.epoch);
  const bool tails = take(EntryType::volume_tails, format::VolumeTailsEntry{}, volume.tails);
  const bool binding =
      take(EntryType::volume_binding, format::VolumeBindingEntry{}, volume.binding);
  volume.damaged = volume.identity_lost || !epoch || !tails || !binding;
}

void CacheVolumeTable::mark_duplicates(CacheFindings& findings) {
  std::map<Uuid, std::uint32_t> volumes;
  std::map<std::uint32_t, std::uint32_t> tags;
  for (std::uint32_t slot = 0; slot < slots(); ++slot) {
    CacheVolume& volume = at(slot).volume;
    if (volume.identity.state == format::VolumeSlotState::free) continue;
    const auto by_volume = volumes.try_emplace(volume.identity.volume, slot).first->second;
    const auto by_tag = tags.try_emplace(volume.identity.tag, slot).first->second;
    if (by_volume == slot && by_tag == slot) continue;
    at(by_volume).volume.damaged = at(by_tag).volume.damaged = volume.damaged = true;
    findings.push_back({.kind = CacheFinding::Kind::duplicate_volume,
                        .subject = CacheFinding::Subject::volume_entry,
                        .place = layout_.volume_entry(slot, EntryType::volume_identity)[0],
                        .index = slot,
                        .tag = volume.identity.tag});
  }
}

CacheVolumeTable::Slot& CacheVolumeTable::at(std::uint32_t slot) {
  CHECK(slot < slots_.size());
  return slots_[slot];
}

const CacheVolume& CacheVolumeTable::operator[](std::uint32_t slot) const {
  CHECK(slot < slots_.size());
  return slots_[slot].volume;
}

std::optional<std::uint32_t> CacheVolumeTable::find(const Uuid& volume) const {
  for (std::uint32_t slot = 0; slot < slots(); ++slot) {
    const CacheVolumeIdentity& identity = slots_[slot].volume.identity;
    if (identity.state != format::VolumeSlotState::free && identity.volume == volume) return slot;
  }
  return std::nullopt;
}

std::optional<std::uint32_t> CacheVolumeTable::find_tag(std::uint32_t tag) const {
  for (std::uint32_t slot = 0; slot < slots(); ++slot) {
    const CacheVolumeIdentity& identity = slots_[slot].volume.identity;
    if (identity.state != format::VolumeSlotState::free && identity.tag == tag) return slot;
  }
  return std::nullopt;
}

bool CacheVolumeTable::any_identity_lost() const {
  return std::any_of(slots_.begin(), slots_.end(),
                     [](const Slot& slot) { return slot.volume.identity_lost; });
}

Result<std::uint32_t, CacheError> CacheVolumeTable::attach(DurableWriter& writer,
                                                           const NewVolume& wanted) {
  if (find(wanted.volume)) {
    return CacheError{CacheError::Kind::known_volume, {}, "the volume is attached here already"};
  }
  if (any_identity_lost()) {
    return CacheError{CacheError::Kind::lost_entry,
                      {},
                      "the identity of a volume slot is lost, so no tag is known to be new; repair "
                      "the device first"};
  }
  std::uint32_t highest = 0;
  std::optional<std::uint32_t> free;
  for (std::uint32_t slot = slots(); slot-- > 0;) {
    const CacheVolume& volume = slots_[slot].volume;
    highest = std::max(highest, volume.identity.tag);
    if (volume.identity.state == format::VolumeSlotState::free) free = slot;
  }
  if (!free) {
    return CacheError{CacheError::Kind::no_free_slot,
                      {},
                      "all " + std::to_string(slots()) + " volume slots are taken"};
  }
  if (highest == std::numeric_limits<std::uint32_t>::max()) {
    return CacheError{CacheError::Kind::exhausted, {}, "every volume tag has been used"};
  }
  const CacheVolumeIdentity identity{.volume = wanted.volume,
                                     .backing = wanted.backing,
                                     .size = wanted.size,
                                     .state = format::VolumeSlotState::attached,
                                     .tag = highest + 1};
  CHECK(is_possible(identity) && is_possible(wanted.binding));
  Slot& slot = at(*free);
  const std::array<RawEntry, 3> entries{
      next_entry(seal_, encode_entry(LogEpoch{}), entry_types[1], *free, slot.sequences[1]),
      next_entry(seal_, encode_entry(LogTails{}), entry_types[2], *free, slot.sequences[2]),
      next_entry(seal_, encode_entry(wanted.binding), entry_types[3], *free, slot.sequences[3])};
  // The three behind the identity lie side by side: one write each replica.
  const auto places = layout_.volume_entry(*free, entry_types[1]);
  for (const MediaOffset place : places) {
    auto done = writer.write(place, std::as_bytes(std::span(entries)));
    if (done && GUARD("entries of a slot before its identity")) done = writer.settle();
    if (!done) {
      slot.volume.damaged = true;
      return io_error(done.error(), place, *free);
    }
  }
  for (std::size_t entry = 1; entry < 4; ++entry) ++slot.sequences[entry];
  slot.volume.damaged = false;
  slot.volume.epoch = {};
  slot.volume.tails = {};
  slot.volume.binding = wanted.binding;
  TRY(write_identity(writer, *free, identity));
  return *free;
}

Result<void, CacheError> CacheVolumeTable::leave(DurableWriter& writer, std::uint32_t slot) {
  CacheVolumeIdentity identity = at(slot).volume.identity;
  CHECK(identity.state == format::VolumeSlotState::attached);
  identity.state = format::VolumeSlotState::leaving;
  return write_identity(writer, slot, identity);
}

Result<void, CacheError> CacheVolumeTable::release(DurableWriter& writer, std::uint32_t slot) {
  const CacheVolumeIdentity& identity = at(slot).volume.identity;
  CHECK(identity.state == format::VolumeSlotState::leaving);
  return write_identity(
      writer, slot,
      CacheVolumeIdentity{.volume = {}, .backing = {}, .size = {}, .tag = identity.tag});
}

Result<void, CacheError> CacheVolumeTable::persist(DurableWriter& writer, std::uint32_t slot,
                                                   EntryType type, const RawEntry& next) {
  const auto places = layout_.volume_entry(slot, type);
  const auto written = update_entry(writer, places, next);
  if (!written) {
    at(slot).volume.damaged = true;
    return io_error(written.error(), places[0], slot);
  }
  at(slot).sequences[index_of(type)] = next.header.sequence;
  return success();
}

template <class Value>
Result<void, CacheError> CacheVolumeTable::replace(DurableWriter& writer, std::uint32_t slot,
                                                   EntryType type, Value CacheVolume::*field,
                                                   const Value& value) {
  CHECK(is_possible(value));
  Slot& of = at(slot);
  TRY(persist(writer, slot, type,
              next_entry(seal_, encode_entry(value), type, slot, of.sequences[index_of(type)])));
  of.volume.*field = value;
  return success();
}

Result<void, CacheError> CacheVolumeTable::write_identity(DurableWriter& writer, std::uint32_t slot,
                                                          const CacheVolumeIdentity& identity) {
  return replace(writer, slot, EntryType::volume_identity, &CacheVolume::identity, identity);
}

Result<void, CacheError> CacheVolumeTable::set_epoch(DurableWriter& writer, std::uint32_t slot,
                                                     const LogEpoch& epoch) {
  const LogEpoch& now = at(slot).volume.epoch;
  CHECK(epoch.epoch >= now.epoch);
  CHECK(epoch.first_sequence >= now.first_sequence && epoch.known_durable >= now.known_durable);
  CHECK(epoch.first_chunk >= now.first_chunk);
  return replace_epoch(writer, slot, epoch);
}

Result<void, CacheError> CacheVolumeTable::replace_epoch(DurableWriter& writer, std::uint32_t slot,
                                                         const LogEpoch& epoch) {
  return replace(writer, slot, EntryType::volume_epoch, &CacheVolume::epoch, epoch);
}

Result<void, CacheError> CacheVolumeTable::begin_epoch(DurableWriter& writer, std::uint32_t slot,
                                                       std::uint64_t first_sequence,
                                                       std::uint64_t first_chunk) {
  const LogEpoch& now = at(slot).volume.epoch;
  if (now.epoch == std::numeric_limits<std::uint64_t>::max()) {
    return CacheError{CacheError::Kind::exhausted, {}, "the volume has been opened too often"};
  }
  return set_epoch(writer, slot,
                   {.epoch = now.epoch + 1,
                    .first_sequence = first_sequence,
                    .first_chunk = first_chunk,
                    .known_durable = first_sequence - 1,
                    .clean_end = 0,
                    .attach_epoch = at(slot).volume.binding.attach_epoch});
}

Result<void, CacheError> CacheVolumeTable::set_tails(DurableWriter& writer, std::uint32_t slot,
                                                     const LogTails& tails) {
  const LogTails& now = at(slot).volume.tails;
  CHECK(tails.key_tail >= now.key_tail);
  CHECK(tails.dirty_tail >= now.dirty_tail && tails.key_tail_chunk >= now.key_tail_chunk);
  CHECK(tails.dirty_tail_chunk >= now.dirty_tail_chunk);
  CHECK(tails.writeback_target == 0 || tails.writeback_target >= now.writeback_target);
  return replace_tails(writer, slot, tails);
}

Result<void, CacheError> CacheVolumeTable::replace_tails(DurableWriter& writer, std::uint32_t slot,
                                                         const LogTails& tails) {
  return replace(writer, slot, EntryType::volume_tails, &CacheVolume::tails, tails);
}

Result<void, CacheError> CacheVolumeTable::set_binding(DurableWriter& writer, std::uint32_t slot,
                                                       const CacheVolumeBinding& binding) {
  CHECK(binding.attach_epoch >= at(slot).volume.binding.attach_epoch);
  return replace(writer, slot, EntryType::volume_binding, &CacheVolume::binding, binding);
}

Result<void, CacheError> CacheVolumeTable::set_size(DurableWriter& writer, std::uint32_t slot,
                                                    ByteCount size) {
  CacheVolumeIdentity identity = at(slot).volume.identity;
  CHECK(identity.state == format::VolumeSlotState::attached && size >= identity.size);
  identity.size = size;
  return write_identity(writer, slot, identity);
}

void CacheVolumeTable::check_invariants() const {
  for (std::uint32_t slot = 0; slot < slots(); ++slot) {
    const CacheVolume& volume = slots_[slot].volume;
    if (volume.damaged || volume.identity.state == format::VolumeSlotState::free) continue;
    CHECK(is_possible(volume.identity) && is_possible(volume.epoch) && is_possible(volume.tails));
    CHECK(find(volume.identity.volume) == slot && find_tag(volume.identity.tag) == slot);
  }
}

}  // namespace engine
