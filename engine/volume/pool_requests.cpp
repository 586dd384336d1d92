// PoolKeeper: what others ask of it.
#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "engine/foundation/check.h"
#include "engine/foundation/guard.h"
#include "engine/volume/pool_keeper.h"

namespace engine {

using boost::outcome_v2::success;

template <class Request>
void PoolKeeper::ask(std::deque<Request>& queue, Request request) {
  {
    const std::lock_guard lock(mutex_);
    if (!ended_) {
      queue.push_back(std::move(request));
      wake_.notify_all();
      return;
    }
  }
  request.done(std::string(stopping_answer));
}

// Nobody will carry them out. The lock is not held.
void PoolKeeper::refuse_requests() {
  std::deque<SpaceRequest> spaces;
  std::deque<GrowRequest> grows;
  std::deque<DestroyRequest> destroys;
  std::deque<RenameRequest> renames;
  std::deque<AdoptRequest> adoptions;
  std::deque<AbandonRequest> abandons;
  std::deque<ArrivalRequest> arrivals;
  std::deque<MemberRequest> newcomers;
  std::deque<SpecChange> changes;
  std::vector<Removal> removals;
  {
    const std::lock_guard lock(mutex_);
    spaces.swap(spaces_);
    grows.swap(grows_);
    destroys.swap(destroys_);
    renames.swap(renames_);
    adoptions.swap(adoptions_);
    abandons.swap(abandons_);
    arrivals.swap(arrivals_);
    newcomers.swap(newcomers_);
    changes.swap(changes_);
    removals.swap(removals_);
  }
  for (const SpaceRequest& request : spaces) request.done(stopping_answer);
  for (const GrowRequest& request : grows) request.done(std::string(stopping_answer));
  for (const DestroyRequest& request : destroys) request.done(std::string(stopping_answer));
  for (const RenameRequest& request : renames) request.done(std::string(stopping_answer));
  for (const AdoptRequest& request : adoptions) request.done(std::string(stopping_answer));
  for (const AbandonRequest& request : abandons) request.done(std::string(stopping_answer));
  for (const ArrivalRequest& request : arrivals) request.done(std::string(stopping_answer));
  for (const MemberRequest& request : newcomers) request.done(std::string(stopping_answer));
  for (const SpecChange& change : changes) change.done(std::string(stopping_answer));
  for (const Removal& removal : removals) removal.done(std::string(stopping_answer));
}

// ---- space for what is written

// Until its cache is there, what that owes is what the marker last said of it.
void PoolKeeper::make_space(Slot& slot, const VolumeRecord& record) {
  slot.space = std::make_unique<VolumeSpace>(budget_, [this, &slot](SpaceQuestion& question) {
    ask(spaces_, {.slot = &slot, .question = &question});
  });
  is_thin_ = true;
  slot.space->expect(pool_->lacking(record));
}

void PoolKeeper::answer_now(const std::deque<SpaceRequest>& requests) {
  using Answer = SpaceQuestion::Answer;
  measure();
  for (const SpaceRequest& request : requests) {
    SpaceQuestion& question = *request.question;
    Answer answer = Answer::refused;
    if (budget_.admits(VolumeSpace::needed(question.offset, question.length))) {
      answer = Answer::promised;
    } else if (!question.loses_place &&
               request.slot->opened->is_allocated(question.offset, question.length)) {
      answer = Answer::has_place;
    }
    VolumeSpace::answer(question, answer);
  }
}

// ---- a larger volume

void PoolKeeper::grow(const std::string& volume, ByteCount size, GrowDone done) {
  ask(grows_, {.volume = volume, .size = size, .done = std::move(done)});
}

void PoolKeeper::set_size(const std::string& volume, ByteCount size, GrowDone done) {
  ask(grows_, {.volume = volume, .size = size, .is_specified = true, .done = std::move(done)});
}

Result<void, std::string> PoolKeeper::grow_now(const GrowRequest& request) {
  const std::string& name = request.volume;
  const ByteCount size = request.size;
  Slot* const found = slot_of(name);
  if (found == nullptr) return is_not_there(name);
  Slot& slot = *found;
  const VolumeCondition now = slot.volume.condition();
  const auto specify = [&] {
    const std::lock_guard lock(mutex_);
    slot.spec.size = size;
  };
  if (request.is_specified && now.state == VolumeState::late) {
    if (size.value % served_blocks(slot).bytes == 0 && size >= slot.spec.size) {
      specify();
      try_now();
      return success();
    }
  }
  if (now.state != VolumeState::online) {
    return "volume " + name + " is not online: " + now.reason;
  }
  const BlockSize block = served_blocks(slot);
  const ByteCount existing = now.size * block;
  if (size.value % block.bytes != 0) {
    return "volume " + name + ": " + std::to_string(size.value) +
           " bytes are not a whole number of blocks";
  }
  if (size < existing) {
    return "volume " + name + ": " + size_text(size) + " is smaller than the existing " +
           size_text(existing) + "; shrinking is refused. (To serve less, make a new volume.)";
  }
  if (slot.memory != nullptr) {
    TRY(slot.memory->grow(size));
  } else {
    CHECK(slot.opened != nullptr);
    if (const PoolStatus pool = status(); !pool.open) return "volume " + name + ": " + pool.reason;
    const ByteCount known = request.is_specified ? ByteCount{} : slot.spec.size;
    auto grown = pool_->grow(name_in_pool(name), size, known);
    if (!grown) return "volume " + name + ": " + grown.error().text;
    if (auto opened = slot.opened->grow(*pool_, grown.value()); !opened) {
      return "volume " + name + ": " + opened.error().text;
    }
    known_.remember(grown.value());
    (void)known_.save();
  }
  if (request.is_specified) specify();
  slot.volume.grow({size.value / block.bytes}, promise_of(slot, size));
  return success();
}

// ---- one that nobody wants any more

bool PoolKeeper::retains(const std::string& volume, const Uuid& uuid) const {
  const std::lock_guard lock(mutex_);
  return std::ranges::any_of(status_.retained, [&](const RetainedVolume& retained) {
    return retained.name == volume && retained.uuid == uuid;
  });
}

void PoolKeeper::destroy(DestroyRequest wanted, Engine::Done done) {
  wanted.done = std::move(done);
  ask(destroys_, std::move(wanted));
}

void PoolKeeper::look_at(const DestroyRequest& wanted, const Engine::GivenUp& done) {
  ask(changes_, {.work = [this, wanted, done] { done(look_at_now(wanted)); },
                 .done = [done](const Result<void, std::string>& why) { done(why.error()); }});
}

Result<WhatIsLeft, std::string> PoolKeeper::look_at_now(const DestroyRequest& request) {
  const VolumeRecord* const record = record_called(request.volume);
  if (record == nullptr || record->uuid != request.uuid) return is_not_there(request.volume);
  if (serves(*record)) return "volume " + request.volume + " is in the configuration";
  // Somebody else may use it, or what an earlier daemon has asked of it still be under way. One
  // that is missing can be ended, too.
  const auto held = pool_->open_volume(*record, {}, nullptr);
  if (!held && held.error().kind == PoolError::Kind::in_use) return held.error().text;
  if (!held && held.error().kind == PoolError::Kind::member_missing) return held.error().text;
  if (const auto may = pool_->may_be_destroyed(*record, request.cache); !may) {
    return may.error().text;
  }
  if (record->cache.state == format::CacheBindingState::none) return WhatIsLeft{};
  const std::string cache = "cache " + record->cache.device.text();
  if (record->cache.state == format::CacheBindingState::clean) {
    return WhatIsLeft{"Its " + cache + " had nothing that its image lacked."};
  }
  return WhatIsLeft{"Its image lacked what " + cache + " had; it was " +
                    pool_->what_is_left(*record, record->cache.device)};
}

Result<void, std::string> PoolKeeper::destroy_now(const DestroyRequest& request) {
  if (const auto may = look_at_now(request); !may) return may.error();
  // First: what is remembered of it would keep its name from being used again.
  known_.forget(request.uuid);
  (void)known_.save();
  const auto destroyed = pool_->destroy(request.volume, request.uuid, request.cache);
  publish_retained();
  if (!destroyed) return destroyed.error().text;
  return success();
}

// ---- another name, another's image

void PoolKeeper::rename(const std::string& volume, const Uuid& uuid, const std::string& to,
                        Engine::Done done) {
  ask(renames_, {.volume = volume, .uuid = uuid, .to = to, .done = std::move(done)});
}

Result<void, std::string> PoolKeeper::rename_now(const RenameRequest& request) {
  if (pool_ == nullptr) return is_not_there(request.volume);
  const VolumeRecord* const record = record_called(request.volume);
  if (record != nullptr && serves(*record)) return "volume " + request.volume + " is served";
  const auto renamed = pool_->rename(request.volume, request.uuid, request.to);
  publish_retained();
  (void)known_.save();
  if (!renamed) return renamed.error().text;
  if (is_configured(request.to)) try_now();
  return success();
}

void PoolKeeper::adopt(const Adoption& adoption, Engine::AdoptDone done) {
  ask(adoptions_, {.adoption = adoption, .done = std::move(done)});
}

Result<RetainedVolume, std::string> PoolKeeper::adopt_now(const Adoption& adoption) {
  if (const PoolStatus pool = status(); pool_ == nullptr || !pool.open) {
    return "pool " + spec_.name + " is not open: " + pool.reason;
  }
  const bool is_done = std::ranges::any_of(pool_->volumes(), [&adoption](const auto& record) {
    return record.name == adoption.name && record.image == adoption.file;
  });
  const bool is_file = spec_.kind == PoolSpec::Kind::file;
  std::optional<OpenFile> held;  // until it is a volume
  if (is_file && !is_done && is_image_name(adoption.file)) {
    const std::string path = spec_.directory + "/" + adoption.file;
    auto file = OpenFile::open(path, {});
    if (!file) return path + " " + file.error();
    held.emplace(std::move(file.value()));
    if (!held->lock() || held->is_open_elsewhere()) {
      return path + " is in use by another process; end that first";
    }
  }
  const auto adopted = pool_->adopt(adoption);
  if (!adopted) return adopted.error().text;
  publish_retained();
  if (is_configured(adoption.name)) try_now();
  const VolumeRecord& record = adopted.value();
  return RetainedVolume{.name = record.name,
                        .uuid = record.uuid,
                        .size = record.size,
                        .block_size = record.block_size,
                        .provisioning = record.provisioning};
}

// ---- another disk

void PoolKeeper::add_member(const std::string& disk, const std::vector<std::string>& permitted,
                            Engine::AddMemberDone done) {
  if (spec_.kind != PoolSpec::Kind::device) {
    return done("pool " + spec_.name +
                " has no members: only a pool of disks (kind: device) takes another one");
  }
  ask(newcomers_, {.disk = disk, .permitted = permitted, .done = std::move(done)});
}

// ---- what is cached

void PoolKeeper::bind(const std::string& volume, const CacheBinding& binding, BindDone done) {
  ask(binds_, {.volume = volume, .binding = binding, .done = std::move(done)});
}

void PoolKeeper::bind_now(const std::deque<BindRequest>& requests) {
  std::vector<Pool::NewBinding> bindings;
  std::vector<const BindRequest*> bound_by;
  for (const BindRequest& request : requests) {
    const VolumeRecord* const record = pool_ == nullptr ? nullptr : record_of(request.volume);
    if (record == nullptr) {
      request.done(is_not_there(request.volume));
      continue;
    }
    bindings.push_back({.volume = record->name, .cache = request.binding});
    bound_by.push_back(&request);
  }
  if (bindings.empty()) return;
  const auto bound = pool_->bind(bindings);
  for (std::size_t at = 0; at < bound_by.size(); ++at) {
    if (bound[at]) {
      bound_by[at]->done(success());
    } else {
      bound_by[at]->done(bound[at].error().text);
    }
  }
}

std::string PoolKeeper::is_not_there(const std::string& volume) const {
  return "pool " + spec_.name + " is not open, or has no volume " + volume;
}

void PoolKeeper::abandon(const std::string& volume, const GivenUpCache& cache, AbandonDone done) {
  ask(abandons_,
      {.volume = volume, .cache = cache, .done = [done = std::move(done)](const auto& outcome) {
         if (outcome) return done(outcome.value());
         done(std::make_shared<Abandoned>(Abandoned{.binding = outcome.error()}));
       }});
}

void PoolKeeper::abandon_cache(const std::string& volume, const Uuid& cache, Engine::GivenUp done) {
  abandon(volume, {.device = cache}, [this, done = std::move(done)](const auto& abandoned) {
    if (!abandoned->binding) return done(abandoned->binding.error());
    try_now();
    done(WhatIsLeft{abandoned->what_is_left});
  });
}

// A user's marker is another file afterwards, whatever has come of it.
std::shared_ptr<BindingKeeper::Abandoned> PoolKeeper::abandon_now(const AbandonRequest& request) {
  Slot* const found = slot_of(request.volume);
  if (found == nullptr) {
    return std::make_shared<Abandoned>(Abandoned{.binding = is_not_there(request.volume)});
  }
  Slot& slot = *found;
  std::string left;
  auto binding = abandon_cache_of(slot, request.cache, left);
  auto answer = std::make_shared<Abandoned>(
      Abandoned{.binding = std::move(binding), .what_is_left = std::move(left)});
  const VolumeRecord* const record = pool_ == nullptr ? nullptr : record_of(request.volume);
  if (record == nullptr || !slot.is_cached || slot.opened == nullptr) return answer;
  if (slot.lossy != nullptr) slot.lossy->follow(record->lost);
  auto marker = pool_->open_marker(*record, IoSource::new_file(backing_number_));
  if (marker) {
    answer->marker = std::move(marker.value());
  } else if (answer->binding) {
    answer->binding = marker.error().text + " (its cache has been given up: restart the daemon)";
  }
  return answer;
}

Result<CacheBinding, std::string> PoolKeeper::abandon_cache_of(Slot& slot,
                                                               const GivenUpCache& cache,
                                                               std::string& what_is_left) {
  const std::string& name = slot.spec.name;
  const VolumeRecord* const record = pool_ == nullptr ? nullptr : record_of(name);
  if (record == nullptr) return is_not_there(name);
  TRY(const CacheBinding binding, abandoned(name, record->cache, cache));
  // Nothing of an earlier daemon may come after what the journal has. If it is open here, that was
  // seen to before.
  std::unique_ptr<OpenedVolume> held;
  if (slot.opened == nullptr) {
    auto opened = pool_->open_volume(*record, {}, nullptr);
    if (!opened) return opened.error().text;
    held = std::move(opened.value());
  }
  // Before hosts write: what comes later must not be undone.
  if (GUARD("journal settled before its cache is forgotten")) {
    if (const auto settled = pool_->settle_journal(record->name); !settled) {
      return "volume " + name + ": " + settled.error().text;
    }
  }
  what_is_left = pool_->what_is_left(*record, cache.device);
  const auto bound = pool_->bind(std::string(record->name), binding);
  if (!bound) return bound.error().text;
  return binding;
}

// ---- a first cache

void PoolKeeper::find_arrival(const std::string& volume, ArrivalDone done) {
  ask(arrivals_, {.volume = volume, .done = std::move(done)});
}

// From here on the record is the cache's: a volume that has failed comes back whatever it says.
Result<BackingArrival, std::string> PoolKeeper::arrival_now(const std::string& volume) {
  Slot* const found = slot_of(volume);
  if (found == nullptr) return is_not_there(volume);
  Slot& slot = *found;
  const VolumeCondition now = slot.volume.condition();
  if (now.state != VolumeState::online) return "it is not online: " + now.reason;
  if (slot.opened == nullptr) return std::string("its pool is in memory, and takes no cache");
  const VolumeRecord* const record = record_of(volume);
  CHECK(record != nullptr);
  auto marker = pool_->open_marker(*record, IoSource::new_file(backing_number_));
  if (!marker) return marker.error().text;
  std::unique_ptr<FileJournal> journal;
  if (slot.spec.cache && slot.spec.cache->ordered == WriteBackOrder::journal) {
    auto opened = pool_->open_journal(*record, IoSource::new_file(backing_number_));
    if (!opened) return opened.error().text;
    journal = std::move(opened.value());
  }
  slot.is_cached = true;
  return BackingArrival{.binding = record->cache,
                        .marker = std::move(marker.value()),
                        .journal = std::move(journal),
                        .promise = now.promise};
}

// ---- what is specified of its cache

void PoolKeeper::set_cache(const std::string& volume, const VolumeCacheSpec& spec,
                           bool wants_journal, JournalDone done) {
  ask(changes_, {.work = [this, volume, spec, wants_journal,
                          done] { done(journal_now(volume, spec, wants_journal)); },
                 .done = [done](const Result<void, std::string>& why) { done(why.error()); }});
}

PoolKeeper::FoundJournal PoolKeeper::journal_now(const std::string& volume,
                                                 const VolumeCacheSpec& spec, bool wants_journal) {
  Slot* const slot = slot_of(volume);
  if (slot == nullptr) return is_not_there(volume);
  const auto found = std::make_shared<std::unique_ptr<BackingJournal>>();
  if (wants_journal && slot->is_cached && slot->opened != nullptr) {
    const VolumeRecord* const record = record_of(volume);
    CHECK(record != nullptr);
    auto opened = pool_->open_journal(*record, IoSource::new_file(backing_number_));
    if (!opened) return opened.error().text;
    *found = std::move(opened.value());
  }
  const std::lock_guard lock(mutex_);
  slot->spec.cache = spec;
  return found;
}

// ---- what is specified of its space

void PoolKeeper::set_space(const PoolSpec& spec, Engine::Done done) {
  if (std::string why = why_not_set_space(spec); !why.empty()) return done(std::move(why));
  ask(changes_, {.work =
                     [this, spec, done] {
                       const auto set = set_space_now(spec);
                       measure();
                       done(set);
                     },
                 .done = done});
}

// ---- the end of it

void PoolKeeper::remove(const std::string& volume, std::function<bool()> is_quiet,
                        Engine::Done done) {
  {
    const std::lock_guard lock(mutex_);
    if (!ended_) {
      removals_.push_back(
          {.volume = volume, .is_quiet = std::move(is_quiet), .done = std::move(done)});
      wake_.notify_all();
      return;
    }
  }
  done(std::string(stopping_answer));
}

void PoolKeeper::remove_pool(Engine::Done done) {
  {
    const std::lock_guard lock(mutex_);
    if (!ended_ && !removed_) {
      removed_ = std::move(done);
      stopping_ = true;
      wake_.notify_all();
      return;
    }
  }
  done(std::string(stopping_answer));
}

// ---- what is lost

void PoolKeeper::set_lost(const std::string& volume, const LostRanges& lost, LostDone done) {
  ask(losses_, {.volume = volume, .lost = lost, .done = std::move(done)});
}

void PoolKeeper::set_lost_now(const std::deque<LostRequest>& requests) {
  for (const LostRequest& request : requests) {
    // It lasts as long as what it is about.
    if (!is_on_disk()) {
      request.done(success());
      continue;
    }
    const auto set = pool_->set_lost(name_in_pool(request.volume), request.lost);
    if (set) {
      request.done(success());
    } else {
      request.done(set.error().text);
    }
  }
}

// ---- who may use it

void PoolKeeper::keep_reservations(const std::string& volume, const KeptReservations& reservations,
                                   KeepDone done) {
  ask(reservations_, {.volume = volume, .kept = reservations, .done = std::move(done)});
}

void PoolKeeper::keep_write_protection(const std::string& volume, bool write_protected,
                                       KeepDone done) {
  ask(reservations_, {.volume = volume,
                      .kept = ReservationRequest::Protection{write_protected},
                      .done = std::move(done)});
}

void PoolKeeper::keep_formatting(const std::string& volume, std::optional<BlockSize> blocks,
                                 KeepDone done) {
  ask(reservations_,
      {.volume = volume, .kept = ReservationRequest::Formatting{blocks}, .done = std::move(done)});
}

Result<void, std::string> PoolKeeper::keep_now(const ReservationRequest& request) {
  // They last as long as what they are about.
  if (!is_on_disk()) return success();
  if (pool_ == nullptr) return is_not_there(request.volume);
  struct Keep {
    Pool& pool;
    const std::string& volume;
    Result<void, PoolError> operator()(const KeptReservations& reservations) const {
      return pool.set_reservations(volume, reservations);
    }
    Result<void, PoolError> operator()(const ReservationRequest::Protection& now) const {
      return pool.set_write_protected(volume, now.is_protected);
    }
    Result<void, PoolError> operator()(const ReservationRequest::Formatting& now) const {
      return pool.set_formatting(volume, now.blocks);
    }
  };
  const std::string name = name_in_pool(request.volume);
  const auto set = std::visit(Keep{*pool_, name}, request.kept);
  if (!set) return set.error().text;
  return success();
}

}  // namespace engine
