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
#include "engine/pool/member_state.h"
#include "engine/pool/pool_member.h"

namespace engine {

// Why a path is not served as a member, or a member has no path.
struct MemberTrouble {
  PoolError error;
  std::string path;                    // empty: a member that is missing
  std::optional<std::uint32_t> index;  // of the member of the pool that it is about, if any
  // The pool is whole all the same: what an interrupted adding of a member has left, or a replica
  // that is not whole.
  bool is_harmless = false;
  // Only what lies on that member cannot be served. Else nothing is.
  bool is_of_one_member = false;
};

// What was found on the configured paths; nothing has been written.
struct FoundMembers {
  struct Member {
    std::unique_ptr<PoolMember> disk;
    MemberLabel label;
    // Whether the one or the other block with it is not whole.
    std::array<bool, 2> label_is_bad{};
    std::array<std::optional<DeviceTable>, 2> slots;  // nullopt: not whole
    std::array<bool, 2> slot_is_unreadable{};         // then it is not whole
  };
  std::vector<MemberTrouble> troubles;
  std::optional<DeviceTable> table;  // the newest; nullopt: there is none, as troubles tell
  // Those that the table has, each at its index there; null where it is missing. Without a table:
  // all that have a label of the pool.
  std::vector<std::optional<Member>> members;
  bool inherited_holds = false;  // each hold is the predecessor's, and there is one

  // Whether the members that are there can be served without the others: of a linear pool.
  [[nodiscard]] bool can_go_without() const;
  // Of all that keeps the pool from being served, the first kind and all texts; nullopt: nothing
  // does, for those of its volumes that have nothing on a missing member.
  [[nodiscard]] std::optional<PoolError> refusal() const;
};

enum class HoldMembers { no, yes };
class MemberSet;

// Reads the labels, then the tables. The pool is `expected`, or else the predecessor's, or else
// that of most labels. `yes`: holds each member before it believes a table, and syncs it before
// reading, so that nothing is decided by what a killed daemon has only handed to the kernel.
// `predecessor`: whose holds count as our own. Kinds of troubles: missing, io, in_use,
// not_labelled, damaged, unsupported, wrong_pool, member_twice, member_short, member_missing,
// member_unlisted, member_outdated.
[[nodiscard]] FoundMembers find_members(std::vector<MemberCandidate> candidates,
                                        std::optional<Uuid> expected, HoldMembers hold,
                                        const MemberSet* predecessor = nullptr);

// The members of a pool, by index. One thread.
//
// A change of the table: the new image to one slot of every member, sync all; then to the other
// slot of every member, sync all. So at every moment either all slots of one number are whole and
// say the same, or all of the other number do and are the newest or the one before. Whatever a
// crash leaves, the newest slot that is whole anywhere is the old table or the new one; settle()
// makes it the only one before anybody acts on it.
//
// While members are missing, the others have tables that say so, with numbers that none of theirs
// can have: whatever change they alone have was never answered, and counts no more. One that is
// back gets a table when all others have one that has it.
class MemberSet {
 public:
  // `found` has no refusal().
  explicit MemberSet(FoundMembers found);

  [[nodiscard]] const DeviceTable& table() const { return table_; }
  [[nodiscard]] const MemberLabel& label() const { return label_; }
  [[nodiscard]] PoolShape shape() const { return shape_of(label_, table_.members); }
  [[nodiscard]] bool is_there(std::size_t index) const { return members_[index] != nullptr; }
  [[nodiscard]] bool is_whole() const;
  // One that is there.
  [[nodiscard]] PoolMember& member(std::size_t index) const;
  // Of one that is missing: as the table knows it.
  [[nodiscard]] MemberInfo info(std::size_t index) const;
  [[nodiscard]] std::size_t count() const { return members_.size(); }
  // What whoever wants to share our holds has: null if none of ours is at that place.
  [[nodiscard]] const PoolMember* at_device(const std::string& device) const;

  // Makes every label and every slot say what the newest table says, and the table who is missing;
  // durable on return. A slot that says so already is not touched: it may be the only one. What
  // cannot be written stays as it is where another replica has the same; a member that does not
  // sync is missing from then on if the others can go without it. All of that is added to `told`.
  // Errors: io.
  [[nodiscard]] Result<void, PoolError> settle(std::vector<MemberTrouble>& told);

  // What settle() has found not whole.
  [[nodiscard]] const HealedReplicas& healed() const { return healed_; }

  // Writes `table`, with the next sequence, to all slots; when that is durable, it is table().
  // After an error the next start may find the one or the other. Errors: no_space (it does not fit
  // into a slot), io.
  [[nodiscard]] Result<void, PoolError> commit(DeviceTable table);
  // A commit has failed by a member: whether that one is there is to be looked at.
  [[nodiscard]] bool has_failed() const { return failed_.has_value(); }

  // Makes `disk` one more member: its slots (as they are now) and its label, then the change that
  // `table`, which lists it, is. No member is missing. Errors: as commit().
  [[nodiscard]] Result<void, PoolError> add(std::unique_ptr<PoolMember> disk,
                                            const MemberLabel& label, DeviceTable table);

 private:
  using Indices = std::vector<std::size_t>;

  void heal_labels(std::vector<MemberTrouble>& told);
  [[nodiscard]] Result<void, PoolError> settle_slots(std::vector<MemberTrouble>& told);
  void judge_slots();
  [[nodiscard]] bool is_rotten(std::size_t index, std::size_t slot) const;
  // The table says who is missing, and who is back.
  [[nodiscard]] Result<void, PoolError> settle_absence();
  // False: the pool does not go without it.
  [[nodiscard]] bool drop_failed(std::vector<MemberTrouble>& told, const PoolError& why);
  [[nodiscard]] bool has_sound_replicas_beside(std::size_t index) const;
  [[nodiscard]] Result<void, PoolError> write_slot(std::size_t slot, const Indices& to,
                                                   std::span<const std::byte> image);
  [[nodiscard]] Result<void, PoolError> sync(const Indices& which);
  // `late` have a table when all others do.
  [[nodiscard]] Result<void, PoolError> write_table(DeviceTable table, const Indices& late);

  std::vector<std::unique_ptr<PoolMember>> members_;            // null: missing
  std::vector<std::optional<FoundMembers::Member>> unsettled_;  // as found; without their disks
  std::vector<std::array<bool, 2>> bad_slots_;                  // that could not be written
  MemberLabel label_;                                           // of the first that is there
  DeviceTable table_;
  std::uint64_t tried_sequence_ = 0;   // the highest that may be on the media
  std::size_t next_slot_ = 0;          // the one that may be lost: the other is whole everywhere
  std::optional<std::size_t> failed_;  // the member by which the last commit has failed
  bool is_settled_ = false;
  std::vector<std::array<bool, 2>> rotten_slots_;  // as they were found
  HealedReplicas healed_;
};

// At least so much higher are the numbers of tables that are written without a member: none of
// those that it may have alone reaches them. How much more is by chance, so that what two parts of
// a pool have done without each other is told apart.
inline constexpr std::uint64_t numbers_apart = std::uint64_t{1} << 24;

// What was found at the path where it was last, or of the member itself; empty: neither.
[[nodiscard]] std::string why_missing(const std::vector<MemberTrouble>& troubles,
                                      std::uint32_t index, const std::string& path);

// The members of `found`, as its table has them; none without a table.
[[nodiscard]] std::vector<MemberState> member_states(const FoundMembers& found);

// "member 1 of 2 of pool U is missing (UUID ..., serial S); it was PATH last".
[[nodiscard]] std::string missing_text(const DeviceTable& table, std::uint32_t index);

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
