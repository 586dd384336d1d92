// NamespaceTable: the namespaces of one subsystem, who sees them, and what changed.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/foundation/units.h"
#include "engine/foundation/uuid.h"
#include "target/block/atomic_writes.h"
#include "target/block/lba_formats.h"
#include "target/nvmf/host_acl.h"
#include "target/nvmf/io_queue.h"
#include "target/nvmf/options.h"

namespace target::nvmf {

// What one host saw of the table at one moment; immutable. Keeps its namespaces, those taken away
// since then too.
class NamespaceView {
 public:
  NamespaceView(std::uint64_t version, std::vector<std::shared_ptr<Namespace>> ascending)
      : version_(version), ascending_(std::move(ascending)) {}

  [[nodiscard]] std::uint64_t version() const { return version_; }
  // nullptr: not there, or not for this host.
  [[nodiscard]] Namespace* find(std::uint32_t nsid) const;

 private:
  std::uint64_t version_;
  std::vector<std::shared_ptr<Namespace>> ascending_;
};

// What Identify tells of a namespace.
struct NamespaceFacts {
  std::uint32_t nsid = 0;
  std::uint32_t ana_group = 0;
  AnaState ana_state = AnaState::optimized;
  engine::Uuid uuid;  // nil: not known yet (the pool is not there)
  engine::BlockSize block_size;
  engine::BlockCount size;
  block::AtomicWrites atomic;
  bool write_protected = false;
  std::uint8_t format_left_percent = 0;  // of a format that is under way
  block::LbaFormats formats;
};

// What the ANA log page tells, at one moment. Every volume is a group of its own, so every
// namespace is.
struct AnaReport {
  struct Group {
    std::uint32_t id = 0;
    std::uint64_t changes = 0;
    AnaState state = AnaState::optimized;
    std::uint32_t nsid = 0;
  };
  std::uint64_t changes = 0;
  std::vector<Group> groups;  // ascending by id
};

// A change to tell those hosts of that see the namespace.
struct NamespaceChange {
  std::uint32_t nsid = 0;
  bool attributes = false;  // came, went, grew, got its identity or another atomicity
  bool ana = false;
  bool presence = false;                // came or went: that says all, and ANA is not told besides
  bool failing = false;                 // its volume's backing has begun to fail
  const HostAcl* visible_to = nullptr;  // until the table changes the next time
};

enum class NamespaceError : std::uint8_t {
  no_subsystem,  // there is no subsystem of this NQN
  bad_nsid,      // 0 or FFFFFFFFh
  nsid_in_use,   // take the other one away first
  table_full,    // max_namespaces
  not_found,
};
[[nodiscard]] const char* text(NamespaceError error);

// Guarded by its subsystem's lock, but for version().
// Invariants: an ANA group belongs to one present namespace; version() grows with every change of
// what find() may answer.
class NamespaceTable {
 public:
  NamespaceTable() = default;
  NamespaceTable(const NamespaceTable&) = delete;
  NamespaceTable& operator=(const NamespaceTable&) = delete;

  [[nodiscard]] engine::Result<NamespaceChange, NamespaceError> add(
      const NamespaceOptions& options);
  [[nodiscard]] engine::Result<NamespaceChange, NamespaceError> remove(std::uint32_t nsid);
  // In the place of one that is there, which is removed; who sees it stays.
  [[nodiscard]] engine::Result<NamespaceChange, NamespaceError> replace(
      const NamespaceOptions& options);
  // Some that have been removed are still kept by others.
  [[nodiscard]] bool has_removed();
  // Who saw it, and who sees it from now on.
  struct Reach {
    HostAcl before;
    HostAcl now;
  };
  [[nodiscard]] engine::Result<Reach, NamespaceError> set_hosts(
      std::uint32_t nsid, const std::optional<std::vector<std::string>>& hosts);
  // Compares with the volumes' states and sizes; the I/O status of a namespace follows here, at
  // once.
  [[nodiscard]] std::vector<NamespaceChange> refresh();

  // Any thread, without the lock.
  [[nodiscard]] std::uint64_t version() const { return version_.load(std::memory_order_acquire); }

  [[nodiscard]] std::shared_ptr<const NamespaceView> view_for(std::string_view host_nqn) const;
  // Ascending.
  [[nodiscard]] std::vector<std::uint32_t> visible_to(std::string_view host_nqn) const;
  [[nodiscard]] std::optional<NamespaceFacts> describe(std::uint32_t nsid,
                                                       std::string_view host_nqn) const;
  // Of a path: with the state of its listener, and when that last changed.
  [[nodiscard]] AnaReport ana_report(std::string_view host_nqn, AnaState path,
                                     std::uint64_t path_changes) const;
  // The backing of a volume that the host sees fails.
  [[nodiscard]] bool has_failing(std::string_view host_nqn) const;
  // A listener's state changes: the count that its groups have then.
  [[nodiscard]] std::uint64_t count_ana_change() { return ++ana_changes_; }
  // NN: at least max_namespaces, and every NSID there has been.
  [[nodiscard]] std::uint32_t highest_nsid() const { return highest_nsid_; }

  template <class F>
  void for_each(F&& visit) const {
    for (const auto& [nsid, entry] : present_) visit(facts(*entry), *entry->space.volume);
  }

 private:
  struct Entry {
    std::shared_ptr<Namespace> kept = std::make_shared<Namespace>();
    Namespace& space = *kept;
    HostAcl visible_to;
    std::uint64_t ana_changes = 0;  // the table's count when the group last changed
    engine::BlockCount size;
    engine::Uuid uuid;
    block::AtomicWrites atomic;
    block::LbaFormats formats;
    bool write_protected = false;
    bool failing = false;
  };
  [[nodiscard]] static NamespaceFacts facts(const Entry& entry);
  [[nodiscard]] std::unique_ptr<Entry> make_entry(const NamespaceOptions& options,
                                                  std::uint32_t ana_group);
  void keep_removed(Entry& entry);
  [[nodiscard]] std::uint32_t free_group(std::uint32_t nsid) const;
  void changed() { version_.fetch_add(1, std::memory_order_acq_rel); }

  std::map<std::uint32_t, std::unique_ptr<Entry>> present_;
  std::vector<std::weak_ptr<const Namespace>> removed_;  // those that are still kept
  HostAcl removed_last_from_;
  std::uint64_t ana_changes_ = 1;
  std::uint32_t highest_nsid_ = max_namespaces;
  std::atomic<std::uint64_t> version_{1};
};

}  // namespace target::nvmf
