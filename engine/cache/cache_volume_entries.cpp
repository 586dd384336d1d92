#include "engine/cache/cache_volume_entries.h"

#include <algorithm>
#include <string_view>
#include <tuple>

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

// What an entry holds field by field, of the entry as of the value: each list stands once.
template <class Epoch>
auto fields_of_epoch(Epoch& of) {
  return std::tie(of.epoch, of.first_sequence, of.first_chunk, of.known_durable, of.clean_end,
                  of.attach_epoch);
}
template <class Tails>
auto fields_of_tails(Tails& of) {
  return std::tie(of.key_tail, of.key_tail_chunk, of.dirty_tail, of.dirty_tail_chunk,
                  of.writeback_target, of.consistent_time_ms);
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
  fields_of_epoch(entry) = fields_of_epoch(epoch);
  return entry;
}

format::VolumeTailsEntry encode_entry(const LogTails& tails) {
  format::VolumeTailsEntry entry{};
  fields_of_tails(entry) = fields_of_tails(tails);
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
  LogEpoch epoch;
  fields_of_epoch(epoch) = fields_of_epoch(entry);
  return if_possible(epoch);
}

std::optional<LogTails> decode_entry(const format::VolumeTailsEntry& entry) {
  LogTails tails;
  fields_of_tails(tails) = fields_of_tails(entry);
  return if_possible(tails);
}

std::optional<CacheVolumeBinding> decode_entry(const format::VolumeBindingEntry& entry) {
  return if_possible(CacheVolumeBinding{.attach_epoch = entry.attach_epoch,
                                        .mode = static_cast<format::CacheMode>(entry.mode.value()),
                                        .block_size = {entry.block_bytes},
                                        .name = readable(entry.name)});
}

}  // namespace engine
