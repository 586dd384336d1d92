#include "engine/pool/member_set.h"

#include <algorithm>
#include <utility>

#include "engine/foundation/check.h"
#include "engine/foundation/guard.h"

namespace engine {
namespace {

using Kind = PoolError::Kind;

Result<void, PoolError> write_at(PoolMember& disk, MediaOffset at, std::span<const std::byte> bytes,
                                 const char* what) {
  const auto written = disk.write(at, bytes);
  if (!written) return member_io_error(disk, what, written.error());
  return success();
}

Result<void, PoolError> sync_member(PoolMember& disk, const char* what) {
  const auto synced = disk.sync();
  if (!synced) return member_io_error(disk, what, synced.error());
  return success();
}

constexpr const char* table_trouble = "the pool's table cannot be written";
constexpr const char* label_trouble = "its label cannot be written";

}  // namespace

MemberSet::MemberSet(FoundMembers found) {
  CHECK(!found.refusal() && found.table);
  table_ = std::move(*found.table);
  for (auto& member : found.members) {
    members_.push_back(std::move(member->disk));
    unsettled_.push_back(std::move(*member));
  }
  label_ = unsettled_.front().label;
  tried_sequence_ = table_.volumes.sequence;
}

const PoolMember* MemberSet::at_device(const std::string& device) const {
  for (const auto& member : members_) {
    if (member->info().device == device) return member.get();
  }
  return nullptr;
}

Result<void, PoolError> MemberSet::settle() {
  const auto image = encode(table_);
  for (std::size_t index = 0; index < unsettled_.size(); ++index) {
    const FoundMembers::Member& found = unsettled_[index];
    const std::array places{found.label.area.first_label(), found.label.area.second_label()};
    for (std::size_t copy = 0; copy < places.size(); ++copy) {
      if (!found.label_is_bad[copy]) continue;
      TRY(write_at(*members_[index], places[copy], encode(found.label), label_trouble));
      TRY(sync_member(*members_[index], label_trouble));
    }
  }
  for (std::size_t slot = 0; slot < 2; ++slot) {
    std::vector<std::size_t> written;
    for (std::size_t index = 0; index < unsettled_.size(); ++index) {
      if (!GUARD("replicas of a device table made equal")) continue;
      const auto& found = unsettled_[index].slots[slot];
      if (found && *found == table_) continue;
      TRY(write_slot(slot, index, index + 1, image));
      written.push_back(index);
    }
    for (const std::size_t index : written) {
      TRY(sync(index, index + 1));
    }
  }
  unsettled_.clear();
  return success();
}

Result<void, PoolError> MemberSet::write_slot(std::size_t slot, std::size_t begin, std::size_t end,
                                              std::span<const std::byte> image) {
  for (std::size_t index = begin; index < end; ++index) {
    TRY(write_at(*members_[index], label_.area.slot(slot), image, table_trouble));
  }
  return success();
}

Result<void, PoolError> MemberSet::sync(std::size_t begin, std::size_t end) {
  for (std::size_t index = begin; index < end; ++index) {
    TRY(sync_member(*members_[index], table_trouble));
  }
  return success();
}

Result<void, PoolError> MemberSet::commit(DeviceTable table) { return commit(std::move(table), 0); }

Result<void, PoolError> MemberSet::commit(DeviceTable table, std::size_t newcomers) {
  CHECK(unsettled_.empty());
  // After a failure some slot may hold what was tried, so that number is not used again.
  table.previous = table_.volumes.sequence;
  table.volumes.sequence = ++tried_sequence_;
  const std::string contradiction = contradiction_in(table, label_);
  CHECK(contradiction.empty());
  if (encoded_bytes(table) > label_.area.slot_bytes) {
    return PoolError{Kind::no_space, "the table of pool " + label_.pool.text() + " is full"};
  }
  const auto image = encode(table);
  const std::size_t old = GUARD("a newcomer gets a table last") ? members_.size() - newcomers : 0;
  const std::size_t first = next_slot_;
  // A newcomer that goes away must not be the only one that has this table: then the others would
  // go on from the one before.
  TRY(write_slot(first, 0, old, image));
  if (GUARD("first slots synced before the second are written")) {
    TRY(sync(0, old));
  }
  TRY(write_slot(first, old, members_.size(), image));
  TRY(sync(old, members_.size()));
  next_slot_ = GUARD("a failed second slot is written first") ? 1 - first : 0;
  TRY(write_slot(1 - first, 0, members_.size(), image));
  TRY(sync(0, members_.size()));
  next_slot_ = 0;
  table_ = std::move(table);
  return success();
}

Result<void, PoolError> MemberSet::add(std::unique_ptr<PoolMember> disk, const MemberLabel& label,
                                       DeviceTable table) {
  CHECK(label.is_beside(label_) && label.index == members_.size() &&
        table.members.size() == members_.size() + 1);
  TRY(write_new_member(*disk, label, table_));
  members_.push_back(std::move(disk));
  auto added = commit(std::move(table), 1);
  if (added) return success();
  members_.pop_back();
  // What was begun may be found by the next start, unless this comes over it.
  (void)commit(table_);
  return added;
}

Result<void, PoolError> write_new_member(PoolMember& disk, const MemberLabel& label,
                                         const DeviceTable& table) {
  const LabelArea& area = label.area;
  for (const MediaOffset place :
       {area.first_label(), area.second_label(), area.slot(0), area.slot(1)}) {
    const auto cleared = disk.zero(place, ByteCount{format::label_block_bytes});
    if (!cleared) return member_io_error(disk, label_trouble, cleared.error());
  }
  TRY(sync_member(disk, label_trouble));
  // All that a label says is in its first sector: over zeros it is there as a whole, or not at all.
  const auto bytes = encode(label);
  TRY(write_at(disk, area.first_label(), bytes, label_trouble));
  TRY(sync_member(disk, label_trouble));
  TRY(write_at(disk, area.second_label(), bytes, label_trouble));
  const auto image = encode(table);
  for (const std::size_t slot : {0U, 1U}) {
    TRY(write_at(disk, area.slot(slot), image, table_trouble));
  }
  return sync_member(disk, table_trouble);
}

}  // namespace engine
