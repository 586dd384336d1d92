// PoolKeeper: the disks of a device pool, and one more of them.
#include <algorithm>
#include <filesystem>
#include <mutex>
#include <system_error>
#include <utility>

#include "engine/media/queue_depth.h"
#include "engine/pool/device_pool.h"
#include "engine/pool/file_pool.h"
#include "engine/pool/member_probe.h"
#include "engine/volume/pool_keeper.h"

namespace engine {
namespace {

std::string without_links(const std::string& path) {
  std::error_code error;
  const auto real = std::filesystem::canonical(path, error);
  return error ? path : real.string();
}

InitPermission permission_of(const std::vector<std::string>& named) {
  InitPermission permission;
  for (const std::string& word : named) {
    if (const auto pool = Uuid::parse(word)) permission.pools.push_back(*pool);
  }
  return permission;
}

// All that speaks against the disk is said before anything is written to it.
Result<void, PoolError> take_disk(DevicePool& pool, const std::string& path,
                                  const std::vector<std::string>& named) {
  TRY(const MemberProbe probe, probe_member(path));
  if (auto refused = refusal(probe, named)) return PoolError{PoolError::Kind::not_empty, *refused};
  MemberCandidate disk{.path = path, .opened = open_pool_member(path, probe.identity.serial)};
  const InitPermission permission = permission_of(named);
  const bool is_to_be_wiped = !probe.signatures.found.empty();
  if (disk.opened && is_to_be_wiped) {
    InitPermission when_wiped = permission;
    when_wiped.content = true;
    TRY(pool.check_newcomer(*disk.opened.value(), when_wiped));
    TRY(wipe_member(path, named));
  }
  return pool.add_member(std::move(disk), permission);
}

}  // namespace

std::vector<std::string> PoolKeeper::member_paths() const {
  std::vector<std::string> paths = spec_.members;
  paths.insert(paths.end(), added_members_.begin(), added_members_.end());
  return paths;
}

Result<std::unique_ptr<Pool>, PoolError> PoolKeeper::open_disks() {
  std::vector<MemberCandidate> members = openings_.open(member_paths());
  TRY(auto disks, DevicePool::open(std::move(members), spec_.uuid,
                                   dynamic_cast<const DevicePool*>(pool_.get()), &members_seen_));
  if (auto other = disks->differs_from(spec_.layout, spec_.chunk)) return std::move(*other);
  // Others of the pool, and whoever wants the daemon to end, do not wait for hours.
  disks->watch_zeroing([this](const ZeroingProgress& progress) {
    Slot* const slot = slot_of(progress.volume);
    if (slot != nullptr && slot->volume.state() == VolumeState::late) {
      slot->volume.stay_late("its space is being zeroed (" + rough_size_text(progress.done) +
                                 " of " + rough_size_text(progress.all) + ")",
                             Finding::About::volume);
    }
    const std::lock_guard lock(mutex_);
    return may_zero_ && !stopping_ && !is_asked();
  });
  return std::unique_ptr<Pool>(std::move(disks));
}

void PoolKeeper::publish_advice() {
  const auto* const disks = dynamic_cast<const DevicePool*>(pool_.get());
  if (disks == nullptr) return;
  std::vector<std::string> advice;
  for (const MemberTrouble& note : disks->notes()) advice.push_back(note.error.text);
  for (const std::string& path : added_members_) {
    advice.push_back(path +
                     " has become a member since the start: write it into the configuration, or "
                     "the pool misses it at the next one");
  }
  const std::lock_guard lock(mutex_);
  status_.advice = std::move(advice);
}

Result<GrownPool, std::string> PoolKeeper::add_member_now(const MemberRequest& request) {
  const std::string name = "pool " + spec_.name;
  auto* const disks = dynamic_cast<DevicePool*>(pool_.get());
  if (const PoolStatus pool = status(); disks == nullptr || !pool.open) {
    return name + " is not open: " + pool.reason;
  }
  const std::string device = without_links(request.disk);
  const auto leads_there = [&device](const auto& path) { return without_links(path) == device; };
  GrownPool grown{.members = {},
                  .was_member = disks->has_member(device),
                  .is_configured = std::ranges::any_of(spec_.members, leads_there),
                  .free = {}};
  if (!grown.was_member) {
    if (auto refused = disks->why_no_more_members()) return name + ": " + refused->text;
    const auto taken = take_disk(*disks, request.disk, request.permitted);
    if (!taken) return name + ": " + taken.error().text;
    if (!grown.is_configured) added_members_.push_back(request.disk);
    publish_advice();
    // Of volumes that have waited for space.
    try_now();
  }
  grown.members = member_paths();
  if (const auto space = disks->space()) grown.free = space.value().free;
  return grown;
}

// ---- as the specification says now

// What of it may change, the rest being the pool itself.
std::string PoolKeeper::why_not_set_space(const PoolSpec& spec) const {
  const std::string name = "pool " + spec_.name;
  const std::lock_guard lock(mutex_);
  const bool is_same = spec.kind == spec_.kind && spec.directory == spec_.directory &&
                       spec.uuid == spec_.uuid && spec.layout == spec_.layout &&
                       spec.chunk == spec_.chunk;
  if (!is_same) {
    return name +
           ": its kind, place, UUID, layout and chunk size cannot be changed; remove it, "
           "and add it as another pool";
  }
  for (const std::string& path : spec_.members) {
    if (std::ranges::count(spec.members, path) != 0) continue;
    return name + ": its member " + path + " cannot be taken out";
  }
  const bool has_more = spec.members.size() > spec_.members.size();
  if (has_more && status_.open && spec_.layout && *spec_.layout != format::MemberLayout::linear) {
    return name + ": only a linear pool takes one more member";
  }
  return {};
}

// A pool that is not open may be so because of what is missing in the list: it is tried with it.
Result<void, std::string> PoolKeeper::set_space_now(const PoolSpec& spec) {
  const bool is_open = status().open && pool_ != nullptr;
  for (const std::string& path : spec.members) {
    if (std::ranges::count(spec_.members, path) != 0) continue;
    if (is_open) {
      const auto taken = add_member_now({.disk = path, .permitted = {}, .done = {}});
      if (!taken) return taken.error();
    }
    std::erase(added_members_, path);
    const std::lock_guard lock(mutex_);
    spec_.members.push_back(path);
  }
  {
    const std::lock_guard lock(mutex_);
    spec_.members = spec.members;
    spec_.provisioning = status_.provisioning = spec.provisioning;
    spec_.reserve = status_.reserve = spec.reserve;
    spec_.warn_at = status_.warn_at = spec.warn_at;
    if (!spec.warn_at) status_.filling = false;
    spec_.queue_depth = status_.queue_depth = spec.queue_depth;
  }
  keep_reserve();
  limit_depth(spec.queue_depth);
  if (is_open) {
    publish_advice();
  } else {
    try_now();
  }
  return boost::outcome_v2::success();
}

void PoolKeeper::keep_reserve() {
  auto* const files = dynamic_cast<FilePool*>(pool_.get());
  if (files != nullptr) files->keep_free(spec_.reserve, [this] { return hold_budget(); });
}

void PoolKeeper::limit_depth(std::uint32_t depth) {
  if (auto* const disks = dynamic_cast<DevicePool*>(pool_.get())) {
    disks->set_queue_depth(depth);
  } else if (backing_number_ != 0) {
    QueueDepth::of(backing_number_).set_limit(depth);
  }
}

}  // namespace engine
