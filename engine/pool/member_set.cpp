#include "engine/pool/member_set.h"

#include <algorithm>
#include <cstddef>
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

// More than one life of a daemon tries.
constexpr std::uint64_t numbers_of_a_life = std::uint64_t{1} << 20;

// Up to 2^32: a disk that comes and goes every second has 64 bits of them for centuries.
std::uint64_t numbers_by_chance() {
  const auto factor = std::to_integer<std::uint64_t>(Uuid::random().bytes[0]);
  return (factor + 1) * numbers_apart;
}

// Of what is told although the pool is served as a whole.
MemberTrouble replica_trouble(const PoolMember& disk, std::uint32_t index, const std::string& what,
                              const std::string& instead, const Result<void, PoolError>& healed) {
  const std::string text =
      name_of(disk.info()) + ": " + what + " is not whole or not readable; " + instead +
      (healed ? ", and it has been written anew; look at the disk"
              : ". It cannot be written anew: " + healed.error().text + "; replace the disk");
  return {.error = {Kind::damaged, text},
          .path = disk.info().path,
          .index = index,
          .is_harmless = true};
}

}  // namespace

MemberSet::MemberSet(FoundMembers found) {
  CHECK(!found.refusal() && found.table);
  table_ = std::move(*found.table);
  for (auto& member : found.members) {
    members_.push_back(member ? std::move(member->disk) : nullptr);
    unsettled_.push_back(std::move(member));
  }
  const auto first =
      std::ranges::find_if(unsettled_, [](const auto& member) { return member.has_value(); });
  label_ = (*first)->label;
  bad_slots_.resize(members_.size());
  tried_sequence_ = table_.volumes.sequence;
  for (const auto& member : unsettled_) {
    if (!member) continue;
    for (const auto& slot : member->slots) {
      if (slot) tried_sequence_ = std::max(tried_sequence_, slot->volumes.sequence);
    }
  }
}

bool MemberSet::is_whole() const {
  return std::ranges::all_of(members_, [](const auto& member) { return member != nullptr; });
}

PoolMember& MemberSet::member(std::size_t index) const {
  CHECK(members_[index] != nullptr);
  return *members_[index];
}

MemberInfo MemberSet::info(std::size_t index) const {
  if (members_[index] != nullptr) return members_[index]->info();
  const MemberRecord& record = table_.members[index];
  return {.path = record.path,
          .device = record.path,
          .serial = record.serial,
          .size = {label_.area.bytes.value + record.slices * label_.slice.value}};
}

const PoolMember* MemberSet::at_device(const std::string& device) const {
  for (const auto& member : members_) {
    if (member != nullptr && member->info().device == device) return member.get();
  }
  return nullptr;
}

// ---- after opening

Result<void, PoolError> MemberSet::settle(std::vector<MemberTrouble>& told) {
  judge_slots();
  heal_labels(told);
  while (true) {
    auto settled = settle_slots(told);
    if (settled) settled = settle_absence();
    if (settled) break;
    if (!drop_failed(told, settled.error())) return settled;
  }
  is_settled_ = true;
  unsettled_.clear();
  return success();
}

void MemberSet::heal_labels(std::vector<MemberTrouble>& told) {
  for (std::uint32_t index = 0; index < unsettled_.size(); ++index) {
    if (!unsettled_[index]) continue;
    const FoundMembers::Member& found = *unsettled_[index];
    const std::array places{found.label.area.first_label(), found.label.area.second_label()};
    for (std::size_t copy = 0; copy < places.size(); ++copy) {
      if (!found.label_is_bad[copy]) continue;
      auto healed = write_at(*members_[index], places[copy], encode(found.label), label_trouble);
      if (healed) healed = sync_member(*members_[index], label_trouble);
      told.push_back(replica_trouble(*members_[index], index,
                                     copy == 0 ? "its first label" : "its second label",
                                     "the other one serves", healed));
      // It is there since the member is one, and nobody has written it since.
      ++healed_.rotten;
      healed_.texts.push_back(told.back().error.text);
    }
  }
}

// A change writes the slots of one number, and those of the other when all of these are synced. So
// a crash leaves slots that are not whole of one number only; and what it leaves in one differs
// from the newest table in its number and its checksums at least.
void MemberSet::judge_slots() {
  rotten_slots_.resize(members_.size());
  const auto is_bad = [this](std::size_t index, std::size_t slot) {
    const auto& member = unsettled_[index];
    return member && table_.members[index].absent_from == 0 && !member->slots[slot] &&
           !member->slot_is_unreadable[slot];
  };
  for (std::size_t slot = 0; slot < 2; ++slot) {
    bool is_other_bad = false;
    for (std::size_t index = 0; index < members_.size(); ++index) {
      is_other_bad = is_other_bad || is_bad(index, 1 - slot);
    }
    for (std::size_t index = 0; index < members_.size(); ++index) {
      if (!is_bad(index, slot)) continue;
      rotten_slots_[index][slot] = is_other_bad || is_rotten(index, slot);
      const std::string what = name_of(members_[index]->info()) + ": replica " +
                               std::to_string(slot) + " of the pool's table was not whole: ";
      if (rotten_slots_[index][slot]) {
        ++healed_.rotten;
        healed_.texts.push_back(what + "it is rotten; another one serves; look at the disk");
      } else {
        ++healed_.cut_off;
        healed_.texts.push_back(what +
                                "a change was cut off (or it is rotten); another one serves");
      }
    }
  }
}

bool MemberSet::is_rotten(std::size_t index, std::size_t slot) const {
  constexpr std::ptrdiff_t fewest_of_a_change = 3;  // bytes, of two checksums and a number
  const auto image = encode(table_);
  std::vector<std::byte> found(image.size());
  const auto read = members_[index]->read(label_.area.slot(slot), found);
  if (!read || read.value() != found.size()) return false;
  std::ptrdiff_t differing = 0;
  for (std::size_t at = 0; at < found.size(); ++at) differing += found[at] != image[at] ? 1 : 0;
  return differing < fewest_of_a_change;
}

Result<void, PoolError> MemberSet::settle_slots(std::vector<MemberTrouble>& told) {
  const auto image = encode(table_);
  for (std::size_t slot = 0; slot < 2; ++slot) {
    Indices written;
    for (std::uint32_t index = 0; index < unsettled_.size(); ++index) {
      if (!GUARD("replicas of a device table made equal")) continue;
      // One that is back gets its table last: see settle_absence().
      if (members_[index] == nullptr || table_.members[index].absent_from != 0) continue;
      const auto& found = unsettled_[index]->slots[slot];
      if (bad_slots_[index][slot] || (found && *found == table_)) continue;
      const bool was_unreadable = std::exchange(unsettled_[index]->slot_is_unreadable[slot], false);
      const bool was_rotten = std::exchange(rotten_slots_[index][slot], false);
      auto healed = write_slot(slot, {index}, image);
      if (healed && (was_unreadable || was_rotten)) healed = sync({index});
      if (was_unreadable || was_rotten || !healed) {
        told.push_back(replica_trouble(*members_[index], index,
                                       "replica " + std::to_string(slot) + " of the pool's table",
                                       "another one serves", healed));
      }
      if (!healed) {
        const bool is_alone = !has_sound_replicas_beside(index);
        if (is_alone && !unsettled_[index]->slots[1 - slot]) return healed;
        bad_slots_[index][slot] = true;
        // A change that fails here must not have begun with the other one.
        if (is_alone) next_slot_ = slot;
        // What it holds, perhaps, is none of ours.
        tried_sequence_ += numbers_of_a_life;
        continue;
      }
      written.push_back(index);
    }
    TRY(sync(written));
    for (const std::size_t index : written) unsettled_[index]->slots[slot] = table_;
  }
  failed_.reset();
  return success();
}

Result<void, PoolError> MemberSet::settle_absence() {
  DeviceTable marked = table_;
  marked.previous = table_.volumes.sequence;
  Indices back;
  bool is_newly_missing = false;
  for (std::size_t index = 0; index < members_.size(); ++index) {
    MemberRecord& record = marked.members[index];
    if (members_[index] != nullptr && record.absent_from != 0) {
      back.push_back(index);
      marked.previous = std::min(marked.previous, record.absent_from - 1);
      record.absent_from = record.absent_at = 0;
    } else if (members_[index] == nullptr && record.absent_from == 0) {
      // It may not have the change that was under way.
      record.absent_from = table_.previous + 1;
      record.absent_at = table_.volumes.sequence;
      is_newly_missing = true;
    }
  }
  if (back.empty() && !is_newly_missing) return success();
  if (is_newly_missing && !GUARD("the others say who is missing")) return success();
  if (is_newly_missing && GUARD("tables without a member have numbers of their own")) {
    tried_sequence_ += numbers_by_chance();
  }
  marked.changed = table_.last_change();
  return write_table(std::move(marked), back);
}

bool MemberSet::drop_failed(std::vector<MemberTrouble>& told, const PoolError& why) {
  if (!failed_ || label_.layout != format::MemberLayout::linear) return false;
  const std::size_t index = *std::exchange(failed_, std::nullopt);
  const auto left = std::ranges::count_if(members_, [](const auto& one) { return one != nullptr; });
  if (left < 2) return false;
  told.push_back({.error = why,
                  .path = members_[index]->info().path,
                  .index = static_cast<std::uint32_t>(index),
                  .is_of_one_member = true});
  members_[index].reset();
  unsettled_[index].reset();
  return true;
}

// ---- changes

bool MemberSet::has_sound_replicas_beside(std::size_t index) const {
  for (std::size_t other = 0; other < members_.size(); ++other) {
    if (other == index || members_[other] == nullptr) continue;
    if (!bad_slots_[other][0] && !bad_slots_[other][1]) return true;
  }
  return false;
}

Result<void, PoolError> MemberSet::write_slot(std::size_t slot, const Indices& to,
                                              std::span<const std::byte> image) {
  for (const std::size_t index : to) {
    auto written = write_at(*members_[index], label_.area.slot(slot), image, table_trouble);
    if (written) {
      bad_slots_[index][slot] = false;
      continue;
    }
    if (bad_slots_[index][slot] && has_sound_replicas_beside(index)) continue;
    failed_ = index;
    return written;
  }
  return success();
}

Result<void, PoolError> MemberSet::sync(const Indices& which) {
  for (const std::size_t index : which) {
    auto synced = sync_member(*members_[index], table_trouble);
    if (synced) continue;
    failed_ = index;
    return synced;
  }
  return success();
}

Result<void, PoolError> MemberSet::commit(DeviceTable table) {
  CHECK(is_settled_);
  table.previous = table_.volumes.sequence;
  table.changed = 0;
  return write_table(std::move(table), {});
}

Result<void, PoolError> MemberSet::write_table(DeviceTable table, const Indices& late) {
  // After a failure some slot may hold what was tried, so that number is not used again.
  table.volumes.sequence = ++tried_sequence_;
  const std::string contradiction = contradiction_in(table, label_);
  CHECK(contradiction.empty());
  if (encoded_bytes(table) > label_.area.slot_bytes) {
    return PoolError{Kind::no_space, "the table of pool " + label_.pool.text() + " is full"};
  }
  const auto image = encode(table);
  Indices all;
  Indices early;
  for (std::size_t index = 0; index < members_.size(); ++index) {
    if (members_[index] == nullptr) continue;
    all.push_back(index);
    const bool is_late = std::ranges::count(late, index) != 0;
    if (!is_late || !GUARD("a newcomer gets a table last")) early.push_back(index);
  }
  const std::size_t first = next_slot_;
  // One that goes away must not be the only one that has this table: then the others would go on
  // from the one before.
  TRY(write_slot(first, early, image));
  if (GUARD("first slots synced before the second are written")) {
    TRY(sync(early));
  }
  TRY(write_slot(first, late, image));
  TRY(sync(late));
  next_slot_ = GUARD("a failed second slot is written first") ? 1 - first : 0;
  TRY(write_slot(1 - first, all, image));
  TRY(sync(all));
  next_slot_ = 0;
  failed_.reset();
  table_ = std::move(table);
  return success();
}

Result<void, PoolError> MemberSet::add(std::unique_ptr<PoolMember> disk, const MemberLabel& label,
                                       DeviceTable table) {
  CHECK(is_whole() && label.is_beside(label_) && label.index == members_.size() &&
        table.members.size() == members_.size() + 1);
  TRY(write_new_member(*disk, label, table_));
  members_.push_back(std::move(disk));
  bad_slots_.emplace_back();
  table.previous = table_.volumes.sequence;
  table.changed = 0;
  auto added = write_table(std::move(table), {members_.size() - 1});
  if (added) return success();
  if (failed_ == members_.size() - 1) failed_.reset();
  members_.pop_back();
  bad_slots_.pop_back();
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
