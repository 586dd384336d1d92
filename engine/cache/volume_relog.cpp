// VolumeCache: what stays in the cache is logged again, in place or in a new one.
#include "engine/cache/volume_cache.h"
#include "engine/foundation/check.h"

namespace engine {
namespace {

Owner owner_of(const Fragment& fragment) {
  return {.kind = ExtentKind::data, .place = fragment.value.place, .clean_only = true};
}

}  // namespace

bool VolumeCache::can_relog(const Fragment& fragment) const {
  return !payload_crc_ || (fragment.value.origin == 0 &&
                           fragment.value.logged_sectors == fragment.range.count.value);
}

Result<void, CacheRefusal> VolumeCache::relog(CacheActor& actor, CommitRecord& record,
                                              std::span<const Fragment> fragments) {
  CHECK(!fragments.empty());
  record.reset();
  if (const auto refused = refusal()) return *refused;
  for (const Fragment& fragment : fragments) {
    CHECK(fragment.value.kind == ExtentKind::data && can_relog(fragment));
    auto permit = index_.prepare(fragment.range);
    if (!permit) {
      record.keys_.clear();
      return CacheRefusal::no_memory;
    }
    const MediaOffset at{fragment.value.place.value * format::place_bytes};
    PendingKey& key = record.keys_.emplace_back(std::move(*permit), format::KeyKind::clean);
    key.condition = KeyCondition::owned;
    key.owner = owner_of(fragment);
    key.value = fragment.value;
    key.value.origin = 0;
    key.value.logged_sectors = static_cast<std::uint16_t>(fragment.range.count.value);
    key.value.heat = fragment.value.heat / 2;
    key.segment = *device_.layout().segment_of(at);
    key.generation = static_cast<std::uint32_t>(device_.segments().info(key.segment).generation);
  }
  if (!promise_log(actor, record, record.keys_.size(), VolumeLog::Purpose::relog)) {
    record.keys_.clear();
    return CacheRefusal::no_space;
  }
  // Counted twice until it is published over itself, or dropped.
  for (const PendingKey& key : record.keys_) {
    device_.segments()
        .counters(key.segment)
        .live_sectors.fetch_add(static_cast<std::uint32_t>(key.range().count.value),
                                std::memory_order_relaxed);
  }
  actor.add(actor.of(*this), record);
  return success();
}

Result<void, CacheRefusal> VolumeCache::move(CacheActor& actor, CommitRecord& record,
                                             const Fragment& fragment, Data data) {
  return take_data(actor, record, fragment.range, data,
                   {.kind = format::KeyKind::clean,
                    .condition = KeyCondition::owned,
                    .purpose = VolumeLog::Purpose::relog,
                    .owner = owner_of(fragment),
                    .heat = static_cast<std::uint8_t>(fragment.value.heat / 2)});
}

Result<void, CacheRefusal> VolumeCache::heal(CacheActor& actor, CommitRecord& record,
                                             const Fragment& bad, Data data,
                                             const std::atomic<bool>* overtaken) {
  return take_data(actor, record, bad.range, data,
                   {.kind = format::KeyKind::clean,
                    .condition = KeyCondition::owned,
                    .purpose = VolumeLog::Purpose::relog,
                    .owner = owner_of(bad),
                    .heat = bad.value.heat,
                    .overtaken = overtaken});
}

}  // namespace engine
