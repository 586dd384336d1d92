#include "target/nvmf/namespace_table.h"

#include <algorithm>
#include <set>

namespace target::nvmf {

namespace {

// A volume that is late keeps its place and makes hosts wait; one that has failed is served for
// what it can still do, and its errors say the rest.
// One that has had no room for too long is left alone until it has.
AnaState ana_state_of(const block::BlockVolume& volume, engine::VolumeState state) {
  const bool not_there =
      state == engine::VolumeState::late || state == engine::VolumeState::refused;
  return not_there || volume.overload().is_closed() ? AnaState::inaccessible : AnaState::optimized;
}

// Served still, but what is written may not be kept for good.
bool is_failing(engine::VolumeState state) {
  return state == engine::VolumeState::degraded || state == engine::VolumeState::failed;
}

}  // namespace

const char* text(NamespaceError error) {
  switch (error) {
    case NamespaceError::no_subsystem:
      return "there is no such subsystem";
    case NamespaceError::bad_nsid:
      return "0 and 4294967295 are not namespace identifiers";
    case NamespaceError::nsid_in_use:
      return "the namespace identifier is in use";
    case NamespaceError::table_full:
      return "the subsystem has as many namespaces as it can have";
    case NamespaceError::not_found:
      return "there is no such namespace";
  }
  return "unknown";
}

Namespace* NamespaceView::find(std::uint32_t nsid) const {
  // NSIDs mostly are 1, 2, 3 ...
  if (nsid - 1U < ascending_.size() && ascending_[nsid - 1]->nsid == nsid) {
    return ascending_[nsid - 1].get();
  }
  const auto found = std::lower_bound(
      ascending_.begin(), ascending_.end(), nsid,
      [](const auto& space, std::uint32_t wanted) { return space->nsid < wanted; });
  return found != ascending_.end() && (*found)->nsid == nsid ? found->get() : nullptr;
}

engine::Result<NamespaceChange, NamespaceError> NamespaceTable::add(
    const NamespaceOptions& options) {
  if (options.nsid == 0 || options.nsid == 0xffff'ffff) return NamespaceError::bad_nsid;
  if (present_.contains(options.nsid)) return NamespaceError::nsid_in_use;
  if (present_.size() == max_namespaces) return NamespaceError::table_full;
  auto entry = make_entry(options, free_group(options.nsid));
  const NamespaceChange change{.nsid = options.nsid,
                               .attributes = true,
                               .ana = true,
                               .presence = true,
                               .visible_to = &entry->visible_to};
  present_.emplace(options.nsid, std::move(entry));
  highest_nsid_ = std::max(highest_nsid_, options.nsid);
  changed();
  return change;
}

std::unique_ptr<NamespaceTable::Entry> NamespaceTable::make_entry(const NamespaceOptions& options,
                                                                  std::uint32_t ana_group) {
  auto entry = std::make_unique<Entry>();
  const engine::Volume& volume = options.volume->volume();
  entry->space.nsid = options.nsid;
  entry->space.ana_group = ana_group;
  entry->space.volume = options.volume;
  entry->space.hold = options.volume->holds().take();
  const engine::VolumeCondition now = volume.condition();
  entry->space.ana_state.store(ana_state_of(*options.volume, now.state), std::memory_order_release);
  entry->size = now.size;
  entry->uuid = volume.identity().uuid;
  entry->atomic = block::atomic_writes_of(now.promise);
  entry->formats = block::lba_formats_of(*options.volume);
  entry->write_protected = !now.promise.writable;
  entry->failing = is_failing(now.state);
  if (options.hosts) entry->visible_to = HostAcl(*options.hosts);
  // A group that has been there before: its count goes on, it never goes back.
  entry->ana_changes = ++ana_changes_;
  return entry;
}

engine::Result<NamespaceChange, NamespaceError> NamespaceTable::replace(
    const NamespaceOptions& options) {
  const auto found = present_.find(options.nsid);
  if (found == present_.end()) return NamespaceError::not_found;
  keep_removed(*found->second);
  found->second = make_entry(options, found->second->space.ana_group);
  changed();
  return NamespaceChange{.nsid = options.nsid,
                         .attributes = true,
                         .ana = true,
                         .visible_to = &found->second->visible_to};
}

void NamespaceTable::keep_removed(Entry& entry) {
  entry.space.removed.store(true, std::memory_order_release);
  (void)has_removed();
  removed_.push_back(entry.kept);
}

engine::Result<NamespaceChange, NamespaceError> NamespaceTable::remove(std::uint32_t nsid) {
  const auto found = present_.find(nsid);
  if (found == present_.end()) return NamespaceError::not_found;
  Entry& entry = *found->second;
  keep_removed(entry);
  removed_last_from_ = entry.visible_to;
  present_.erase(found);
  ++ana_changes_;
  changed();
  return NamespaceChange{.nsid = nsid,
                         .attributes = true,
                         .ana = true,
                         .presence = true,
                         .visible_to = &removed_last_from_};
}

bool NamespaceTable::has_removed() {
  std::erase_if(removed_, [](const auto& space) { return space.expired(); });
  return !removed_.empty();
}

engine::Result<NamespaceTable::Reach, NamespaceError> NamespaceTable::set_hosts(
    std::uint32_t nsid, const std::optional<std::vector<std::string>>& hosts) {
  const auto found = present_.find(nsid);
  if (found == present_.end()) return NamespaceError::not_found;
  HostAcl& visible_to = found->second->visible_to;
  Reach reach{.before = visible_to, .now = hosts ? HostAcl(*hosts) : HostAcl()};
  visible_to = reach.now;
  changed();
  return reach;
}

std::vector<NamespaceChange> NamespaceTable::refresh() {
  std::vector<NamespaceChange> changes;
  for (const auto& [nsid, entry] : present_) {
    const engine::Volume& volume = entry->space.volume->volume();
    const engine::VolumeCondition now = volume.condition();
    const AnaState state = ana_state_of(*entry->space.volume, now.state);
    NamespaceChange change{.nsid = nsid, .visible_to = &entry->visible_to};
    if (now.size != entry->size) {
      entry->size = now.size;
      change.attributes = true;
    }
    if (const auto atomic = block::atomic_writes_of(now.promise); atomic != entry->atomic) {
      entry->atomic = atomic;
      change.attributes = true;
    }
    if (const auto formats = block::lba_formats_of(*entry->space.volume);
        formats != entry->formats) {
      entry->formats = formats;
      change.attributes = true;
    }
    if (now.promise.writable == entry->write_protected) {
      entry->write_protected = !now.promise.writable;
      change.attributes = true;
    }
    if (const auto uuid = volume.identity().uuid; uuid != entry->uuid) {
      entry->uuid = uuid;
      change.attributes = true;
    }
    if (state != entry->space.ana_state.load(std::memory_order_relaxed)) {
      entry->space.ana_state.store(state, std::memory_order_release);
      entry->ana_changes = ++ana_changes_;
      change.ana = true;
    }
    if (const bool failing = is_failing(now.state); failing != entry->failing) {
      entry->failing = failing;
      change.failing = failing;
    }
    if (change.attributes || change.ana || change.failing) changes.push_back(change);
  }
  return changes;
}

std::shared_ptr<const NamespaceView> NamespaceTable::view_for(std::string_view host_nqn) const {
  std::vector<std::shared_ptr<Namespace>> ascending;
  for (const auto& [nsid, entry] : present_) {
    if (entry->visible_to.admits(host_nqn)) ascending.push_back(entry->kept);
  }
  return std::make_shared<const NamespaceView>(version(), std::move(ascending));
}

bool NamespaceTable::has_failing(std::string_view host_nqn) const {
  return std::ranges::any_of(present_, [&](const auto& each) {
    return each.second->failing && each.second->visible_to.admits(host_nqn);
  });
}

std::vector<std::uint32_t> NamespaceTable::visible_to(std::string_view host_nqn) const {
  std::vector<std::uint32_t> ascending;
  for (const auto& [nsid, entry] : present_) {
    if (entry->visible_to.admits(host_nqn)) ascending.push_back(nsid);
  }
  return ascending;
}

NamespaceFacts NamespaceTable::facts(const Entry& entry) {
  const block::BlockVolume& volume = *entry.space.volume;
  return {.nsid = entry.space.nsid,
          .ana_group = entry.space.ana_group,
          .ana_state = entry.space.ana_state.load(std::memory_order_relaxed),
          .uuid = entry.uuid,
          .block_size = entry.space.volume->volume().identity().block_size,
          .size = entry.size,
          .atomic = entry.atomic,
          .write_protected = entry.write_protected,
          .format_left_percent =
              volume.volume().is_formatting() ? volume.format_left() : std::uint8_t{0},
          .formats = entry.formats};
}

std::optional<NamespaceFacts> NamespaceTable::describe(std::uint32_t nsid,
                                                       std::string_view host_nqn) const {
  const auto found = present_.find(nsid);
  if (found == present_.end() || !found->second->visible_to.admits(host_nqn)) return std::nullopt;
  return facts(*found->second);
}

AnaReport NamespaceTable::ana_report(std::string_view host_nqn, AnaState path,
                                     std::uint64_t path_changes) const {
  AnaReport report{.changes = ana_changes_, .groups = {}};
  for (const auto& [nsid, entry] : present_) {
    if (!entry->visible_to.admits(host_nqn)) continue;
    report.groups.push_back(
        {.id = entry->space.ana_group,
         .changes = std::max(entry->ana_changes, path_changes),
         .state = block::worse_of(path, entry->space.ana_state.load(std::memory_order_relaxed)),
         .nsid = nsid});
  }
  std::sort(report.groups.begin(), report.groups.end(),
            [](const auto& a, const auto& b) { return a.id < b.id; });
  return report;
}

// The NSID itself where it fits, so that people can read the page; else the highest that is free.
std::uint32_t NamespaceTable::free_group(std::uint32_t nsid) const {
  std::set<std::uint32_t> used;
  for (const auto& [other, entry] : present_) used.insert(entry->space.ana_group);
  if (nsid <= max_namespaces && !used.contains(nsid)) return nsid;
  std::uint32_t group = max_namespaces;
  while (used.contains(group)) --group;
  return group;
}

}  // namespace target::nvmf
