#include "engine/pool/device_pool.h"

#include <algorithm>
#include <set>
#include <utility>

#include "engine/foundation/check.h"
#include "engine/foundation/guard.h"
#include "engine/pool/cache_binding.h"
#include "engine/pool/device_volume.h"
#include "engine/pool/marker_place.h"
#include "engine/pool/pool_check.h"
#include "engine/pool/pool_files.h"

namespace engine {
namespace {

using Kind = PoolError::Kind;

// Of a volume: zeroed and not yet in the table.
constexpr std::uint64_t unsaved_zeros = std::uint64_t{16} << 30;

PoolError bad_device_wish(const VolumeWish& wish) {
  return {Kind::bad_name, "\"" + wish.name + "\" of " + size_text(wish.size) + " with blocks of " +
                              std::to_string(wish.block_size.bytes) +
                              " bytes cannot be a volume of a device pool"};
}

PoolError unknown_volume(const std::string& name) {
  return {Kind::image_missing, "the pool has no volume " + name};
}

const char* layout_name(format::MemberLayout layout) {
  if (layout == format::MemberLayout::stripe) return "stripe";
  return layout == format::MemberLayout::linear ? "linear" : "single";
}

// The lowest that no volume has; there is one.
std::uint32_t free_marker_place(const DeviceTable& table) {
  std::set<std::uint32_t> taken;
  for (const VolumePlace& place : table.places) taken.insert(place.marker_place);
  std::uint32_t place = 0;
  while (taken.contains(place)) ++place;
  return place;
}

}  // namespace

std::optional<PoolError> difference(const MemberLabel& label,
                                    std::optional<format::MemberLayout> layout,
                                    std::optional<ByteCount> chunk) {
  if (layout && *layout != label.layout) {
    return PoolError{Kind::other_layout, "pool " + label.pool.text() + " has the layout " +
                                             layout_name(label.layout) + ", not " +
                                             layout_name(*layout) + ", and keeps it"};
  }
  if (chunk && *chunk != label.chunk) {
    return PoolError{Kind::other_chunk, "pool " + label.pool.text() + " has chunks of " +
                                            size_text(label.chunk) + ", not of " +
                                            size_text(*chunk) + ", and keeps them"};
  }
  return std::nullopt;
}

PoolError never_completed(const Uuid& pool) {
  return {Kind::not_labelled,
          "pool " + pool.text() +
              " was never completed (forebayctl pool init was cut off); make it again"};
}

Result<std::unique_ptr<DevicePool>, PoolError> DevicePool::open(
    std::vector<MemberCandidate> candidates, std::optional<Uuid> expected,
    const DevicePool* predecessor, std::vector<MemberState>* seen) {
  FoundMembers found = find_members(std::move(candidates), expected, HoldMembers::yes,
                                    predecessor != nullptr ? &predecessor->members_ : nullptr);
  if (seen != nullptr) *seen = member_states(found);
  if (auto refused = found.refusal()) return std::move(*refused);
  if (found.table->volumes.sequence == 0) return never_completed(found.table->volumes.pool_uuid);
  std::vector<MemberTrouble> notes = std::move(found.troubles);
  const bool inherited = found.inherited_holds;
  std::unique_ptr<DevicePool> pool(new DevicePool(MemberSet(std::move(found))));
  pool->notes_ = std::move(notes);
  pool->inherited_lock_ = inherited;
  if (predecessor != nullptr) {
    pool->uses_ = predecessor->uses_;
    pool->queue_depth_ = predecessor->queue_depth_;
  }
  TRY(pool->members_.settle(pool->notes_));
  return pool;
}

ExtentMap DevicePool::extent_map(const VolumeRecord& volume) const {
  return {members_.shape(), runs_of(volume)};
}

std::vector<ExtentRun> DevicePool::runs_of(const VolumeRecord& volume) const {
  const VolumePlace* const place = place_of(volume);
  CHECK(place != nullptr && volume.ready);
  std::vector<ExtentRun> runs;
  std::uint64_t left = members_.shape().units_for(volume.size);
  for (ExtentRun run : place->runs) {
    run.count = std::min(run.count, left);
    if (run.count == 0) break;
    runs.push_back(run);
    left -= run.count;
  }
  return runs;
}

const VolumePlace* DevicePool::place_of(const VolumeRecord& volume) const {
  const auto at = table().find(volume.name);
  if (!at || table().volumes.records[*at].uuid != volume.uuid) return nullptr;
  return &table().places[*at];
}

FileResult<PoolDirectory::Space> DevicePool::space() {
  const PoolShape shape = members_.shape();
  return PoolDirectory::Space{
      .size = {shape.units() * shape.unit().value},
      .free = {begin_plan().space.free_units() * shape.unit().value},
  };
}

DevicePool::Plan DevicePool::begin_plan() const {
  Plan plan{.table = table(),
            .space = ExtentAllocator(members_.shape().units()),
            .wanted = {},
            .answers = {}};
  for (const VolumePlace& place : plan.table.places) plan.space.take(place.runs);
  withhold_missing(plan.space);
  return plan;
}

PoolError DevicePool::no_space(const std::string& what, std::uint64_t free_units) const {
  const ByteCount free{free_units * members_.shape().unit().value};
  return {Kind::no_space, "there is no space for " + what + " in pool " + uuid().text() + " (" +
                              size_text(free) + " free); volumes are fully allocated"};
}

Result<void, PoolError> DevicePool::plan_units(Plan& plan, VolumePlace& place,
                                               ByteCount size) const {
  const std::uint64_t wanted = members_.shape().units_for(size);
  if (wanted < place.units()) {
    plan.space.trim(place.runs, wanted);
    place.zeroed_units = std::min(place.zeroed_units, wanted);
  } else if (!plan.space.append(place.runs, wanted - place.units())) {
    return no_space(size_text(size), plan.space.free_units());
  }
  return success();
}

void DevicePool::plan_wish(Plan& plan, const VolumeWish& wish) {
  const auto volume = plan.table.find(wish.name);
  const VolumeRecord* const known = volume ? &plan.table.volumes.records[*volume] : nullptr;
  if (wish.uuid && (known == nullptr || !known->ready || known->uuid != *wish.uuid)) {
    plan.answers.push_back(
        PoolError{Kind::other_volume, "pool " + uuid().text() + " has no volume " + wish.name +
                                          " with UUID " + wish.uuid->text() +
                                          ", which was served before; are these the right disks?"});
  } else if (known != nullptr && known->ready) {
    plan_existing(plan, *volume, wish);
  } else {
    plan_new(plan, wish);
  }
}

void DevicePool::plan_new(Plan& plan, const VolumeWish& wish) const {
  const auto refuse = [&](PoolError error) { plan.answers.push_back(std::move(error)); };
  if (!members_.is_whole()) {
    return refuse({Kind::member_missing, "volume " + wish.name +
                                             " can be made when no member is missing: " +
                                             "until then nobody knows whether there is one"});
  }
  // Half made: nobody has seen it, so it becomes what is wanted now.
  auto volume = plan.table.find(wish.name);
  const bool is_known = volume.has_value();
  VolumeRecord record;
  VolumePlace place;
  if (is_known) {
    record = plan.table.volumes.records[*volume];
    place = plan.table.places[*volume];
  } else {
    record.uuid = Uuid::random();
    record.image = record.uuid.text();
    record.created_ms = wall_clock_ms();
    record.name = wish.name;
  }
  record.size = wish.size;
  record.block_size = wish.block_size;
  if (!valid(record)) return refuse(bad_device_wish(wish));
  if (!is_known && plan.table.places.size() >= members_.label().area.marker_places) {
    return refuse({Kind::no_space, "the table of pool " + uuid().text() + " is full"});
  }
  if (auto fits = plan_units(plan, place, wish.size); !fits) return refuse(fits.error());
  if (is_known) {
    plan.table.volumes.records[*volume] = record;
    plan.table.places[*volume] = place;
  } else {
    place.marker_place = free_marker_place(plan.table);
    // Where the volume begins; of a stripe, the members in turn.
    const PoolShape shape = members_.shape();
    place.marker_member =
        shape.is_stripe()
            ? static_cast<std::uint32_t>(place.marker_place % shape.member_slices.size())
            : member_ranges(shape, place.runs.front()).front().member;
    plan.table.volumes.records.push_back(record);
    plan.table.places.push_back(place);
  }
  plan.wanted.push_back({.answer = plan.answers.size(),
                         .name = wish.name,
                         .size = wish.size,
                         .configured = {},
                         .is_new = true});
  plan.answers.push_back(record);
}

void DevicePool::plan_existing(Plan& plan, std::size_t volume, const VolumeWish& wish) {
  VolumeRecord& record = plan.table.volumes.records[volume];
  if (auto missing = why_out_of_reach(record)) return plan.answers.push_back(std::move(*missing));
  if (auto refused = refusal_of(record, wish)) {
    if (refused->kind == Kind::cache_missing) {
      refused->text += " The volume is then " + what_is_left(record, record.cache.device);
    }
    plan.answers.push_back(std::move(*refused));
    return;
  }
  // Less: the wish has not followed a grow.
  const ByteCount size = std::max(wish.size, record.size);
  if (auto fits = plan_units(plan, plan.table.places[volume], size); !fits) {
    plan.answers.push_back(fits.error());
    return;
  }
  if (!wish.is_cached && record.cache.state != format::CacheBindingState::none) {
    // What a cache had is older than the image from now on.
    record.cache = forgotten(record.cache);
  }
  if (size > record.size) {
    plan.wanted.push_back({.answer = plan.answers.size(),
                           .name = wish.name,
                           .size = size,
                           .configured = {},
                           .is_new = false});
  }
  plan.answers.push_back(record);
}

std::vector<Result<VolumeRecord, PoolError>> DevicePool::ensure(
    std::span<const VolumeWish> wishes) {
  Plan plan = begin_plan();
  for (const VolumeWish& wish : wishes) plan_wish(plan, wish);
  carry_out(plan);
  return std::move(plan.answers);
}

Result<VolumeRecord, PoolError> DevicePool::grow(const std::string& name, ByteCount size,
                                                 ByteCount configured) {
  Plan plan = begin_plan();
  const auto volume = plan.table.find(name);
  if (!volume || !plan.table.volumes.records[*volume].ready) return unknown_volume(name);
  const VolumeRecord record = plan.table.volumes.records[*volume];
  TRY(within_reach(name));
  if (size < record.size) return shrink_error(record.size, size);
  VolumeRecord grown = record;
  grown.size = size;
  grown.configured = configured < size ? configured : ByteCount{};
  if (!valid(grown)) {
    return PoolError{Kind::bad_name, std::to_string(size.value) +
                                         " bytes are not a whole number of " +
                                         std::to_string(record.block_size.bytes) + "-byte blocks"};
  }
  if (size == record.size) return record;
  TRY(plan_units(plan, plan.table.places[*volume], size));
  plan.wanted.push_back(
      {.answer = 0, .name = name, .size = size, .configured = grown.configured, .is_new = false});
  plan.answers.push_back(record);
  carry_out(plan);
  return plan.answers.front();
}

void DevicePool::carry_out(Plan& plan) {
  const DeviceTable before = table();
  if (plan.table != before) {
    if (auto saved = commit(plan.table); !saved) {
      // What does not depend on the change is as it was.
      for (auto& answer : plan.answers) {
        if (!answer) continue;
        const auto known = before.find(answer.value().name);
        if (!known || before.volumes.records[*known] != answer.value()) answer = saved.error();
      }
      for (const Wanted& wanted : plan.wanted) plan.answers[wanted.answer] = saved.error();
      return;
    }
  }
  if (plan.wanted.empty()) return;
  const PoolShape shape = members_.shape();
  std::vector<std::size_t> finished;  // answers
  DeviceTable planned = table();
  for (const Wanted& wanted : plan.wanted) {
    const auto zeroed = zero_units(wanted.name);
    const std::size_t volume = *planned.find(wanted.name);
    VolumeRecord& record = planned.volumes.records[volume];
    VolumePlace& place = planned.places[volume];
    if (!zeroed) {
      plan.answers[wanted.answer] = zeroed.error();
      // A start would try it again from nothing.
      give_up(planned, plan.space, shape, wanted);
      continue;
    }
    if (!zeroed.value()) {
      const std::uint64_t done = zeroed_units_of(volume) * shape.unit().value;
      plan.answers[wanted.answer] = PoolError{
          Kind::zeroing, "the space of volume " + wanted.name + " is being zeroed (" +
                             rough_size_text({done}) + " of " + rough_size_text(wanted.size) + ")"};
      if (done - place.zeroed_units * shape.unit().value >= unsaved_zeros && sync_members()) {
        place.zeroed_units = zeroed_units_of(volume);
      }
      continue;
    }
    place.zeroed_units = place.units();
    record.ready = true;
    record.size = wanted.size;
    if (!wanted.is_new) record.configured = wanted.configured;
    plan.answers[wanted.answer] = record;
    finished.push_back(wanted.answer);
  }
  if (planned == table()) return;
  auto synced = GUARD("zeros are durable before they are seen") ? sync_members() : success();
  if (synced) synced = commit(std::move(planned));
  if (synced) return;
  for (const std::size_t answer : finished) plan.answers[answer] = synced.error();
}

Result<void, PoolError> DevicePool::commit(DeviceTable planned) {
  auto committed = members_.commit(std::move(planned));
  if (!committed) {
    // A flush that failed may have been that of zeros, too.
    zeroed_.clear();
    return committed;
  }
  std::map<Uuid, std::uint64_t> still;
  for (std::size_t volume = 0; volume < table().places.size(); ++volume) {
    const Uuid& volume_uuid = table().volumes.records[volume].uuid;
    const auto known = zeroed_.find(volume_uuid);
    // What it has given back may come back to it, with anything on it.
    const VolumePlace& place = table().places[volume];
    if (known != zeroed_.end() && known->second > place.zeroed_units) {
      still[volume_uuid] = std::min(known->second, place.units());
    }
  }
  zeroed_ = std::move(still);
  return committed;
}

void DevicePool::give_up(DeviceTable& planned, ExtentAllocator& space, const PoolShape& shape,
                         const Wanted& wanted) {
  const std::size_t volume = *planned.find(wanted.name);
  if (wanted.is_new) {
    planned.erase(volume);
    return;
  }
  VolumePlace& place = planned.places[volume];
  space.trim(place.runs, shape.units_for(planned.volumes.records[volume].size));
  place.zeroed_units = std::min(place.zeroed_units, place.units());
}

std::uint64_t DevicePool::zeroed_units_of(std::size_t volume) const {
  const auto further = zeroed_.find(table().volumes.records[volume].uuid);
  const VolumePlace& place = table().places[volume];
  const std::uint64_t zeroed = further == zeroed_.end() ? 0 : further->second;
  return std::min(std::max(zeroed, place.zeroed_units), place.units());
}

Result<bool, PoolError> DevicePool::zero_units(const std::string& name) {
  const std::size_t volume = *table().find(name);
  const VolumeRecord& record = table().volumes.records[volume];
  const VolumePlace& place = table().places[volume];
  const PoolShape shape = members_.shape();
  const std::uint64_t unit = shape.unit().value;
  const std::uint64_t step = std::max<std::uint64_t>(1, zero_step_.value / shape.slice.value);
  if (!record.ready && GUARD("the place of a new marker is cleared")) {
    TRY(clear_marker(members_.member(place.marker_member),
                     members_.label().area.marker(place.marker_place)));
  }
  std::uint64_t done = zeroed_units_of(volume);
  for (const ExtentRun& run : place.runs) {
    while (done < run.volume_unit + run.count) {
      const std::uint64_t inside = done - run.volume_unit;
      const ExtentRun part{.volume_unit = done,
                           .pool_unit = run.pool_unit + inside,
                           .count = std::min(step, run.count - inside)};
      if (GUARD("units are zeroed before they are seen")) {
        TRY(zero_run(part));
      }
      done += part.count;
      zeroed_[record.uuid] = done;
      const ZeroingProgress progress{
          .volume = name, .done = {done * unit}, .all = {place.units() * unit}};
      if (watch_ && !watch_(progress) && done < place.units()) return false;
    }
  }
  return true;
}

Result<void, PoolError> DevicePool::zero_run(const ExtentRun& run) {
  for (const ExtentPiece& piece : member_ranges(members_.shape(), run)) {
    PoolMember& disk = members_.member(piece.member);
    // Whoever had these bytes before may be gone, and its requests not.
    const auto locked = disk.lock(piece.offset, piece.length);
    if (!locked) return member_io_error(disk, "cannot be locked", locked.error());
    if (!locked.value()) {
      return PoolError{Kind::in_use,
                       name_of(disk.info()) +
                           ": an earlier daemon's I/O has not ended on space that is to be given "
                           "out; waiting for it"};
    }
    const auto zeroed = disk.zero(piece.offset, piece.length);
    const auto unlocked = disk.unlock(piece.offset, piece.length);
    if (!zeroed) return member_io_error(disk, "space cannot be zeroed", zeroed.error());
    if (!unlocked) return member_io_error(disk, "cannot be unlocked", unlocked.error());
  }
  return success();
}

Result<void, PoolError> DevicePool::sync_members() {
  for (std::size_t index = 0; index < members_.count(); ++index) {
    if (!members_.is_there(index)) continue;
    const auto synced = members_.member(index).sync();
    if (synced) continue;
    zeroed_.clear();
    return member_io_error(members_.member(index), "cannot be synced", synced.error());
  }
  return success();
}

Result<std::unique_ptr<OpenedVolume>, PoolError> DevicePool::open_volume(const VolumeRecord& volume,
                                                                         IoSource, VolumeSpace*) {
  const auto known = table().find(volume.name);
  if (!known || table().volumes.records[*known] != volume || !volume.ready) {
    return unknown_volume(volume.name);
  }
  if (auto missing = why_out_of_reach(volume)) return std::move(*missing);
  return DeviceVolume::open(*this, volume);
}

Result<std::unique_ptr<FileMarker>, PoolError> DevicePool::open_marker(const VolumeRecord& volume,
                                                                       IoSource) {
  const VolumePlace* const place = place_of(volume);
  if (place == nullptr) return unknown_volume(volume.name);
  TRY(within_reach(volume.name));
  PoolMember& disk = members_.member(place->marker_member);
  const MediaOffset offset = members_.label().area.marker(place->marker_place);
  TRY(auto stored, read_marker(disk, offset, volume.uuid));
  if (!stored) {
    stored = StoredMark{.mark = {.volume = volume.uuid, .cache = {}}, .sequence = 1};
    TRY(write_marker(disk, offset, *stored));
  }
  return FileMarker::open_at(disk.info().device, offset, *stored,
                             IoSource::new_file(backing_number(place->marker_member)));
}

Result<std::unique_ptr<FileJournal>, PoolError> DevicePool::open_journal(const VolumeRecord& volume,
                                                                         IoSource) {
  return PoolError{Kind::unsupported, "volume " + volume.name +
                                          " asks for a journal (ordered: journal), which device "
                                          "pools do not have yet; use ordered: batch"};
}

Result<void, PoolError> DevicePool::settle_journal(const std::string& name) {
  const auto volume = table().find(name);
  if (!volume || !table().volumes.records[*volume].ready) return unknown_volume(name);
  return success();
}

std::string DevicePool::what_is_left(const VolumeRecord& volume, const Uuid& cache) {
  const VolumePlace* const place = place_of(volume);
  if (place != nullptr && members_.is_there(place->marker_member)) {
    const auto stored = read_marker(members_.member(place->marker_member),
                                    members_.label().area.marker(place->marker_place), volume.uuid);
    if (stored && stored.value()) return engine::what_is_left(stored.value()->mark, cache);
  }
  return "of no known moment: it has no marker. How much is lost with the cache, only that knew.";
}

std::vector<Result<VolumeRecord, PoolError>> DevicePool::bind(
    std::span<const NewBinding> bindings) {
  DeviceTable planned = table();
  auto answers = plan_bindings(planned.volumes, bindings);
  for (auto& answer : answers) {
    if (!answer) continue;
    const auto reached = within_reach(answer.value().name);
    if (reached) continue;
    const std::size_t volume = *table().find(answer.value().name);
    planned.volumes.records[volume] = table().volumes.records[volume];
    answer = reached.error();
  }
  if (planned == table()) return answers;
  if (auto saved = commit(std::move(planned)); !saved) {
    for (auto& answer : answers) {
      if (answer) answer = saved.error();
    }
  }
  return answers;
}

Result<VolumeRecord, PoolError> DevicePool::rename(const std::string& name, const Uuid& uuid,
                                                   const std::string& to) {
  DeviceTable planned = table();
  TRY(auto renamed, plan_rename(planned.volumes, name, uuid, to));
  if (planned == table()) return renamed;
  TRY(within_reach(name));
  TRY(commit(std::move(planned)));
  return renamed;
}

Result<void, PoolError> DevicePool::destroy(const std::string& name, const Uuid& uuid,
                                            const Uuid& cache) {
  const auto volume = table().find(name);
  if (!volume || table().volumes.records[*volume].uuid != uuid) return no_such_volume(name, uuid);
  TRY(within_reach(name));
  TRY(may_be_destroyed(table().volumes.records[*volume], cache));
  DeviceTable planned = table();
  planned.erase(*volume);
  return commit(std::move(planned));
}

Result<void, PoolError> DevicePool::set_lost(const std::string& name, const LostRanges& lost) {
  const auto volume = table().find(name);
  if (!volume || !table().volumes.records[*volume].ready) return unknown_volume(name);
  if (table().volumes.records[*volume].lost == lost) return success();
  TRY(within_reach(name));
  DeviceTable planned = table();
  planned.volumes.records[*volume].lost = lost;
  return commit(std::move(planned));
}

Result<void, PoolError> DevicePool::set_reservations(const std::string& name,
                                                     const KeptReservations& reservations) {
  DeviceTable planned = table();
  TRY(const bool changes, plan_reservations(planned.volumes, name, reservations));
  if (!changes) return success();
  TRY(within_reach(name));
  return commit(std::move(planned));
}

Result<void, PoolError> DevicePool::set_write_protected(const std::string& name,
                                                        bool write_protected) {
  DeviceTable planned = table();
  TRY(const bool changes, plan_write_protection(planned.volumes, name, write_protected));
  if (!changes) return success();
  TRY(within_reach(name));
  return commit(std::move(planned));
}

Result<void, PoolError> DevicePool::set_formatting(const std::string& name,
                                                   std::optional<BlockSize> blocks) {
  DeviceTable planned = table();
  TRY(const bool changes, plan_formatting(planned.volumes, name, blocks));
  if (!changes) return success();
  TRY(within_reach(name));
  return commit(std::move(planned));
}

}  // namespace engine
