#include "engine/cache/cache_volume_entries.h"

#include <algorithm>
#include <string_view>

namespace engine {
namespace {

template <class Bytes>
bool is_zero(const Bytes& bytes) {
  return std::all_of(bytes.begin(), bytes.end(),
                     [](auto byte) { return byte == decltype(byte){}; });
}

// Names are for people: what is no printable ASCII is shown as a question mark.
std::string readable(const std::array<char, 32>& field) {
  std::string name(std::string_view(field.data(), field.size()));
  name.resize(std::min(name.find('\0'), name.size()));
  std::replace_if(
      name.begin(), name.end(), [](char c) { return c < ' ' || c > '~'; }, '?');
  return name;
}

template <class Value>
std::optional<Value> if_possible(const Value& value) {
  return is_possible(value) ? std::optional(value) : std::nullopt;
}

}  // namespace

bool is_possible(const CacheVolumeIdentity& identity) {
  if (identity.state > format::VolumeSlotState::leaving) return false;
  if (identity.state == format::VolumeSlotState::free) {
    return identity.volume.is_nil() && identity.backing.is_nil() && identity.size.value == 0;
  }
  return !identity.volume.is_nil() && !identity.backing.is_nil() && identity.tag != 0 &&
         identity.size.value != 0 && identity.size.value % format::place_bytes == 0 &&
         identity.size.value <= std::uint64_t{1} << 62;
}

bool is_possible(const LogEpoch& epoch) {
  if (epoch.first_sequence == 0 || epoch.first_chunk == 0) return false;
  if (epoch.epoch == 0) return epoch == LogEpoch{};
  return epoch.clean_end == 0 ||
         epoch.clean_end >= std::max(epoch.known_durable, epoch.first_sequence - 1);
}

bool is_possible(const LogTails& tails) {
  return tails.key_tail <= tails.dirty_tail && tails.key_tail_chunk != 0 &&
         tails.key_tail_chunk <= tails.dirty_tail_chunk &&
         (tails.writeback_target == 0 || tails.writeback_target >= tails.dirty_tail);
}

bool is_possible(const CacheVolumeBinding& binding) {
  return binding.mode >= format::CacheMode::write_back &&
         binding.mode <= format::CacheMode::read_only &&
         (binding.block_size.bytes == 512 || binding.block_size.bytes == 4096);
}

format::VolumeIdentityEntry encode_entry(const CacheVolumeIdentity& identity) {
  format::VolumeIdentityEntry entry{};
  entry.volume_uuid = identity.volume.bytes;
  entry.backing_uuid = identity.backing.bytes;
  entry.size_bytes = identity.size.value;
  entry.state = static_cast<std::uint32_t>(identity.state);
  entry.volume_tag = identity.tag;
  return entry;
}

format::VolumeEpochEntry encode_entry(const LogEpoch& epoch) {
  format::VolumeEpochEntry entry{};
  entry.epoch = epoch.epoch;
  entry.first_sequence = epoch.first_sequence;
  entry.first_chunk = epoch.first_chunk;
  entry.known_durable = epoch.known_durable;
  entry.clean_end = epoch.clean_end;
  return entry;
}

format::VolumeTailsEntry encode_entry(const LogTails& tails) {
  format::VolumeTailsEntry entry{};
  entry.key_tail = tails.key_tail;
  entry.key_tail_chunk = tails.key_tail_chunk;
  entry.dirty_tail = tails.dirty_tail;
  entry.dirty_tail_chunk = tails.dirty_tail_chunk;
  entry.writeback_target = tails.writeback_target;
  entry.consistent_time_ms = tails.consistent_time_ms;
  return entry;
}

format::VolumeBindingEntry encode_entry(const CacheVolumeBinding& binding) {
  format::VolumeBindingEntry entry{};
  entry.attach_epoch = binding.attach_epoch;
  entry.mode = static_cast<std::uint32_t>(binding.mode);
  entry.block_bytes = binding.block_size.bytes;
  std::copy_n(binding.name.begin(), std::min(binding.name.size(), entry.name.size()),
              entry.name.begin());
  return entry;
}

std::optional<CacheVolumeIdentity> decode_entry(const format::VolumeIdentityEntry& entry) {
  return if_possible(
      CacheVolumeIdentity{.volume = {entry.volume_uuid},
                          .backing = {entry.backing_uuid},
                          .size = {entry.size_bytes},
                          .state = static_cast<format::VolumeSlotState>(entry.state.value()),
                          .tag = entry.volume_tag});
}

std::optional<LogEpoch> decode_entry(const format::VolumeEpochEntry& entry) {
  if (!is_zero(entry.reserved)) return std::nullopt;
  return if_possible(LogEpoch{.epoch = entry.epoch,
                              .first_sequence = entry.first_sequence,
                              .first_chunk = entry.first_chunk,
                              .known_durable = entry.known_durable,
                              .clean_end = entry.clean_end});
}

std::optional<LogTails> decode_entry(const format::VolumeTailsEntry& entry) {
  return if_possible(LogTails{.key_tail = entry.key_tail,
                              .key_tail_chunk = entry.key_tail_chunk,
                              .dirty_tail = entry.dirty_tail,
                              .dirty_tail_chunk = entry.dirty_tail_chunk,
                              .writeback_target = entry.writeback_target,
                              .consistent_time_ms = entry.consistent_time_ms});
}

std::optional<CacheVolumeBinding> decode_entry(const format::VolumeBindingEntry& entry) {
  return if_possible(CacheVolumeBinding{.attach_epoch = entry.attach_epoch,
                                        .mode = static_cast<format::CacheMode>(entry.mode.value()),
                                        .block_size = {entry.block_bytes},
                                        .name = readable(entry.name)});
}

}  // namespace engine
