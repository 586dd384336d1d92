// Finding the members of a device pool on the configured paths: reading alone.
#include <algorithm>
#include <cerrno>
#include <utility>

#include "engine/foundation/check.h"
#include "engine/foundation/guard.h"
#include "engine/pool/member_set.h"

namespace engine {
namespace {

using Kind = PoolError::Kind;
using Member = FoundMembers::Member;

constexpr std::size_t label_bytes = format::label_block_bytes;

FileResult<std::vector<std::byte>> read_block(PoolMember& disk, MediaOffset at, std::size_t size) {
  std::vector<std::byte> bytes(size);
  TRY(const std::size_t count, disk.read(at, bytes));
  bytes.resize(count);
  return bytes;
}

PoolError at(const PoolMember& disk, const PoolError& error) {
  return {error.kind, name_of(disk.info()) + ": " + error.text};
}

struct FoundLabel {
  MemberLabel label;
  std::array<bool, 2> is_bad{};
};

// The second label alone counts where the first is a damaged one of ours, or cannot be read (then
// it is empty here): what is something else has been written by somebody.
Result<FoundLabel, PoolError> label_by_its_copy(PoolMember& disk, std::span<const std::byte> first,
                                                const PoolError& why) {
  const LabelArea usual;
  const auto block = read_block(disk, usual.second_label(), label_bytes);
  if (!block) return at(disk, why);
  const auto label = decode_member_label(block.value());
  if (!label || label.value().area.second_label() != usual.second_label()) return at(disk, why);
  if (first.empty() || begins_as_member_label(first)) {
    return FoundLabel{.label = label.value(), .is_bad = {true, false}};
  }
  return PoolError{Kind::damaged, name_of(disk.info()) +
                                      ": something else has been written over its beginning: "
                                      "the first label is gone, the second says that it was "
                                      "member " +
                                      std::to_string(label.value().index) + " of pool " +
                                      label.value().pool.text() + "; nothing is repaired"};
}

Result<FoundLabel, PoolError> find_label(PoolMember& disk) {
  const auto first = read_block(disk, LabelArea{}.first_label(), label_bytes);
  if (!first) {
    return label_by_its_copy(
        disk, {},
        {Kind::io, "its label cannot be read: " + first.error().text() +
                       ", and there is no whole second one; is the disk well?"});
  }
  const auto label = decode_member_label(first.value());
  if (!label) {
    if (label.error().kind == Kind::unsupported) return at(disk, label.error());
    return label_by_its_copy(disk, first.value(), label.error());
  }
  FoundLabel found{.label = label.value()};
  const auto second = read_block(disk, found.label.area.second_label(), label_bytes);
  found.is_bad[1] = !second || second.value() != first.value();
  return found;
}

MemberTrouble trouble_of_path(const std::string& path, PoolError error,
                              std::optional<std::uint32_t> index = std::nullopt) {
  return {.error = std::move(error), .path = path, .index = index};
}

// Which leaves the other members as they are.
MemberTrouble trouble_of_member(const std::string& path, PoolError error,
                                std::optional<std::uint32_t> index = std::nullopt) {
  MemberTrouble trouble = trouble_of_path(path, std::move(error), index);
  // What a newer version has written must not be gone on with by an older one.
  trouble.is_of_one_member = trouble.error.kind != Kind::unsupported;
  return trouble;
}

PoolError opening_error(const std::string& path, FileError error) {
  if (error.code == ENOENT) {
    return {Kind::missing, path + " does not exist; is the disk connected?"};
  }
  if (error.code == ENOTBLK) {
    return {Kind::missing, path + " is neither a block device nor a regular file"};
  }
  if (error.code == ETIMEDOUT) {
    return {Kind::io, path + " does not answer; it is asked again when it does"};
  }
  return {Kind::io, path + " cannot be opened: " + error.text()};
}

std::string of_pool(const std::optional<Uuid>& pool) {
  return pool ? " (expected: a member of pool " + pool->text() + ")" : "";
}

struct LabelledDisk {
  std::unique_ptr<PoolMember> disk;
  FoundLabel found;
};

// All that have one, of whatever pool.
std::vector<LabelledDisk> read_all_labels(std::vector<MemberCandidate> candidates,
                                          const std::optional<Uuid>& expected,
                                          std::vector<MemberTrouble>& troubles) {
  std::vector<LabelledDisk> disks;
  for (MemberCandidate& candidate : candidates) {
    const std::string& path = candidate.path;
    if (!candidate.opened) {
      troubles.push_back(trouble_of_member(path, opening_error(path, candidate.opened.error())));
      continue;
    }
    std::unique_ptr<PoolMember> disk = std::move(candidate.opened.value());
    auto found = find_label(*disk);
    if (!found) {
      PoolError error = found.error();
      if (error.kind == Kind::not_labelled)
        error.text += of_pool(expected) + "; is it the right disk?";
      troubles.push_back(trouble_of_member(path, std::move(error)));
      continue;
    }
    disks.push_back({.disk = std::move(disk), .found = std::move(found.value())});
  }
  return disks;
}

// Whose members they are: the first one's of those that most have.
struct WantedPool {
  Uuid uuid;
  bool is_certain = true;  // false: it may be another's members that are the strangers
};

WantedPool wanted_pool(const std::vector<LabelledDisk>& disks, const std::optional<Uuid>& expected,
                       const MemberSet* predecessor) {
  if (expected) return {.uuid = *expected};
  const auto count_of = [&disks](const Uuid& pool) {
    return std::ranges::count_if(
        disks, [&pool](const LabelledDisk& one) { return one.found.label.pool == pool; });
  };
  if (predecessor != nullptr && count_of(predecessor->label().pool) != 0) {
    return {.uuid = predecessor->label().pool};
  }
  WantedPool wanted{.uuid = disks.front().found.label.pool};
  for (const LabelledDisk& one : disks) {
    const Uuid& pool = one.found.label.pool;
    if (pool == wanted.uuid) continue;
    if (count_of(pool) == count_of(wanted.uuid)) wanted.is_certain = false;
    if (count_of(pool) > count_of(wanted.uuid)) wanted = {.uuid = pool};
  }
  return wanted;
}

// Those with a label of the pool, each of them once.
std::vector<Member> read_labels(std::vector<MemberCandidate> candidates,
                                const std::optional<Uuid>& expected, const MemberSet* predecessor,
                                std::vector<MemberTrouble>& troubles) {
  std::vector<Member> members;
  std::vector<LabelledDisk> disks = read_all_labels(std::move(candidates), expected, troubles);
  if (disks.empty()) return members;
  const WantedPool wanted = wanted_pool(disks, expected, predecessor);
  for (LabelledDisk& each : disks) {
    std::unique_ptr<PoolMember> disk = std::move(each.disk);
    const MemberLabel& label = each.found.label;
    const std::string path = disk->info().path;
    if (GUARD("pool of a member") && label.pool != wanted.uuid) {
      MemberTrouble stranger = trouble_of_member(
          path,
          {Kind::wrong_pool, name_of(disk->info()) + " is member " + std::to_string(label.index) +
                                 " of pool " + label.pool.text() + ", not of pool " +
                                 wanted.uuid.text() + "; is it the right disk?"});
      stranger.is_of_one_member = wanted.is_certain;
      troubles.push_back(std::move(stranger));
      continue;
    }
    const auto twin = std::ranges::find_if(
        members, [&](const Member& other) { return other.label.member == label.member; });
    if (GUARD("members are told apart") && twin != members.end()) {
      troubles.push_back(trouble_of_path(
          path,
          {Kind::member_twice, name_of(twin->disk->info()) + " and " + name_of(disk->info()) +
                                   " are the same member, or one is a copy of the other (index " +
                                   std::to_string(label.index) + ", UUID " + label.member.text() +
                                   "); name only the one that is to be served"},
          label.index));
      continue;
    }
    if (disk->info().size < label.end()) {
      troubles.push_back(trouble_of_member(
          path,
          {Kind::member_short, name_of(disk->info()) + " has only " + size_text(disk->info().size) +
                                   " of the " + size_text(label.end()) + " that member " +
                                   std::to_string(label.index) +
                                   " of the pool had; it has been truncated or replaced"},
          label.index));
      continue;
    }
    if (!members.empty() && !label.is_beside(members.front().label)) {
      troubles.push_back(trouble_of_path(
          path,
          {Kind::damaged, name_of(disk->info()) + " and " + name_of(members.front().disk->info()) +
                              " say different things of the same pool"},
          label.index));
      continue;
    }
    members.push_back({.disk = std::move(disk),
                       .label = label,
                       .label_is_bad = each.found.is_bad,
                       .slots = {},
                       .slot_is_unreadable = {}});
  }
  return members;
}

// False: it is not to be served, as troubles tell.
bool hold_member(const Member& member, const MemberSet* predecessor, bool& inherited,
                 std::vector<MemberTrouble>& troubles) {
  PoolMember& disk = *member.disk;
  const std::string& path = disk.info().path;
  const PoolMember* const earlier =
      predecessor != nullptr ? predecessor->at_device(disk.info().device) : nullptr;
  const auto held = disk.hold(earlier);
  if (!held) {
    troubles.push_back(trouble_of_member(
        path, member_io_error(disk, "cannot be locked", held.error()), member.label.index));
    return false;
  }
  if (!held.value().held) {
    troubles.push_back(trouble_of_path(
        path,
        {Kind::in_use, name_of(disk.info()) +
                           " is in use: another process serves it, or it is mounted or part of "
                           "another device; end that first"},
        member.label.index));
    return false;
  }
  inherited = inherited && (held.value().inherited || earlier == nullptr);
  const auto synced = GUARD("members are synced before they are read") ? disk.sync() : success();
  if (synced) return true;
  troubles.push_back(trouble_of_member(
      path, member_io_error(disk, "cannot be synced", synced.error()), member.label.index));
  return false;
}

void read_slots(Member& member, std::vector<MemberTrouble>& troubles) {
  for (std::size_t slot = 0; slot < member.slots.size(); ++slot) {
    auto table = read_table_slot(*member.disk, member.label, slot);
    if (table) {
      member.slots[slot] = std::move(table.value());
    } else if (table.error().kind == Kind::io) {
      member.slot_is_unreadable[slot] = true;  // another one serves, if there is one
    } else {
      troubles.push_back(
          trouble_of_path(member.disk->info().path, table.error(), member.label.index));
    }
  }
}

struct TableOnMember {
  const DeviceTable* table = nullptr;
  std::uint32_t member = 0;  // its index
};

// Whether `table` was written without that member, which has not changed anything alone since:
// what it may have tried before was never answered, and somebody has acted without it.
bool counts_for_nothing(const TableOnMember& other, const DeviceTable& table) {
  if (other.member >= table.members.size()) return false;
  const MemberRecord& record = table.members[other.member];
  return record.absent_from != 0 && other.table->last_change() < record.absent_at + numbers_apart;
}

bool counts_before(const TableOnMember& one, const TableOnMember& other) {
  const bool is_first = counts_for_nothing(other, *one.table);
  const bool is_second = counts_for_nothing(one, *other.table);
  if (is_first != is_second && GUARD("one that was away has no say")) return is_first;
  return one.table->volumes.sequence > other.table->volumes.sequence;
}

// Of all slots of all members; nullptr: none is whole.
const DeviceTable* newest_table(const std::vector<Member>& members) {
  TableOnMember newest;
  for (const Member& member : members) {
    for (const auto& slot : member.slots) {
      if (!slot) continue;
      const TableOnMember found{.table = &*slot, .member = member.label.index};
      const bool is_newer = newest.table == nullptr || counts_before(found, newest);
      if (GUARD("the newest table counts") ? is_newer : newest.table == nullptr) newest = found;
    }
  }
  return newest.table;
}

// Two tables of one number were never written by us: somebody has brought two pools together.
void check_agreement(const std::vector<Member>& members, const DeviceTable& newest,
                     std::vector<MemberTrouble>& troubles) {
  for (const Member& member : members) {
    for (const auto& slot : member.slots) {
      if (!slot || slot->volumes.sequence != newest.volumes.sequence) continue;
      if (say_the_same(*slot, newest)) continue;
      troubles.push_back(trouble_of_path(
          member.disk->info().path,
          {Kind::damaged, name_of(member.disk->info()) +
                              ": its table contradicts that of another member; the members have "
                              "been changed apart from each other"},
          member.label.index));
      return;
    }
  }
}

bool is_listed(const Member& member, const DeviceTable& table) {
  if (member.label.index >= table.members.size()) return false;
  const MemberRecord& record = table.members[member.label.index];
  return !GUARD("members are those of the table") ||
         (record.uuid == member.label.member && record.slices == member.label.slices);
}

std::optional<std::uint64_t> newest_number(const Member& member) {
  std::optional<std::uint64_t> has;
  for (const auto& slot : member.slots) {
    if (slot) has = std::max(has.value_or(0), slot->volumes.sequence);
  }
  return has;
}

// Each one that is whole misses at most the change that was under way, and what was changed while
// it was away.
bool is_outdated(const Member& member, const DeviceTable& table) {
  const auto has = newest_number(member);
  const std::uint64_t absent_from = table.members[member.label.index].absent_from;
  const std::uint64_t least = absent_from == 0 ? table.previous : absent_from - 1;
  return GUARD("outdated members") && has && *has < least;
}

// While the others have gone on without it, it has gone on without them.
bool has_gone_on_alone(const Member& member, const DeviceTable& table) {
  const MemberRecord& record = table.members[member.label.index];
  if (record.absent_from == 0) return false;
  return std::ranges::any_of(member.slots, [&](const auto& slot) {
    return slot && slot->last_change() >= record.absent_at + numbers_apart &&
           !say_the_same(*slot, table);
  });
}

std::vector<std::optional<Member>> by_index(std::vector<Member> members, const DeviceTable& table,
                                            std::vector<MemberTrouble>& troubles) {
  std::vector<std::optional<Member>> sorted(table.members.size());
  for (Member& member : members) {
    const std::string path = member.disk->info().path;
    const std::string name = name_of(member.disk->info());
    if (!is_listed(member, table)) {
      // With the table of before it was to be added, nothing of the pool can be on it.
      const bool is_half_added = member.label.index >= table.members.size();
      troubles.push_back(
          {.error = {Kind::member_unlisted,
                     name + " has a label of pool " + table.volumes.pool_uuid.text() +
                         ", whose table does not have it" +
                         (is_half_added ? ": it was never added completely, and is "
                                          "not used; add it again"
                                        : "; is it the right disk?")},
           .path = path,
           .index = std::nullopt,
           .is_harmless = is_half_added});
      continue;
    }
    if (GUARD("members that have gone on alone") && has_gone_on_alone(member, table)) {
      troubles.push_back(trouble_of_path(
          path,
          {Kind::damaged, name + ": its table contradicts that of another member; they have been "
                                 "changed apart from each other, each while the other was "
                                 "missing: name only those that are to be gone on with"},
          member.label.index));
      continue;
    }
    if (is_outdated(member, table)) {
      troubles.push_back(trouble_of_member(
          path,
          {Kind::member_outdated, name + " is an older copy of member " +
                                      std::to_string(member.label.index) +
                                      ": the pool has gone on without it; bring the right disk "
                                      "back"},
          member.label.index));
      continue;
    }
    sorted[member.label.index] = std::move(member);
  }
  for (std::uint32_t index = 0; index < sorted.size(); ++index) {
    const bool is_told = std::ranges::any_of(
        troubles, [&](const MemberTrouble& trouble) { return trouble.index == index; });
    if (sorted[index] || is_told) continue;
    troubles.push_back({.error = {Kind::member_missing, missing_text(table, index)},
                        .path = {},
                        .index = index,
                        .is_of_one_member = true});
  }
  return sorted;
}

}  // namespace

std::string why_missing(const std::vector<MemberTrouble>& troubles, std::uint32_t index,
                        const std::string& path) {
  const auto is_of_path = [&path](const auto& one) { return !one.index && one.path == path; };
  const auto is_of_index = [index](const auto& one) { return one.index == index; };
  auto found = std::ranges::find_if(troubles, is_of_path);
  if (found == troubles.end()) found = std::ranges::find_if(troubles, is_of_index);
  return found == troubles.end() ? std::string() : found->error.text;
}

std::vector<MemberState> member_states(const FoundMembers& found) {
  std::vector<MemberState> states;
  if (!found.table || found.members.size() != found.table->members.size()) return states;
  for (std::uint32_t index = 0; index < found.members.size(); ++index) {
    const MemberRecord& record = found.table->members[index];
    MemberState state{.index = index,
                      .uuid = record.uuid,
                      .is_there = found.members[index].has_value(),
                      .path = record.path,
                      .serial = record.serial};
    if (state.is_there) {
      const MemberInfo& info = found.members[index]->disk->info();
      state.path = info.path;
      state.device = info.device;
      if (!info.serial.empty()) state.serial = info.serial;
    }
    if (!state.is_there) state.reason = why_missing(found.troubles, index, state.path);
    states.push_back(std::move(state));
  }
  return states;
}

std::string missing_text(const DeviceTable& table, std::uint32_t index) {
  const MemberRecord& record = table.members[index];
  return "member " + std::to_string(index) + " of " + std::to_string(table.members.size()) +
         " of pool " + table.volumes.pool_uuid.text() + " is missing (UUID " + record.uuid.text() +
         (record.serial.empty() ? "" : ", serial " + record.serial) + "); it was " + record.path +
         " last";
}

bool FoundMembers::can_go_without() const {
  if (!table || table->volumes.sequence == 0) return false;
  return std::ranges::any_of(members, [](const std::optional<Member>& member) {
    return member && member->label.layout == format::MemberLayout::linear;
  });
}

std::optional<PoolError> FoundMembers::refusal() const {
  std::optional<PoolError> refused;
  for (const MemberTrouble& trouble : troubles) {
    if (trouble.is_harmless || (trouble.is_of_one_member && can_go_without())) continue;
    if (!refused) {
      refused = trouble.error;
    } else {
      refused->text += "; " + trouble.error.text;
    }
  }
  if (!refused && !table) refused = PoolError{Kind::missing, "no member is configured"};
  return refused;
}

std::string name_of(const MemberInfo& info) {
  return info.path + (info.serial.empty() ? "" : " (serial " + info.serial + ")");
}

PoolError member_io_error(const PoolMember& member, const std::string& what, FileError error) {
  return {Kind::io, name_of(member.info()) + ": " + what + ": " + error.text()};
}

Result<std::optional<MemberLabel>, PoolError> read_member_label(PoolMember& disk) {
  const auto found = find_label(disk);
  if (found) return std::optional(found.value().label);
  if (found.error().kind == Kind::not_labelled) return std::optional<MemberLabel>();
  return found.error();
}

Result<std::optional<DeviceTable>, PoolError> read_table_slot(PoolMember& disk,
                                                              const MemberLabel& label,
                                                              std::size_t slot) {
  std::optional<DeviceTable> nothing;
  const MediaOffset place = label.area.slot(slot);
  const auto block = read_block(disk, place, label_bytes);
  if (!block) return member_io_error(disk, "the pool's table cannot be read", block.error());
  const auto extent = decode_device_table_header(block.value(), label);
  if (!extent) {
    // What a newer version has written must not be overwritten from an older replica.
    if (extent.error().kind == Kind::unsupported) return at(disk, extent.error());
    return nothing;
  }
  const auto bytes = read_block(disk, place, static_cast<std::size_t>(extent.value().bytes.value));
  if (!bytes) return member_io_error(disk, "the pool's table cannot be read", bytes.error());
  auto table = decode_device_table(bytes.value(), label);
  if (table) return std::optional(std::move(table.value()));
  if (table.error().kind == Kind::unsupported) return at(disk, table.error());
  return nothing;
}

Result<bool, PoolError> is_unfinished(PoolMember& disk, const MemberLabel& label) {
  bool has_first = false;     // a whole table of before the pool was one
  bool may_be_other = false;  // something that init has not written, or that is no more whole
  for (const std::size_t slot : {0U, 1U}) {
    TRY(const auto table, read_table_slot(disk, label, slot));
    if (table && table->volumes.sequence != 0) return false;
    if (table) has_first = true;
    if (table) continue;
    const auto block = read_block(disk, label.area.slot(slot), label_bytes);
    if (!block) return member_io_error(disk, "the pool's table cannot be read", block.error());
    const bool is_cleared =
        std::ranges::all_of(block.value(), [](std::byte byte) { return byte == std::byte{}; });
    const auto header = decode_device_table_header(block.value(), label);
    if (!is_cleared && !(header && header.value().sequence == 0)) may_be_other = true;
  }
  return has_first || !may_be_other;
}

FoundMembers find_members(std::vector<MemberCandidate> candidates, std::optional<Uuid> expected,
                          HoldMembers hold, const MemberSet* predecessor) {
  FoundMembers found;
  std::vector<Member> members =
      read_labels(std::move(candidates), expected, predecessor, found.troubles);
  if (hold == HoldMembers::yes) {
    found.inherited_holds = std::ranges::any_of(members, [predecessor](const Member& member) {
      return predecessor != nullptr &&
             predecessor->at_device(member.disk->info().device) != nullptr;
    });
    std::erase_if(members, [&](const Member& member) {
      return !hold_member(member, predecessor, found.inherited_holds, found.troubles);
    });
  }
  for (Member& member : members) read_slots(member, found.troubles);
  const DeviceTable* const newest = newest_table(members);
  if (newest == nullptr) {
    if (!members.empty()) {
      found.troubles.push_back(trouble_of_path(
          members.front().disk->info().path,
          {Kind::damaged, "no replica of the table of pool " + members.front().label.pool.text() +
                              " is whole; the data of its volumes is untouched"}));
    }
    for (Member& member : members) found.members.emplace_back(std::move(member));
    return found;
  }
  found.table = *newest;
  check_agreement(members, *found.table, found.troubles);
  found.members = by_index(std::move(members), *found.table, found.troubles);
  return found;
}

}  // namespace engine
