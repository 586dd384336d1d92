#include "engine/cache/volume_log.h"

#include <algorithm>
#include <mutex>
#include <string>

#include "engine/cache/kset.h"
#include "engine/foundation/check.h"
#include "engine/foundation/guard.h"

namespace engine {

VolumeLog::VolumeLog(CacheDevice& device, std::uint32_t slot, const Clock& clock)
    : device_(device),
      slot_(slot),
      clock_(clock),
      alignment_(device.layout().kset_alignment),
      chunk_bytes_(device.layout().chunk_bytes) {}

std::uint64_t VolumeLog::usable_bytes() const {
  const std::uint64_t worst_rest = kset_bytes(format::most_keys, alignment_) - alignment_;
  return chunk_bytes_ - device_.layout().first_kset() - worst_rest;
}

Result<void, CacheError> VolumeLog::open(DurableWriter& writer, std::uint64_t last,
                                         std::uint64_t last_time_ms) {
  last_sequence_ = last;
  last_time_ms_ = last_time_ms;
  ordinal_ = device_.next_ordinal(slot_);
  chunk_count_ = device_.chunks_of(slot_).chunks.size();
  // Before the epoch: where there is no room, nothing has changed.
  TRY(add_spare(writer));
  const auto spare = add_spare(writer);
  if (!spare && spare.error().kind != CacheError::Kind::no_free_segment) return spare.error();
  CacheVolumeTable& volumes = device_.volumes();
  tag_ = volumes[slot_].identity.tag;
  epoch_ = volumes[slot_].epoch.epoch + 1;
  if (GUARD("epoch before the first kset")) {
    TRY(volumes.begin_epoch(writer, slot_, last + 1, ordinal_));
    CHECK(volumes[slot_].epoch.epoch == epoch_);
  }
  return begin_chunk(writer);
}

std::uint64_t VolumeLog::chunks_left_by(Purpose purpose) {
  switch (purpose) {
    case Purpose::command:
      return 0;
    case Purpose::relog:
      return 1;
    case Purpose::ahead:
      return 2;
  }
  CHECK(false);
}

bool VolumeLog::reserve(std::uint64_t bytes, Purpose purpose) {
  const auto wanted = static_cast<std::int64_t>(bytes);
  const auto kept = static_cast<std::int64_t>(chunks_left_by(purpose) * usable_bytes());
  if (available_.fetch_sub(wanted, std::memory_order_relaxed) >= wanted + kept) return true;
  available_.fetch_add(wanted, std::memory_order_relaxed);
  return false;
}

Result<void, CacheError> VolumeLog::add_spare(DurableWriter& writer) {
  const auto full = [] {
    return CacheError{CacheError::Kind::no_free_segment, {}, "the log has no room for more keys"};
  };
  if (spares() == most_spares) return full();
  TRY(auto places, device_.chunks().reserve(writer));
  bool added = false;
  {
    const std::lock_guard lock(spares_lock_);
    if (spares_.size() < most_spares) {
      spares_.push_back(places);
      spare_count_.store(spares_.size(), std::memory_order_relaxed);
      added = true;
    }
  }
  if (!added) {
    TRY(device_.chunks().release(writer, places));
    return full();
  }
  give_back(usable_bytes());
  return success();
}

std::optional<ChunkPlaces> VolumeLog::take_spare() {
  const std::lock_guard lock(spares_lock_);
  if (spares_.empty()) return std::nullopt;
  const ChunkPlaces places = spares_.front();
  spares_.erase(spares_.begin());
  spare_count_.store(spares_.size(), std::memory_order_relaxed);
  return places;
}

Result<void, CacheError> VolumeLog::release_spares(DurableWriter& writer) {
  while (const auto places = take_spare()) {
    TRY(device_.chunks().release(writer, *places));
  }
  return success();
}

Result<void, CacheError> VolumeLog::begin_chunk(DurableWriter& writer) {
  const auto places = take_spare();
  if (!places) {
    return CacheError{CacheError::Kind::no_free_segment, {}, "the log has no spare chunk"};
  }
  TRY(auto chunk,
      device_.chunks().begin(writer, *places, tag_, ordinal_, last_sequence_ + 1, epoch_));
  device_.chunks_of(slot_).chunks.push_back(chunk);
  chunk_count_.fetch_add(1, std::memory_order_relaxed);
  places_ = *places;
  offset_ = device_.layout().first_kset();
  return success();
}

std::size_t VolumeLog::keys_that_fit() const {
  const std::uint64_t rest = chunk_bytes_ - offset_;
  if (rest < kset_bytes(1, alignment_)) return 0;
  const std::uint64_t keys = (rest - sizeof(format::KsetHeader)) / sizeof(format::Key);
  return std::min<std::size_t>(keys, format::most_keys);
}

Result<VolumeLog::Appended, CacheError> VolumeLog::append(DurableWriter& writer,
                                                          std::span<const format::Key> keys) {
  if (keys.size() > keys_that_fit()) {
    const std::uint64_t held = offset_ - device_.layout().first_kset();
    ++ordinal_;
    TRY(begin_chunk(writer));
    CHECK(held >= usable_bytes());
    give_back(held - usable_bytes());
  }
  const KsetStamp stamp{
      .volume_tag = tag_,
      .epoch = epoch_,
      .sequence = last_sequence_ + 1,
      .time_ms = std::max(last_time_ms_, static_cast<std::uint64_t>(clock_.wall().count()))};
  const auto bytes = encode_kset(device_.seal(), stamp, keys, alignment_, space_);
  CHECK(offset_ + bytes.size() <= chunk_bytes_);
  for (std::size_t copy = 0; copy < 2; ++copy) {
    if (copy == 1 && !GUARD("second kset copy")) break;
    const MediaOffset place = places_[copy] + ByteCount{offset_};
    const auto written = writer.write(place, bytes);
    if (!written) {
      return CacheError{CacheError::Kind::io, place,
                        "kset " + std::to_string(stamp.sequence) +
                            " cannot be written: " + text(written.error())};
    }
  }
  offset_ += bytes.size();
  last_sequence_ = stamp.sequence;
  last_time_ms_ = stamp.time_ms;
  return Appended{.sequence = stamp.sequence, .bytes = bytes.size()};
}

}  // namespace engine
