// CacheVolumeTable: the volumes that a cache device serves, and where the log of each stands.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/cache/cache_error.h"
#include "engine/cache/cache_finding.h"
#include "engine/cache/cache_layout.h"
#include "engine/cache/device_seal.h"
#include "engine/cache/durable_writer.h"
#include "engine/cache/replicated_table.h"
#include "engine/foundation/result.h"
#include "engine/foundation/uuid.h"

namespace engine {

// The fields of the entries in cache_format.h, which says what they mean.
struct CacheVolumeIdentity {
  Uuid volume;
  Uuid backing;
  ByteCount size;
  format::VolumeSlotState state = format::VolumeSlotState::free;
  std::uint32_t tag = 0;
  friend bool operator==(const CacheVolumeIdentity&, const CacheVolumeIdentity&) = default;
};
struct LogEpoch {
  std::uint64_t epoch = 0;
  std::uint64_t first_sequence = 1;
  std::uint64_t first_chunk = 1;
  std::uint64_t known_durable = 0;
  std::uint64_t clean_end = 0;
  std::uint64_t attach_epoch = 0;
  friend bool operator==(const LogEpoch&, const LogEpoch&) = default;
};
struct LogTails {
  std::uint64_t key_tail = 0;
  std::uint64_t key_tail_chunk = 1;
  std::uint64_t dirty_tail = 0;
  std::uint64_t dirty_tail_chunk = 1;
  std::uint64_t writeback_target = 0;
  std::uint64_t consistent_time_ms = 0;
  friend bool operator==(const LogTails&, const LogTails&) = default;
};
struct CacheVolumeBinding {
  std::uint64_t attach_epoch = 0;
  format::CacheMode mode = format::CacheMode::write_back;
  BlockSize block_size;
  std::string name;  // cut to 32 bytes on the media
  friend bool operator==(const CacheVolumeBinding&, const CacheVolumeBinding&) = default;
};

struct CacheVolume {
  CacheVolumeIdentity identity;
  LogEpoch epoch;
  LogTails tails;
  CacheVolumeBinding binding;
  // An entry of the slot is lost, impossible, or contradicts the others or another slot: it takes
  // no volume and its volume cannot be served; whatever may belong to it is kept.
  bool damaged = false;
  bool identity_lost = false;  // damaged, and not even its tag is known

  // Every kset up to this one was durable once: a log that ends before has lost some.
  [[nodiscard]] std::uint64_t durable_floor() const;
  // Whether nothing of it waits for its backing, for certain: stopped clean and all written back.
  [[nodiscard]] bool is_provably_clean() const;
};

// The lists (attach, set_state, release): one thread, the control thread. The other changes: one
// thread at a time for each volume, of different volumes at once. A slot is read by who may change
// it. No lock.
// Invariants: no two slots that are not free have one volume or one tag, unless both are damaged;
// no tag is ever given twice; both replicas of an entry that is not being changed are equal.
class CacheVolumeTable {
 public:
  // Both outlive the table.
  CacheVolumeTable(const CacheLayout& layout, const DeviceSeal& seal);
  CacheVolumeTable(const CacheVolumeTable&) = delete;
  CacheVolumeTable& operator=(const CacheVolumeTable&) = delete;

  // The first entries of a slot, in the order of format::VolumeSlot, as format writes them.
  [[nodiscard]] static std::array<RawEntry, 4> fresh_entries(const DeviceSeal& seal,
                                                             std::uint32_t slot);
  // Takes over what opening has read. Reports what is impossible.
  void load(const ReplicatedTable& table, CacheFindings& findings);

  [[nodiscard]] std::uint32_t slots() const { return static_cast<std::uint32_t>(slots_.size()); }
  [[nodiscard]] const CacheVolume& operator[](std::uint32_t slot) const;
  // The slot of an attached or leaving volume; nullopt if there is none. It may be damaged.
  [[nodiscard]] std::optional<std::uint32_t> find(const Uuid& volume) const;
  [[nodiscard]] std::optional<std::uint32_t> find_tag(std::uint32_t tag) const;
  [[nodiscard]] bool any_identity_lost() const;

  struct NewVolume {
    Uuid volume;
    Uuid backing;
    ByteCount size;
    CacheVolumeBinding binding;
  };
  // Gives the volume a slot and a tag that was never used; its log is empty, its epoch 0. The
  // identity is written last and commits. Errors: known_volume, no_free_slot, exhausted,
  // lost_entry (a slot whose tag is unknown: the next tag might be in use), io.
  [[nodiscard]] Result<std::uint32_t, CacheError> attach(DurableWriter& writer,
                                                         const NewVolume& volume);
  // The volume is gone from here on, and its log and segments belong to nobody; they are freed by
  // who calls this, or by the next open. Only a volume without dirty keys, or an abandoned one.
  [[nodiscard]] Result<void, CacheError> leave(DurableWriter& writer, std::uint32_t slot);
  // After its last segment was freed: the slot is free, its tag stays in it.
  [[nodiscard]] Result<void, CacheError> release(DurableWriter& writer, std::uint32_t slot);

  // Each replaces one entry, durable in both replicas on return. What is written must follow from
  // what was there: an epoch, a tail and an end never go back. Error: io; then nobody knows which
  // of the two counts until the device is opened anew.
  [[nodiscard]] Result<void, CacheError> set_epoch(DurableWriter& writer, std::uint32_t slot,
                                                   const LogEpoch& epoch);
  [[nodiscard]] Result<void, CacheError> set_tails(DurableWriter& writer, std::uint32_t slot,
                                                   const LogTails& tails);
  [[nodiscard]] Result<void, CacheError> set_binding(DurableWriter& writer, std::uint32_t slot,
                                                     const CacheVolumeBinding& binding);
  [[nodiscard]] Result<void, CacheError> set_size(DurableWriter& writer, std::uint32_t slot,
                                                  ByteCount size);
  // For the repair of a damaged log, which may go back. Nobody else may have the volume. Error: io.
  [[nodiscard]] Result<void, CacheError> replace_epoch(DurableWriter& writer, std::uint32_t slot,
                                                       const LogEpoch& epoch);
  [[nodiscard]] Result<void, CacheError> replace_tails(DurableWriter& writer, std::uint32_t slot,
                                                       const LogTails& tails);
  // The epoch of a log that is opened for writing: one more, under the binding's attach epoch, and
  // its ksets begin at
  // `first_sequence`, in chunk `first_chunk`, which is made after this. Errors: io, exhausted.
  [[nodiscard]] Result<void, CacheError> begin_epoch(DurableWriter& writer, std::uint32_t slot,
                                                     std::uint64_t first_sequence,
                                                     std::uint64_t first_chunk);
  // For tests.
  void check_invariants() const;

 private:
  struct Slot {
    CacheVolume volume;
    std::array<std::uint64_t, 4> sequences{};  // of its entries
  };

  [[nodiscard]] Slot& at(std::uint32_t slot);
  void load_slot(std::uint32_t slot, const ReplicatedTable& table, CacheFindings& findings);
  void mark_duplicates(CacheFindings& findings);
  [[nodiscard]] Result<void, CacheError> write_identity(DurableWriter& writer, std::uint32_t slot,
                                                        const CacheVolumeIdentity& identity);
  template <class Value>
  [[nodiscard]] Result<void, CacheError> replace(DurableWriter& writer, std::uint32_t slot,
                                                 format::EntryType type, Value CacheVolume::*field,
                                                 const Value& value);
  [[nodiscard]] Result<void, CacheError> persist(DurableWriter& writer, std::uint32_t slot,
                                                 format::EntryType type, const RawEntry& next);

  const CacheLayout& layout_;
  const DeviceSeal& seal_;
  std::vector<Slot> slots_;
};

}  // namespace engine
