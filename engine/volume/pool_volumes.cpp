// PoolKeeper: its volumes: how they are brought up, added and let go of.
#include <algorithm>
#include <mutex>
#include <thread>
#include <utility>

#include "engine/foundation/check.h"
#include "engine/foundation/guard.h"
#include "engine/pool/pool_check.h"
#include "engine/volume/pool_finding.h"
#include "engine/volume/pool_keeper.h"

namespace engine {
namespace {

// What a process that was just killed had under way on a disk that works ends within this.
constexpr Duration last_requests_patience = std::chrono::milliseconds(500);
constexpr auto last_requests_poll = std::chrono::milliseconds(5);
constexpr const char* note_in_memory = "in memory: contents are gone when the daemon stops";
constexpr const char* let_go_reason = "the configuration does not name it any more";

BlockCount blocks_of(ByteCount size, BlockSize block) { return {size.value / block.bytes}; }

}  // namespace

// ---- that come and go

void PoolKeeper::add(const VolumeSpec& spec, BackedVolume& volume, BackingUser& user) {
  auto slot = std::make_unique<Slot>(
      Slot{.spec = spec, .volume = volume, .user = user, .is_cached = spec.cache.has_value()});
  if (!spec.was.empty()) slot->former_names.push_back(spec.was);
  if (!thread_.joinable()) return list(std::move(slot));
  volume.stay_late("pool " + spec_.name + ": its turn has not come yet",
                   Finding::About::pool_directory);
  {
    const std::lock_guard lock(mutex_);
    arriving_.push_back(std::move(slot));
  }
  wake_.notify_all();
}

void PoolKeeper::list(std::unique_ptr<Slot> slot) {
  Slot& added = *slot;
  {
    const std::lock_guard lock(mutex_);
    slots_.push_back(std::move(slot));
  }
  added.volume.observe(this);
  added.volume.keep_with(*this);
  if (!is_on_disk()) return;
  auto known = known_.find(added.spec.name);
  if (!known && !added.spec.was.empty()) known = known_.find(added.spec.was);
  learn_identity(added, known ? &*known : nullptr);
}

void PoolKeeper::list_arriving(std::vector<std::unique_ptr<Slot>> arriving) {
  for (auto& slot : arriving) list(std::move(slot));
  try_now();
}

std::optional<PoolKeeper::Removal> PoolKeeper::take_quiet() {
  const auto quiet =
      std::ranges::find_if(removals_, [](const Removal& removal) { return removal.is_quiet(); });
  if (quiet == removals_.end()) return std::nullopt;
  Removal removal = std::move(*quiet);
  removals_.erase(quiet);
  return removal;
}

// What it may still owe counts among what its pool retains before it counts no more as its own:
// nobody measures in between.
void PoolKeeper::remove_now(const std::string& volume) {
  Slot* const leaving = slot_of(volume);
  CHECK(leaving != nullptr);
  const std::unique_ptr<BackingDevice> backing = leaving->volume.let_go(let_go_reason);
  std::unique_ptr<Slot> gone;
  {
    const std::lock_guard lock(mutex_);
    const auto at =
        std::ranges::find_if(slots_, [leaving](const auto& slot) { return slot.get() == leaving; });
    gone = std::move(*at);
    slots_.erase(at);
  }
  publish_retained();
}

// The last that its thread does for a pool that is to be removed.
void PoolKeeper::end() {
  if (!removed_) return;
  CHECK(slots_.empty());
  pool_.reset();
  former_.clear();
  {
    const std::lock_guard lock(mutex_);
    disks_.clear();
  }
  std::exchange(removed_, {})(boost::outcome_v2::success());
}

bool PoolKeeper::let_go() {
  {
    const std::lock_guard lock(mutex_);
    if (!ended_) return false;
  }
  if (thread_.joinable()) thread_.join();
  return true;
}

// ---- brought up

// An online grow may be ahead of the specification; of one before the start the pool knows.
VolumeWish PoolKeeper::wish_for(const Slot& slot) const {
  ByteCount size = slot.spec.size;
  if (slot.volume.state() != VolumeState::late) {
    size = std::max(size, slot.volume.size() * served_blocks(slot));
  }
  const Uuid& uuid = slot.volume.identity().uuid;
  return {.name = name_in_pool(slot.spec.name),
          .size = size,
          .block_size = slot.spec.block_size,
          .uuid = uuid.is_nil() ? std::nullopt : std::optional(uuid),
          .is_cached = slot.is_cached,
          .provisioning = spec_.provisioning};
}

void PoolKeeper::bring_up(const std::vector<Slot*>& down) {
  if (!is_on_disk()) {
    for (Slot* slot : down) bring_up_memory(*slot);
    return;
  }
  begin("opening images");
  lock_deadline_ = clock_.now() + last_requests_patience;
  // First those that nothing must be zeroed for: that can take hours.
  may_zero_ = false;
  std::vector<Slot*> unzeroed = ensure(down);
  may_zero_ = true;
  if (!unzeroed.empty()) {
    begin("zeroing");
    unzeroed = ensure(unzeroed);
  }
  if (unzeroed.empty()) return;
  // Somebody has asked for something else; then it goes on.
  const std::lock_guard lock(mutex_);
  trying_now_ = true;
}

std::vector<PoolKeeper::Slot*> PoolKeeper::ensure(const std::vector<Slot*>& all) {
  std::vector<Slot*> down;
  std::vector<VolumeWish> wishes;
  for (Slot* const slot : all) {
    if (!slot->spec.was.empty() && record_of(slot->spec.name) == nullptr) {
      stay_down(*slot, not_made_anew(slot->spec.name, slot->spec.was));
      continue;
    }
    down.push_back(slot);
    wishes.push_back(wish_for(*slot));
  }
  const auto answers = pool_->ensure(wishes);
  std::vector<Slot*> unzeroed;
  for (std::size_t at = 0; at < down.size(); ++at) {
    Slot& slot = *down[at];
    if (answers[at]) {
      bring_up_opened(slot, answers[at].value());
      continue;
    }
    PoolError error = answers[at].error();
    if (error.kind == PoolError::Kind::zeroing) unzeroed.push_back(&slot);
    if (error.kind == PoolError::Kind::other_volume && !known_.path().empty()) {
      error.text += " (A new, empty one is made only if " + known_.path() + " is removed.)";
    }
    learn_identity(slot, record_of(slot.spec.name));
    stay_down(slot, error);
  }
  return unzeroed;
}

void PoolKeeper::bring_up_memory(Slot& slot) {
  auto device = MemoryDevice::create(slot.spec.size);
  if (!device) return stay_down(slot, device.error());
  slot.memory = device.value().get();
  auto lossy = std::make_unique<LossyBacking>(std::move(device.value()), slot.spec.name,
                                              LostRanges{}, *this);
  {
    const std::lock_guard lock(mutex_);
    slot.lossy = lossy.get();
  }
  // Its contents are new at each start, so it is another volume each time.
  slot.volume.learn_reservations({});
  slot.volume.go_online(std::move(lossy), Uuid::random(),
                        blocks_of(slot.spec.size, slot.spec.block_size),
                        promise_of(slot, slot.spec.size));
}

Result<std::unique_ptr<OpenedVolume>, PoolError> PoolKeeper::open_volume(const Slot& slot,
                                                                         const VolumeRecord& record,
                                                                         IoSource source) {
  while (true) {
    auto opened = pool_->open_volume(record, source, slot.space.get());
    const bool is_held = !opened && opened.error().kind == PoolError::Kind::in_use;
    if (!is_held || clock_.now() >= lock_deadline_) return opened;
    std::this_thread::sleep_for(last_requests_poll);
  }
}

void PoolKeeper::bring_up_opened(Slot& slot, const VolumeRecord& record) {
  // Once it has been online it has its blocks for good, whatever its record says by now.
  if (slot.volume.state() == VolumeState::late) {
    slot.volume.learn_blocks(record.block_size, record.blocks_by_host);
  }
  const BlockCount blocks = blocks_of(record.size, served_blocks(slot));
  if (slot.opened != nullptr) {
    auto reopened = slot.opened->reopen(*pool_, record);
    if (!reopened) return stay_down(slot, reopened.error());
    slot.volume.recover(blocks, promise_of(slot, record.size));
  } else {
    const IoSource source = IoSource::new_file(backing_number_);
    if (slot.space == nullptr && pool_->needs_space(record)) make_space(slot, record);
    auto opened = open_volume(slot, record, source);
    if (!opened) {
      if (opened.error().kind == PoolError::Kind::in_use) learn_identity(slot, &record);
      return stay_down(slot, opened.error());
    }
    std::unique_ptr<FileMarker> marker;
    std::unique_ptr<FileJournal> journal;
    if (slot.is_cached) {
      auto found = pool_->open_marker(record, source);
      if (!found) return stay_down(slot, found.error());
      marker = std::move(found.value());
    }
    if (slot.is_cached && slot.spec.cache->ordered == WriteBackOrder::journal) {
      auto found = pool_->open_journal(record, source);
      if (!found) return stay_down(slot, found.error());
      journal = std::move(found.value());
    }
    slot.opened = std::move(opened.value());
    const VolumePromise promise = promise_of(slot, record.size);
    auto lossy = std::make_unique<LossyBacking>(slot.opened->take_backing(), slot.spec.name,
                                                record.lost, *this);
    {
      const std::lock_guard lock(mutex_);
      slot.lossy = lossy.get();
    }
    // Who serves it from the next line on knows who may use it.
    if (GUARD("reservations before their volume")) {
      slot.volume.learn_reservations(record.reservations);
      slot.volume.learn_write_protection(record.write_protected);
      slot.volume.learn_formatting(record.formatting);
    }
    slot.volume.go_online(std::move(lossy), record.uuid, blocks, promise);
    if (slot.is_cached) {
      slot.user.backing_came({.binding = record.cache,
                              .marker = std::move(marker),
                              .journal = std::move(journal),
                              .promise = promise});
    }
  }
  known_.remember(record);
}

VolumePromise PoolKeeper::promise_of(const Slot& slot, ByteCount size) {
  BackingPromise beneath{.note = note_in_memory,
                         .survives_power_loss = false,
                         .atomic_write_bytes = MemoryDevice::atomic_write_bytes};
  if (slot.opened != nullptr) beneath = slot.opened->promise();
  std::string note = std::move(beneath.note);
  if (slot.opened != nullptr && !note.empty()) {
    const std::lock_guard lock(mutex_);
    status_.note = note;  // all volumes of a pool are on the same kind of disks
  }
  if (slot.spec.size < size) {
    if (!note.empty()) note += "; ";
    note += larger_than_configured(size, slot.spec.size);
  }
  if (served_blocks(slot) != slot.spec.block_size) {
    if (!note.empty()) note += "; ";
    note += blocks_by_host(served_blocks(slot));
  }
  return {.durable = beneath.survives_power_loss,
          .note = std::move(note),
          .atomic_write_bytes = beneath.atomic_write_bytes};
}

void PoolKeeper::stay_down(Slot& slot, const PoolError& error) {
  const Finding::About found = about(error.kind);
  if (found != Finding::About::volume && slot.volume.state() == VolumeState::late) {
    slot.volume.refuse(error.text, found);
  } else if (slot.volume.state() == VolumeState::late) {
    slot.volume.stay_late(error.text, found, error.kind == PoolError::Kind::cache_missing);
  } else {
    slot.volume.stay_failed(error.text);
  }
}

void PoolKeeper::stay_down(Slot& slot, const std::string& reason) {
  stay_down(slot, PoolError{PoolError::Kind::io, reason});
}

// Gives a late volume the identity and size of `record`, unless it has one.
void PoolKeeper::learn_identity(Slot& slot, const VolumeRecord* record) {
  if (slot.volume.state() != VolumeState::late || !slot.volume.identity().uuid.is_nil()) return;
  if (record == nullptr) return;
  if (record->block_size != slot.spec.block_size && !record->blocks_by_host) return;
  slot.volume.learn_blocks(record->block_size, record->blocks_by_host);
  slot.volume.learn(record->uuid, blocks_of(record->size, record->block_size));
}

}  // namespace engine
