#include "engine/cache/volume_cache.h"

#include <algorithm>
#include <array>
#include <utility>

#include "engine/cache/kset.h"
#include "engine/cache/payload_crc.h"
#include "engine/foundation/check.h"

namespace engine {
namespace {

constexpr std::uint64_t line_bytes = 64;

SectorCount sectors_of(ByteCount bytes) { return {bytes.value / sector_bytes}; }

// What the keys of one command take in the log, in ksets of their own.
std::uint64_t log_bytes_of(std::size_t keys, std::uint32_t alignment) {
  std::uint64_t bytes = 0;
  for (; keys > format::most_keys; keys -= format::most_keys) {
    bytes += kset_bytes(format::most_keys, alignment);
  }
  return bytes + kset_bytes(keys, alignment);
}

}  // namespace

VolumeCache::VolumeCache(CacheDevice& device, std::uint32_t slot, IndexMemory& memory,
                         const Clock& clock)
    : device_(device),
      slot_(slot),
      tag_(device.volumes()[slot].identity.tag),
      payload_crc_(device.payload_crc()),
      index_(memory, sectors_of(device.volumes()[slot].identity.size)),
      log_(device, slot, clock),
      commit_(device, log_, index_, misses_) {}

Result<void, CacheError> VolumeCache::open_log(DurableWriter& writer, std::uint64_t last,
                                               std::uint64_t last_time_ms) {
  TRY(log_.open(writer, last, last_time_ms));
  commit_.start_at(last);
  writable_.store(true, std::memory_order_release);
  waits_for_room_.store(false, std::memory_order_release);
  return success();
}

std::optional<CacheRefusal> VolumeCache::refusal() const {
  if (commit_.failed()) return CacheRefusal::failed;
  if (writable_.load(std::memory_order_acquire)) return std::nullopt;
  return waits_for_room() ? CacheRefusal::no_space : CacheRefusal::read_only;
}

bool VolumeCache::promise_log(CacheActor& actor, CommitRecord& record, std::size_t keys,
                              VolumeLog::Purpose purpose) {
  const std::uint64_t bytes = log_bytes_of(keys, device_.layout().kset_alignment);
  const auto ask = [&](std::uint64_t amount, TurnStock::What what) {
    return log_.reserve(amount,
                        what == TurnStock::What::ahead ? VolumeLog::Purpose::ahead : purpose);
  };
  TurnStock& stock = actor.of(*this).log_bytes;
  while (purpose == VolumeLog::Purpose::relog ? !log_.reserve(bytes, purpose)
                                              : !stock.take(bytes, ask)) {
    if (!may_grow_log(purpose)) return false;
    if (!log_.add_spare(actor.writer())) return false;
  }
  record.log_bytes_ = bytes;
  return true;
}

// What is kept in the cache takes nothing that commands may wait for; and no volume's log, whose
// backing may hang, what others count on.
bool VolumeCache::may_grow_log(VolumeLog::Purpose purpose) {
  SegmentTable& segments = device_.segments();
  const std::uint32_t free = segments.free_count();
  if (purpose == VolumeLog::Purpose::relog && free <= SegmentShares::device_reserve) return false;
  return log_.chunks() <= VolumeLog::few_chunks || segments.shares().lends_to_logs(free);
}

Result<void, CacheRefusal> VolumeCache::write(CacheActor& actor, CommitRecord& record,
                                              SectorRange range, Data data, const PieceSums& sums) {
  return take_data(actor, record, range, data, {.is_copied_later = true, .sums = sums});
}

Result<void, CacheRefusal> VolumeCache::fill(CacheActor& actor, CommitRecord& record,
                                             SectorRange range, Data data,
                                             const std::atomic<bool>* overtaken) {
  return take_data(
      actor, record, range, data,
      {.kind = format::KeyKind::clean, .condition = KeyCondition::hole, .overtaken = overtaken});
}

Result<void, CacheRefusal> VolumeCache::write_zeroes(CacheActor& actor, CommitRecord& record,
                                                     std::span<const SectorRange> ranges,
                                                     ZeroedSpace space) {
  return take_marks(actor, record, ranges, format::KeyKind::zero, space);
}

Result<void, CacheRefusal> VolumeCache::invalidate(CacheActor& actor, CommitRecord& record,
                                                   SectorRange range) {
  return take_marks(actor, record, {&range, 1}, format::KeyKind::invalidate, ZeroedSpace::kept);
}

// Everything that can be refused comes before the first byte is copied: data space, index memory,
// log space; all or nothing.
Result<void, CacheRefusal> VolumeCache::take_data(CacheActor& actor, CommitRecord& record,
                                                  SectorRange range, Data data,
                                                  const Terms& terms) {
  CHECK(!range.empty() && data.size() == range.count.value * sector_bytes);
  record.reset();
  if (const auto refused = refusal()) return *refused;
  auto& of = actor.of(*this);
  SegmentHead::Places& places = of.places;
  places.clear();
  const auto reserved = of.head.reserve(actor.writer(), range.count, places);
  if (!reserved) {
    actor.note_refusal(of);
    return reserved.error().kind == CacheError::Kind::no_free_segment ? CacheRefusal::no_space
                                                                      : CacheRefusal::media_error;
  }
  const auto give_up = [&](CacheRefusal why) -> Result<void, CacheRefusal> {
    record.keys_.clear();
    (void)of.head.take_back(actor.writer(), places);
    actor.note_refusal(of);
    return why;
  };
  Sector at = range.begin;
  for (const DataPlace& part : places) {
    auto permit = index_.prepare({at, part.count}, of.slabs);
    if (!permit) return give_up(CacheRefusal::no_memory);
    PendingKey& key = record.keys_.emplace_back(std::move(*permit), terms.kind);
    key.condition = terms.condition;
    key.overtaken = terms.overtaken;
    key.owner = terms.owner;
    key.owner.place = terms.owner.place + (at - range.begin);
    key.value.heat = terms.heat;
    key.value.place = part.place;
    key.value.logged_sectors = static_cast<std::uint16_t>(part.count.value);
    key.segment = part.segment;
    key.generation = part.generation;
    at = at + part.count;
  }
  if (!promise_log(actor, record, record.keys_.size(), terms.purpose)) {
    return give_up(CacheRefusal::no_space);
  }
  if (actor.writes_later() || terms.is_copied_later) {
    record.data_ = data;
    record.sums_ = terms.sums;
  } else if (!copy_data(actor.store(), record, data)) {
    log_.give_back(std::exchange(record.log_bytes_, 0));
    const auto result = give_up(CacheRefusal::media_error);
    of.head.close();
    return result;
  }
  of.head.keep();
  actor.add(of, record);
  return success();
}

Result<void, CacheRefusal> VolumeCache::take_marks(CacheActor& actor, CommitRecord& record,
                                                   std::span<const SectorRange> ranges,
                                                   format::KeyKind kind, ZeroedSpace space) {
  CHECK(!ranges.empty());
  record.reset();
  if (const auto refused = refusal()) return *refused;
  SectorCount sum;
  for (const SectorRange& range : ranges) {
    sum = sum + range.count;
    auto permit = index_.prepare(range);
    if (!permit) {
      record.keys_.clear();
      return CacheRefusal::no_memory;
    }
    record.keys_.emplace_back(std::move(*permit), kind).gives_back =
        space == ZeroedSpace::given_back;
  }
  CHECK(kind != format::KeyKind::zero || sum <= most_zeroed);
  if (!promise_log(actor, record, record.keys_.size(), VolumeLog::Purpose::command)) {
    record.keys_.clear();
    actor.note_refusal(actor.of(*this));
    return CacheRefusal::no_space;
  }
  actor.add(actor.of(*this), record);
  return success();
}

void VolumeCache::give_back(std::uint64_t log_bytes, std::uint64_t slabs) {
  if (log_bytes != 0) log_.give_back(log_bytes);
  if (slabs != 0) index_.give_back(slabs);
}

// Its keys were never logged, and nobody has seen them.
void VolumeCache::abandon(CommitRecord& record) {
  for (const PendingKey& key : record.keys_) {
    device_.segments()
        .counters(key.segment)
        .live_sectors.fetch_sub(static_cast<std::uint32_t>(key.range().count.value),
                                std::memory_order_release);
  }
  record.keys_.clear();
  log_.give_back(std::exchange(record.log_bytes_, 0));
  record.outcome_ = CommitOutcome::bad_place;
}

bool VolumeCache::copy_data(PmemWriter& writer, CommitRecord& record, Data data) {
  std::array<std::uint32_t, most_pieces> space;
  std::uint64_t done = 0;
  for (PendingKey& key : record.keys_) {
    const SectorCount count{key.value.logged_sectors};
    const Data part = data.subspan(done, count.value * sector_bytes);
    const PieceSums sums = record.sums_.part(done, part.size());
    done += part.size();
    const MediaOffset to{key.value.place.value * sector_bytes};
    const std::uint64_t pieces = pieces_of(count);
    const auto crcs = std::span(space).first(pieces);
    if (!payload_crc_ || sums.copy_to(crcs)) {
      if (!writer.copy(to, part)) return false;
    } else if (!writer.copy_crc(to, part, crcs)) {
      return false;
    }
    if (!payload_crc_) continue;
    if (pieces == 1) {
      key.value.crc = crcs[0];
      continue;
    }
    // Whole cache lines.
    std::array<std::byte, most_pieces * sizeof(std::uint32_t)> array;
    const std::uint64_t bytes = pieces * sizeof(std::uint32_t);
    const std::uint64_t padded = (bytes + line_bytes - 1) / line_bytes * line_bytes;
    const auto all = std::span(array).first(padded);
    key.value.crc = encode_piece_array(crcs, all);
    if (!writer.copy({to.value - padded}, all)) return false;
  }
  return true;
}

Result<void, CacheError> VolumeCache::note_durable(DurableWriter& writer) {
  LogEpoch epoch = device_.volumes()[slot_].epoch;
  const std::uint64_t durable = commit_.published();
  if (epoch.known_durable >= durable) return success();
  epoch.known_durable = durable;
  return device_.volumes().set_epoch(writer, slot_, epoch);
}

Result<void, CacheError> VolumeCache::stop_clean(DurableWriter& writer) {
  writable_.store(false, std::memory_order_release);
  LogEpoch epoch = device_.volumes()[slot_].epoch;
  epoch.known_durable = std::max(epoch.known_durable, commit_.published());
  epoch.clean_end = commit_.published();
  TRY(device_.volumes().set_epoch(writer, slot_, epoch));
  return log_.release_spares(writer);
}

}  // namespace engine
