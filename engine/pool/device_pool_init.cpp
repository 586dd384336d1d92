// Making disks a device pool, and a disk one more member of one.
#include <algorithm>
#include <set>
#include <utility>

#include "engine/foundation/check.h"
#include "engine/foundation/guard.h"
#include "engine/pool/device_pool.h"
#include "engine/pool/pool_files.h"

namespace engine {
namespace {

using Kind = PoolError::Kind;
using Layout = format::MemberLayout;

constexpr std::uint64_t looked_at_bytes = std::uint64_t{1} << 20;

bool may_overwrite(const InitPermission& permission, const Uuid& pool) {
  return std::ranges::find(permission.pools, pool) != permission.pools.end();
}

Result<bool, PoolError> is_blank(PoolMember& disk, std::uint64_t begin, std::uint64_t end) {
  std::vector<std::byte> bytes(static_cast<std::size_t>(end - begin));
  const auto read = disk.read({begin}, bytes);
  if (!read) return member_io_error(disk, "cannot be read", read.error());
  return std::ranges::all_of(bytes, [](std::byte byte) { return byte == std::byte{}; });
}

// `joining`: the pool to which the disk is to be added.
Result<void, PoolError> check_disk(PoolMember& disk, const InitPermission& permission,
                                   const MemberSet* joining) {
  auto label = read_member_label(disk);
  if (!label && !(label.error().kind == Kind::damaged && permission.content)) return label.error();
  if (label && label.value()) {
    const MemberLabel& found = *label.value();
    // A label that no table of the pool lists: of an adding that was cut off.
    const bool is_half_added = GUARD("what an adding has left") && joining != nullptr &&
                               found.pool == joining->label().pool &&
                               found.index >= joining->count();
    if (may_overwrite(permission, found.pool) || is_half_added) return success();
    TRY(const bool unfinished, is_unfinished(disk, found));
    if (unfinished) return success();
    return PoolError{Kind::already_labelled, name_of(disk.info()) + " is member " +
                                                 std::to_string(found.index) + " of pool " +
                                                 found.pool.text() + "; refused"};
  }
  if (permission.content) return success();
  const std::uint64_t size = disk.info().size.value;
  const std::uint64_t part = std::min(size, looked_at_bytes);
  TRY(const bool begins_blank, is_blank(disk, 0, part));
  TRY(const bool ends_blank, is_blank(disk, size - part, size));
  if (begins_blank && ends_blank) return success();
  return PoolError{Kind::not_blank, name_of(disk.info()) +
                                        " is not blank: there is something in its first or last "
                                        "MiB; refused"};
}

Result<std::unique_ptr<PoolMember>, PoolError> take_candidate(MemberCandidate candidate) {
  if (candidate.opened) return std::move(candidate.opened.value());
  return PoolError{Kind::missing,
                   candidate.path + " cannot be opened: " + candidate.opened.error().text()};
}

Result<void, PoolError> hold_newcomer(PoolMember& disk) {
  const auto held = disk.hold(nullptr);
  if (!held) return member_io_error(disk, "cannot be locked", held.error());
  if (held.value().held) return success();
  return PoolError{Kind::in_use, name_of(disk.info()) +
                                     " is in use: it is mounted, part of another device, or "
                                     "served by another process"};
}

std::uint64_t slices_of(const PoolMember& disk, const LabelArea& area, ByteCount slice) {
  const std::uint64_t size = std::min(disk.info().size.value, format::most_member_bytes);
  return size <= area.bytes.value ? 0 : (size - area.bytes.value) / slice.value;
}

PoolError too_small(const PoolMember& disk, const LabelArea& area, ByteCount slice) {
  return {Kind::too_small, name_of(disk.info()) + " has only " + size_text(disk.info().size) +
                               "; a member needs " + size_text(area.bytes + slice) + " at least"};
}

MemberRecord record_for(const MemberInfo& info, const MemberLabel& label) {
  return {.uuid = label.member,
          .slices = label.slices,
          .added_ms = label.created_ms,
          .path = printable_hint(info.path, MemberRecord::longest_path),
          .serial = printable_hint(info.serial, MemberRecord::longest_serial)};
}

}  // namespace

Result<Uuid, PoolError> init_device_pool(std::vector<MemberCandidate> disks,
                                         const DevicePoolForm& form,
                                         const InitPermission& permission) {
  const bool is_stripe = form.layout == Layout::stripe;
  const std::size_t least = is_stripe ? 2 : 1;
  const std::size_t most = form.layout == Layout::single ? 1 : format::most_members;
  if (disks.size() < least || disks.size() > most) {
    return PoolError{Kind::cannot_grow, "a pool of that layout has " + std::to_string(least) +
                                            " to " + std::to_string(most) + " members, not " +
                                            std::to_string(disks.size())};
  }
  std::vector<std::unique_ptr<PoolMember>> members;
  std::set<std::string> devices;
  for (MemberCandidate& candidate : disks) {
    TRY(auto disk, take_candidate(std::move(candidate)));
    if (!devices.insert(disk->info().device).second) {
      return PoolError{Kind::member_twice, name_of(disk->info()) + " is named twice"};
    }
    TRY(check_disk(*disk, permission, nullptr));
    members.push_back(std::move(disk));
  }
  for (const auto& disk : members) {
    TRY(hold_newcomer(*disk));
  }
  MemberLabel label{.pool = Uuid::random(),
                    .member = {},
                    .created_ms = wall_clock_ms(),
                    .index = 0,
                    .members = static_cast<std::uint32_t>(members.size()),
                    .layout = form.layout,
                    .chunk = is_stripe ? form.chunk : ByteCount{},
                    .slice = is_stripe ? std::max(form.slice, form.chunk) : form.slice,
                    .area = form.area,
                    .slices = 0};
  std::vector<std::uint64_t> slices;
  for (const auto& disk : members) {
    slices.push_back(slices_of(*disk, label.area, label.slice));
    if (slices.back() == 0) return too_small(*disk, label.area, label.slice);
  }
  if (is_stripe) std::ranges::fill(slices, *std::ranges::min_element(slices));
  // No pool yet: its first change makes it one, when all members have their labels.
  DeviceTable table{.volumes = {.pool_uuid = label.pool, .sequence = 0, .records = {}},
                    .previous = 0,
                    .members = {},
                    .places = {}};
  std::vector<MemberLabel> labels;
  for (std::size_t index = 0; index < members.size(); ++index) {
    label.member = Uuid::random();
    label.index = static_cast<std::uint32_t>(index);
    label.slices = slices[index];
    if (!valid(label)) {
      return PoolError{Kind::cannot_grow, "no pool can have that layout, with chunks of " +
                                              size_text(label.chunk) + " and slices of " +
                                              size_text(label.slice)};
    }
    labels.push_back(label);
    table.members.push_back(record_for(members[index]->info(), label));
  }
  if (encoded_bytes(table) > label.area.slot_bytes) {
    return PoolError{Kind::too_small, "the label area has no room for the table"};
  }
  for (std::size_t index = 0; index < members.size(); ++index) {
    TRY(write_new_member(*members[index], labels[index], table));
  }
  FoundMembers made;
  for (std::size_t index = 0; index < members.size(); ++index) {
    made.members.emplace_back(FoundMembers::Member{.disk = std::move(members[index]),
                                                   .label = labels[index],
                                                   .label_is_bad = {},
                                                   .slots = {table, table},
                                                   .slot_is_unreadable = {}});
  }
  made.table = table;
  MemberSet pool(std::move(made));
  std::vector<MemberTrouble> nothing_to_tell;
  TRY(pool.settle(nothing_to_tell));
  TRY(pool.commit(std::move(table)));
  return label.pool;
}

std::optional<PoolError> DevicePool::why_no_more_members() const {
  const std::string name = "pool " + uuid().text();
  if (members_.label().layout == Layout::stripe) {
    return PoolError{Kind::cannot_grow,
                     name +
                         " is a stripe: each member has its part of every chunk row, so no "
                         "member can be added; make a new pool"};
  }
  if (members_.label().layout != Layout::linear) {
    return PoolError{Kind::cannot_grow, name + " has the layout single; make a new pool"};
  }
  if (members_.count() == format::most_members) {
    return PoolError{Kind::cannot_grow, name + " has all the " +
                                            std::to_string(format::most_members) +
                                            " members that it can have"};
  }
  for (std::uint32_t index = 0; index < members_.count(); ++index) {
    if (members_.is_there(index)) continue;
    return PoolError{Kind::member_missing,
                     "no disk is added while one is missing: " + missing_text(table(), index)};
  }
  return std::nullopt;
}

Result<void, PoolError> DevicePool::check_newcomer(PoolMember& disk,
                                                   const InitPermission& permission) const {
  if (auto refused = why_no_more_members()) return std::move(*refused);
  if (has_member(disk.info().device)) {
    return PoolError{Kind::member_twice, name_of(disk.info()) + " is a member already"};
  }
  const MemberLabel& first = members_.label();
  if (slices_of(disk, first.area, first.slice) == 0) {
    return too_small(disk, first.area, first.slice);
  }
  return check_disk(disk, permission, &members_);
}

Result<void, PoolError> DevicePool::add_member(MemberCandidate candidate,
                                               const InitPermission& permission) {
  if (auto refused = why_no_more_members()) return std::move(*refused);
  TRY(auto disk, take_candidate(std::move(candidate)));
  TRY(check_newcomer(*disk, permission));
  TRY(hold_newcomer(*disk));
  MemberLabel label = members_.label();
  label.member = Uuid::random();
  label.created_ms = wall_clock_ms();
  label.index = static_cast<std::uint32_t>(members_.count());
  label.members = label.index + 1;
  label.slices = slices_of(*disk, label.area, label.slice);
  const std::string path = disk->info().path;
  DeviceTable planned = table();
  planned.members.push_back(record_for(disk->info(), label));
  auto added = members_.add(std::move(disk), label, std::move(planned));
  if (!added) {
    zeroed_.clear();
    return added;
  }
  // Of an adding before this one, that was cut off.
  std::erase_if(notes_, [&path](const MemberTrouble& note) { return note.path == path; });
  return success();
}

}  // namespace engine
