#include "target/block/reservation_table.h"

#include <algorithm>

namespace target::block {
namespace {

using Outcome = ReservationOutcome;
using Type = ReservationType;

bool is_write_exclusive(Type type) {
  return type == Type::write_exclusive || type == Type::write_exclusive_registrants_only ||
         type == Type::write_exclusive_all_registrants;
}

// One command of one party. Each operator() changes the table only if it answers `done`.
class Application {
 public:
  Application(ReservationTable& table, const PartyId& party, ReservationTable::Effect& effect)
      : table_(table), party_(party), effect_(effect) {}

  Outcome operator()(const change::AddKey& add) {
    if (add.new_key == 0) return Outcome::bad_field;
    if (const Registrant* const own = table_.find(party_)) {
      return own->key == add.new_key ? counted() : Outcome::conflict;
    }
    return add_registrant(add.new_key);
  }

  Outcome operator()(const change::ReplaceKey& replace) {
    if (replace.new_key == 0) return Outcome::bad_field;
    Registrant* const own = find(party_);
    if (own == nullptr) {
      return replace.ignore_key ? add_registrant(replace.new_key) : Outcome::conflict;
    }
    if (!replace.ignore_key && own->key != replace.key) return Outcome::conflict;
    own->key = replace.new_key;
    return counted();
  }

  Outcome operator()(const change::RemoveKey& remove) {
    const Registrant* const own = table_.find(party_);
    if (own == nullptr) return Outcome::conflict;
    if (!remove.ignore_key && own->key != remove.key) return Outcome::conflict;
    unregister(party_);
    return counted();
  }

  // Everything is looked at before anything is done (SPC-5, "Registering").
  Outcome operator()(const change::Register& wanted) {
    if (!wanted.ignore_key && !is_key_of_all(wanted)) return Outcome::conflict;
    if (wanted.others && table_.find(party_) != nullptr) return Outcome::bad_field;
    std::vector<PartyId> added;
    const auto add = [&](const PartyId& party) {
      const bool known = table_.find(party) != nullptr || std::ranges::count(added, party) != 0;
      if (!known) added.push_back(party);
    };
    if (wanted.new_key != 0) {
      add(party_);
      for (const PartyId& path : wanted.other_paths) add(path);
      if (wanted.others) {
        for (const PartyId& other : *wanted.others) add(other);
      }
    }
    if (added.size() > ReservationTable::max_registrants - table_.registrants.size()) {
      return Outcome::no_room;
    }
    change_key(party_, wanted.new_key);
    for (const PartyId& path : wanted.other_paths) change_key(path, wanted.new_key);
    for (const PartyId& party : added) register_as(party, wanted.new_key);
    return counted();
  }

  Outcome operator()(const change::Move& move) {
    const Registrant* const own = with_key(move.key);
    if (own == nullptr || !own->holder || is_all_registrants(*table_.type)) {
      return Outcome::conflict;
    }
    if (move.new_key == 0 || move.to == party_ || move.to.is_nobody()) return Outcome::bad_field;
    Registrant* const to = find(move.to);
    if (to == nullptr && !move.unregister && is_full()) return Outcome::no_room;
    if (to != nullptr) to->key = move.new_key;
    // Who moves keeps nothing that unregistering could release.
    find(party_)->holder = false;
    if (move.unregister) erase(party_);
    if (to == nullptr) table_.registrants.push_back({move.to, move.new_key});
    find(move.to)->holder = true;
    return counted();
  }

  Outcome operator()(const change::Reserve& reserve) {
    const Registrant* const own = with_key(reserve.key);
    if (own == nullptr) return Outcome::conflict;
    if (table_.type) {
      return own->holder && *table_.type == reserve.type ? Outcome::done : Outcome::conflict;
    }
    hold(reserve.type);
    return Outcome::done;
  }

  Outcome operator()(const change::Release& release) {
    const Registrant* const own = with_key(release.key);
    if (own == nullptr) return Outcome::conflict;
    if (!own->holder) return Outcome::done;
    if (*table_.type != release.type) return Outcome::wrong_release;
    end_reservation();
    return Outcome::done;
  }

  Outcome operator()(const change::Clear& clear) {
    if (with_key(clear.key) == nullptr) return Outcome::conflict;
    tell_others(ReservationNotice::reservation_preempted);
    table_.registrants.clear();
    table_.type.reset();
    return counted();
  }

  Outcome operator()(const change::Preempt& preempt) {
    if (with_key(preempt.key) == nullptr) return Outcome::conflict;
    if (!table_.type) return remove_registrations(preempt);
    if (is_all_registrants(*table_.type)) {
      if (preempt.victim_key != 0) return remove_registrations(preempt);
    } else {
      if (preempt.victim_key == 0) return Outcome::bad_field;
      if (preempt.victim_key != holder_key()) return remove_registrations(preempt);
    }
    return take_over(preempt);
  }

 private:
  [[nodiscard]] Registrant* find(const PartyId& party) {
    return const_cast<Registrant*>(table_.find(party));
  }
  // nullptr: not registered, or with another key.
  [[nodiscard]] const Registrant* with_key(std::uint64_t key) const {
    const Registrant* const own = table_.find(party_);
    return own != nullptr && own->key == key ? own : nullptr;
  }
  [[nodiscard]] bool is_full() const {
    return table_.registrants.size() >= ReservationTable::max_registrants;
  }
  [[nodiscard]] std::uint64_t holder_key() const {
    return std::ranges::find_if(table_.registrants, &Registrant::holder)->key;
  }
  void erase(const PartyId& party) {
    std::erase_if(table_.registrants, [&](const Registrant& each) { return each.party == party; });
  }
  Outcome counted() {
    ++table_.generation;
    return Outcome::done;
  }
  void tell(const PartyId& party, ReservationNotice notice) {
    if (party != party_) effect_.told.push_back({party, notice});
  }
  void tell_others(ReservationNotice notice) {
    for (const Registrant& each : table_.registrants) tell(each.party, notice);
  }

  Outcome add_registrant(std::uint64_t key) {
    if (is_full()) return Outcome::no_room;
    register_as(party_, key);
    return counted();
  }
  void register_as(const PartyId& party, std::uint64_t key) {
    const bool holds = table_.type && is_all_registrants(*table_.type);
    table_.registrants.push_back({party, key, holds});
  }

  // Of who is not registered the key is 0.
  [[nodiscard]] std::uint64_t key_of(const PartyId& party) const {
    const Registrant* const found = table_.find(party);
    return found == nullptr ? 0 : found->key;
  }
  [[nodiscard]] bool is_key_of_all(const change::Register& wanted) const {
    return key_of(party_) == wanted.key &&
           std::ranges::all_of(wanted.other_paths,
                               [&](const PartyId& path) { return key_of(path) == wanted.key; });
  }
  // Of who is registered; a new key of 0 unregisters it.
  void change_key(const PartyId& party, std::uint64_t new_key) {
    Registrant* const found = find(party);
    if (found == nullptr) return;
    if (new_key == 0) {
      unregister(party);
    } else {
      found->key = new_key;
    }
  }

  // Of those for registrants the others hear: they may have relied on it (SPC-5, 5.14.11.2;
  // NVMe Base, "Reservation Released").
  void end_reservation() {
    if (is_for_registrants(*table_.type)) tell_others(ReservationNotice::reservation_released);
    table_.type.reset();
    for (Registrant& each : table_.registrants) each.holder = false;
  }

  void unregister(const PartyId& party) {
    const bool held = find(party)->holder;
    erase(party);
    if (!held) return;
    if (is_all_registrants(*table_.type) && !table_.registrants.empty()) return;
    end_reservation();
  }

  void hold(Type type) {
    table_.type = type;
    for (Registrant& each : table_.registrants) {
      each.holder = is_all_registrants(type) || each.party == party_;
    }
  }

  void remove(const PartyId& victim, const change::Preempt& preempt) {
    tell(victim, ReservationNotice::registration_preempted);
    if (preempt.abort && victim != party_) effect_.aborted.push_back(victim);
  }

  // The reservation is nobody's that is removed, or everybody's (SPC-5, "Removing registrations").
  // Who names its own key goes as well.
  Outcome remove_registrations(const change::Preempt& preempt) {
    std::vector<PartyId> victims;
    for (const Registrant& each : table_.registrants) {
      if (preempt.victim_key != 0 && each.key == preempt.victim_key) victims.push_back(each.party);
    }
    if (victims.empty()) return Outcome::conflict;
    for (const PartyId& victim : victims) {
      remove(victim, preempt);
      unregister(victim);
    }
    return counted();
  }

  // Who preempts becomes the holder, and stays registered whatever key it has named.
  Outcome take_over(const change::Preempt& preempt) {
    const Type before = *table_.type;
    const bool all = is_all_registrants(before) && preempt.victim_key == 0;
    std::vector<PartyId> victims;
    for (const Registrant& each : table_.registrants) {
      if (each.party != party_ && (all || each.key == preempt.victim_key)) {
        victims.push_back(each.party);
      }
    }
    for (const PartyId& victim : victims) {
      remove(victim, preempt);
      erase(victim);
    }
    hold(preempt.type);
    if (before != preempt.type) tell_others(ReservationNotice::reservation_released);
    return counted();
  }

  ReservationTable& table_;
  const PartyId& party_;
  ReservationTable::Effect& effect_;
};

bool is_registering(const ReservationChange& change) {
  return std::holds_alternative<change::AddKey>(change) ||
         std::holds_alternative<change::ReplaceKey>(change) ||
         std::holds_alternative<change::RemoveKey>(change) ||
         std::holds_alternative<change::Register>(change) ||
         std::holds_alternative<change::Move>(change);
}

}  // namespace

std::optional<ReservationType> type_of_nvme(std::uint8_t rtype) {
  if (rtype < 1 || rtype > 6) return std::nullopt;
  return static_cast<Type>(rtype);
}

std::optional<ReservationType> type_of_scsi(std::uint8_t type) {
  switch (type) {
    case 0x1:
      return Type::write_exclusive;
    case 0x3:
      return Type::exclusive_access;
    case 0x5:
      return Type::write_exclusive_registrants_only;
    case 0x6:
      return Type::exclusive_access_registrants_only;
    case 0x7:
      return Type::write_exclusive_all_registrants;
    case 0x8:
      return Type::exclusive_access_all_registrants;
    default:
      return std::nullopt;
  }
}

std::uint8_t scsi_type(ReservationType type) {
  switch (type) {
    case Type::write_exclusive:
      return 0x1;
    case Type::exclusive_access:
      return 0x3;
    case Type::write_exclusive_registrants_only:
      return 0x5;
    case Type::exclusive_access_registrants_only:
      return 0x6;
    case Type::write_exclusive_all_registrants:
      return 0x7;
    case Type::exclusive_access_all_registrants:
      return 0x8;
  }
  return 0;
}

bool is_all_registrants(ReservationType type) {
  return type == Type::write_exclusive_all_registrants ||
         type == Type::exclusive_access_all_registrants;
}

bool is_for_registrants(ReservationType type) {
  return is_all_registrants(type) || type == Type::write_exclusive_registrants_only ||
         type == Type::exclusive_access_registrants_only;
}

ReservationTable::Effect ReservationTable::apply(const PartyId& party,
                                                 const ReservationChange& change,
                                                 std::optional<bool> persist) {
  Effect effect;
  effect.outcome = std::visit(Application(*this, party, effect), change);
  if (effect.outcome == Outcome::done && persist && is_registering(change)) persists = *persist;
  return effect;
}

const Registrant* ReservationTable::find(const PartyId& party) const {
  const auto found = std::ranges::find(registrants, party, &Registrant::party);
  return found == registrants.end() ? nullptr : &*found;
}

bool ReservationTable::may(const PartyId& party, ReservationAccess access) const {
  if (!type) return true;
  if (access == ReservationAccess::read && is_write_exclusive(*type)) return true;
  const Registrant* const own = find(party);
  return own != nullptr && (own->holder || is_for_registrants(*type));
}

bool ReservationTable::is_sound() const {
  if (registrants.size() > max_registrants) return false;
  std::size_t holders = 0;
  for (const Registrant& each : registrants) {
    if (each.party.is_nobody() || each.key == 0 || find(each.party) != &each) return false;
    if (each.holder) ++holders;
  }
  if (!type) return holders == 0;
  if (is_all_registrants(*type)) return holders != 0 && holders == registrants.size();
  return holders == 1;
}

}  // namespace target::block
