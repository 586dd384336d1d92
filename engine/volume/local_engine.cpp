#include "engine/volume/local_engine.h"

#include <algorithm>
#include <utility>

#include "engine/foundation/check.h"
#include "engine/pool/pool_check.h"

namespace engine {
namespace {

BlockCount blocks_of(ByteCount size, BlockSize block) { return {size.value / block.bytes}; }

bool is_file(const PoolSpec& spec) { return spec.kind == PoolSpec::Kind::file; }

Finding::About about(PoolError::Kind kind) {
  switch (kind) {
    case PoolError::Kind::shrink:
      return Finding::About::volume_size;
    case PoolError::Kind::block_size_changed:
      return Finding::About::volume_block_size;
    default:
      return Finding::About::volume;
  }
}

Finding pool_finding(const PoolSpec& spec, const PoolError& error) {
  return {.about = error.kind == PoolError::Kind::wrong_pool ? Finding::About::pool_uuid
                                                             : Finding::About::pool_directory,
          .name = spec.name,
          .text = error.text};
}

}  // namespace

std::unique_ptr<Engine> Engine::open(std::vector<PoolSpec> pools, std::vector<VolumeSpec> volumes,
                                     EngineOptions options) {
  return std::make_unique<LocalEngine>(std::move(pools), std::move(volumes), std::move(options));
}

LocalEngine::LocalEngine(std::vector<PoolSpec> pools, std::vector<VolumeSpec> volumes,
                         EngineOptions options)
    : known_(std::move(options.known_volumes_file)) {
  for (PoolSpec& spec : pools) {
    auto pool = std::make_unique<Pool>();
    pool->spec = std::move(spec);
    if (is_file(pool->spec)) pool->backing_number = IoSource::new_backing();
    pools_.push_back(std::move(pool));
  }
  for (VolumeSpec& spec : volumes) {
    auto slot = std::make_unique<Slot>();
    slot->spec = std::move(spec);
    slot->volume = std::make_unique<BackedVolume>(
        VolumeIdentity{.name = slot->spec.name, .uuid = {}, .block_size = slot->spec.block_size},
        blocks_of(slot->spec.size, slot->spec.block_size),
        "pool " + slot->spec.pool + " is not configured");
    slots_by_name_[slot->spec.name] = slot.get();
    if (Pool* pool = pool_of(*slot)) pool->slots.push_back(slot.get());
    slots_.push_back(std::move(slot));
  }
  for (auto& pool : pools_) {
    for (Slot* slot : pool->slots) {
      if (is_file(pool->spec)) learn_identity(*slot, known_.find(slot->spec.name));
    }
    bring_up(*pool);
  }
  save_known();
}

std::vector<Finding> Engine::inspect(const std::vector<PoolSpec>& pools,
                                     const std::vector<VolumeSpec>& volumes) {
  std::vector<Finding> all;
  for (const PoolSpec& pool : pools) {
    if (!is_file(pool)) continue;
    std::vector<VolumeWish> wishes;
    for (const VolumeSpec& volume : volumes) {
      if (volume.pool != pool.name) continue;
      wishes.push_back({.name = volume.name,
                        .size = volume.size,
                        .block_size = volume.block_size,
                        .uuid = std::nullopt});
    }
    const PoolFindings found = inspect_file_pool(pool.directory, pool.uuid, wishes);
    if (found.pool) all.push_back(pool_finding(pool, *found.pool));
    for (std::size_t at = 0; at < wishes.size(); ++at) {
      const auto& error = found.volumes[at];
      if (!error) continue;
      all.push_back({.about = about(error->kind), .name = wishes[at].name, .text = error->text});
    }
  }
  return all;
}

std::vector<Finding> LocalEngine::findings() const {
  std::vector<Finding> all;
  if (!known_error_.empty()) {
    all.push_back({.about = Finding::About::known_volumes,
                   .name = {},
                   .text = known_.path() + " cannot be written: " + known_error_ +
                           "; a volume whose pool is late at the next start will be shown without "
                           "its identity"});
  }
  for (const auto& pool : pools_) {
    if (pool->error) {
      all.push_back(pool_finding(pool->spec, *pool->error));
      continue;
    }
    for (const Slot* slot : pool->slots) {
      const VolumeState state = slot->volume->state();
      if (state != VolumeState::late && state != VolumeState::refused) continue;
      all.push_back({.about = slot->reason_about,
                     .name = slot->spec.name,
                     .text = slot->volume->state_reason()});
    }
  }
  return all;
}

void LocalEngine::save_known() {
  const auto saved = known_.save();
  known_error_ = saved ? std::string() : saved.error();
}

LocalEngine::Pool* LocalEngine::pool_of(const Slot& slot) {
  const auto found = std::find_if(pools_.begin(), pools_.end(), [&slot](const auto& pool) {
    return pool->spec.name == slot.spec.pool;
  });
  return found == pools_.end() ? nullptr : found->get();
}

void LocalEngine::stay_down(Slot& slot, const PoolError& error) {
  slot.reason_about = about(error.kind);
  if (slot.reason_about != Finding::About::volume && slot.volume->state() == VolumeState::late) {
    slot.volume->refuse(error.text);
  } else {
    stay_down(slot, error.text);
  }
}

void LocalEngine::stay_down(Slot& slot, const std::string& reason) {
  if (slot.volume->state() == VolumeState::late) {
    slot.volume->stay_late(reason);
  } else {
    slot.volume->stay_failed(reason);
  }
}

void LocalEngine::learn_identity(Slot& slot, const VolumeRecord* record) {
  if (slot.volume->state() != VolumeState::late || !slot.volume->identity().uuid.is_nil()) return;
  if (record == nullptr || record->block_size != slot.spec.block_size) return;
  slot.volume->learn(record->uuid, blocks_of(record->size, record->block_size));
}

void LocalEngine::bring_up(Pool& pool) {
  std::vector<Slot*> down;
  bool any_failed = false;
  for (Slot* slot : pool.slots) {
    const VolumeState state = slot->volume->state();
    if (state == VolumeState::refused) continue;  // no waiting helps
    if (state != VolumeState::online) down.push_back(slot);
    any_failed = any_failed || state == VolumeState::failed;
  }
  if (!is_file(pool.spec)) {
    for (Slot* slot : down) bring_up_memory(*slot);
    return;
  }
  // After a failure the directory may be another one, or bare: everything is looked at afresh.
  if (any_failed) pool.files.reset();
  if (pool.files == nullptr) {
    auto opened = FilePool::open(pool.spec.directory, pool.spec.uuid);
    if (!opened) {
      pool.error = opened.error();
      for (Slot* slot : down) stay_down(*slot, opened.error());
      return;
    }
    pool.files = std::move(opened.value());
    pool.error.reset();
  }
  std::vector<VolumeWish> wishes;
  for (const Slot* slot : down) {
    // An online grow may be ahead of the specification.
    const ByteCount now = slot->volume->state() == VolumeState::late
                              ? ByteCount{}
                              : slot->volume->size() * slot->spec.block_size;
    const Uuid& uuid = slot->volume->identity().uuid;
    wishes.push_back({.name = slot->spec.name,
                      .size = std::max(slot->spec.size, now),
                      .block_size = slot->spec.block_size,
                      .uuid = uuid.is_nil() ? std::nullopt : std::optional(uuid)});
  }
  const auto answers = pool.files->ensure(wishes);
  for (std::size_t at = 0; at < down.size(); ++at) {
    if (answers[at]) {
      bring_up_file(pool, *down[at], answers[at].value());
    } else {
      PoolError error = answers[at].error();
      if (error.kind == PoolError::Kind::other_volume && !known_.path().empty()) {
        error.text += " (A new, empty one is made only if " + known_.path() + " is removed.)";
      }
      const auto& records = pool.files->volumes();
      const auto known = std::find_if(records.begin(), records.end(), [&](const auto& record) {
        return record.ready && record.name == down[at]->spec.name;
      });
      if (known != records.end()) learn_identity(*down[at], &*known);
      stay_down(*down[at], error);
    }
  }
}

void LocalEngine::bring_up_memory(Slot& slot) {
  auto device = MemoryDevice::create(slot.spec.size);
  if (!device) return stay_down(slot, device.error());
  slot.memory = device.value().get();
  // Its contents are new at each start, so it is another volume each time.
  slot.volume->go_online(std::move(device.value()), Uuid::random(),
                         blocks_of(slot.spec.size, slot.spec.block_size));
}

void LocalEngine::bring_up_file(Pool& pool, Slot& slot, const VolumeRecord& record) {
  const std::string path = pool.files->image_path(record);
  auto file = OpenFile::open(path, record.size);
  if (!file) return stay_down(slot, path + ": " + file.error());
  if (slot.file != nullptr) {
    auto reopened = slot.file->reopen(std::move(file.value()));
    if (!reopened) return stay_down(slot, path + ": " + reopened.error());
    slot.file->grow(record.size);
    slot.volume->grow(blocks_of(record.size, record.block_size));
    slot.volume->recover();
  } else {
    auto device = std::make_unique<FileDevice>(std::move(file.value()), record.size,
                                               IoSource::new_file(pool.backing_number));
    slot.file = device.get();
    pool.note = device->note();
    slot.volume->go_online(std::move(device), record.uuid,
                           blocks_of(record.size, record.block_size));
  }
  known_.remember(record);
}

std::vector<Volume*> LocalEngine::volumes() const {
  std::vector<Volume*> all;
  for (const auto& slot : slots_) all.push_back(slot->volume.get());
  return all;
}

Volume* LocalEngine::find(const std::string& name) const {
  const auto found = slots_by_name_.find(name);
  return found == slots_by_name_.end() ? nullptr : found->second->volume.get();
}

std::vector<PoolStatus> LocalEngine::pools() const {
  std::vector<PoolStatus> all;
  for (const auto& pool : pools_) {
    PoolStatus status{.name = pool->spec.name,
                      .kind = pool->spec.kind,
                      .open = !is_file(pool->spec) || pool->files != nullptr,
                      .reason = pool->error ? pool->error->text : std::string(),
                      .note = is_file(pool->spec)
                                  ? pool->note
                                  : "in memory: contents are gone when the daemon stops",
                      .uuid = {},
                      .size = {},
                      .free = {}};
    if (pool->files != nullptr) {
      status.uuid = pool->files->uuid();
      if (const auto space = pool->files->space()) {
        status.size = space.value().size;
        status.free = space.value().free;
      }
    }
    all.push_back(std::move(status));
  }
  return all;
}

void LocalEngine::observe(VolumeObserver* observer) {
  for (const auto& slot : slots_) slot->volume->observe(observer);
}

bool LocalEngine::retry_late() {
  std::vector<std::uint64_t> before;
  for (const auto& slot : slots_) before.push_back(slot->volume->changes());
  for (auto& pool : pools_) {
    const bool all_settled =
        std::all_of(pool->slots.begin(), pool->slots.end(), [](const Slot* slot) {
          const VolumeState state = slot->volume->state();
          return state == VolumeState::online || state == VolumeState::refused;
        });
    if (!all_settled || (is_file(pool->spec) && pool->files == nullptr)) bring_up(*pool);
  }
  save_known();
  bool any_changed = false;
  for (std::size_t at = 0; at < slots_.size(); ++at) {
    any_changed = any_changed || slots_[at]->volume->changes() != before[at];
  }
  return any_changed;
}

Result<void, std::string> LocalEngine::grow(const std::string& name, ByteCount new_size) {
  const auto found = slots_by_name_.find(name);
  if (found == slots_by_name_.end()) return "there is no volume " + name;
  Slot& slot = *found->second;
  BackedVolume& volume = *slot.volume;
  if (volume.state() != VolumeState::online) {
    return "volume " + name + " is not online: " + volume.state_reason();
  }
  const BlockSize block = slot.spec.block_size;
  const ByteCount old_size = volume.size() * block;
  if (new_size.value % block.bytes != 0) {
    return "volume " + name + ": " + std::to_string(new_size.value) +
           " bytes are not a whole number of blocks";
  }
  if (new_size < old_size) {
    return "volume " + name + ": " + size_text(new_size) + " is smaller than the existing " +
           size_text(old_size) + "; shrinking is refused. (To serve less, make a new volume.)";
  }
  if (slot.memory != nullptr) {
    TRY(slot.memory->grow(new_size));
  } else {
    Pool* pool = pool_of(slot);
    CHECK(pool != nullptr && slot.file != nullptr);
    if (pool->files == nullptr) {
      return "volume " + name + ": " + (pool->error ? pool->error->text : "its pool is not open");
    }
    auto grown = pool->files->grow(name, new_size);
    if (!grown) return "volume " + name + ": " + grown.error().text;
    slot.file->grow(new_size);
    known_.remember(grown.value());
    save_known();
  }
  volume.grow(blocks_of(new_size, block));
  return boost::outcome_v2::success();
}

}  // namespace engine
