// MemberSet: the members of one device pool, told apart by their labels, and the table that each of
// them has two replicas of. docs/pool-format.md, "Device pool".
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/pool/device_table.h"
#include "engine/pool/pool_member.h"

namespace engine {

// Why a path is not served as a member, or a member has no path.
struct MemberTrouble {
  PoolError error;
  std::string path;                    // empty: a member that is missing
  std::optional<std::uint32_t> index;  // of the member of the pool that it is about, if any
  // The pool is whole without it: what an interrupted adding of a member has left.
  bool is_harmless = false;
};

// What was found on the configured paths; nothing has been written.
struct FoundMembers {
  struct Member {
    std::unique_ptr<PoolMember> disk;
    MemberLabel label;
    // Whether the one or the other block with it is not whole.
    std::array<bool, 2> label_is_bad{};
    std::array<std::optional<DeviceTable>, 2> slots;  // nullopt: not whole
  };
  std::vector<MemberTrouble> troubles;
  std::optional<DeviceTable> table;  // the newest; nullopt: there is none, as troubles tell
  // Those that the table has, each at its index there; null where it is missing. Without a table:
  // all that have a label of the pool.
  std::vector<std::optional<Member>> members;
  bool inherited_holds = false;  // each hold is the predecessor's, and there is one

  // Of all that keeps the pool from being served as a whole, the first kind and all texts; nullopt:
  // nothing does.
  [[nodiscard]] std::optional<PoolError> refusal() const;
};

enum class HoldMembers { no, yes };
class MemberSet;

// Reads the labels, then the tables. The pool is `expected`, or else the one whose label is found
// first. `yes`: holds each member before it believes a table, and syncs it before reading, so that
// nothing is decided by what a killed daemon has only handed to the kernel. `predecessor`: whose
// holds count as our own. Kinds of troubles: missing, io, in_use, not_labelled, damaged,
// unsupported, wrong_pool, member_twice, member_short, member_missing, member_unlisted,
// member_outdated.
[[nodiscard]] FoundMembers find_members(std::vector<MemberCandidate> candidates,
                                        std::optional<Uuid> expected, HoldMembers hold,
                                        const MemberSet* predecessor = nullptr);

// All members of a pool, by index. One thread.
//
// A change of the table: the new image to one slot of every member, sync all; then to the other
// slot of every member, sync all. So at every moment either all slots of one number are whole and
// say the same, or all of the other number do and are the newest or the one before. Whatever a
// crash leaves, the newest slot that is whole anywhere is the old table or the new one; settle()
// makes it the only one before anybody acts on it.
class MemberSet {
 public:
  // `found` has no refusal().
  explicit MemberSet(FoundMembers found);

  [[nodiscard]] const DeviceTable& table() const { return table_; }
  [[nodiscard]] const MemberLabel& label() const { return label_; }
  [[nodiscard]] PoolShape shape() const { return shape_of(label_, table_.members); }
  [[nodiscard]] PoolMember& member(std::size_t index) const { return *members_[index]; }
  [[nodiscard]] std::size_t count() const { return members_.size(); }
  // What whoever wants to share our holds has: null if none of ours is at that place.
  [[nodiscard]] const PoolMember* at_device(const std::string& device) const;

  // Makes every label and every slot say what the newest table says; durable on return. A slot that
  // says so already is not touched: it may be the only one. Errors: io.
  [[nodiscard]] Result<void, PoolError> settle();

  // Writes `table`, with the next sequence, to all slots; when that is durable, it is table().
  // After an error the next start may find the one or the other. Errors: no_space (it does not fit
  // into a slot), io.
  [[nodiscard]] Result<void, PoolError> commit(DeviceTable table);

  // Makes `disk` one more member: its slots (as they are now) and its label, then the change that
  // `table`, which lists it, is. Errors: as commit().
  [[nodiscard]] Result<void, PoolError> add(std::unique_ptr<PoolMember> disk,
                                            const MemberLabel& label, DeviceTable table);

 private:
  [[nodiscard]] Result<void, PoolError> write_slot(std::size_t slot, std::size_t begin,
                                                   std::size_t end,
                                                   std::span<const std::byte> image);
  [[nodiscard]] Result<void, PoolError> sync(std::size_t begin, std::size_t end);
  // `newcomers`: so many at the end have only been labelled.
  [[nodiscard]] Result<void, PoolError> commit(DeviceTable table, std::size_t newcomers);

  std::vector<std::unique_ptr<PoolMember>> members_;
  std::vector<FoundMembers::Member> unsettled_;  // as they were found; without their disks
  MemberLabel label_;                            // of member 0
  DeviceTable table_;
  std::uint64_t tried_sequence_ = 0;  // the highest that may be on the media
  std::size_t next_slot_ = 0;         // the one that may be lost: the other is whole everywhere
};

// Error texts: "PATH (serial S): what: ...".
[[nodiscard]] std::string name_of(const MemberInfo& info);
[[nodiscard]] PoolError member_io_error(const PoolMember& member, const std::string& what,
                                        FileError error);

// Clears what could be taken for a label or a table, then writes the label, then both slots;
// durable on return. Whatever a crash leaves of a blank disk is blank, or is_unfinished(). Errors:
// io.
[[nodiscard]] Result<void, PoolError> write_new_member(PoolMember& disk, const MemberLabel& label,
                                                       const DeviceTable& table);
// What is on it now; nullopt: no label, not even a damaged one. Errors: damaged, unsupported, io.
[[nodiscard]] Result<std::optional<MemberLabel>, PoolError> read_member_label(PoolMember& disk);
// True: what stands on the disk was left by an init, or the adding of a member, that was cut off
// before the pool had it. Errors: unsupported, io.
[[nodiscard]] Result<bool, PoolError> is_unfinished(PoolMember& disk, const MemberLabel& label);
// nullopt: the slot is not whole. Errors: unsupported, io.
[[nodiscard]] Result<std::optional<DeviceTable>, PoolError> read_table_slot(
    PoolMember& disk, const MemberLabel& label, std::size_t slot);

}  // namespace engine
