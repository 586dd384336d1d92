#include "target/block/reservations.h"

#include <utility>

#include "engine/foundation/check.h"

namespace target::block {
namespace {

using Outcome = ReservationOutcome;

constexpr std::uint8_t every_right = 0b11;

static_assert(engine::KeptReservations::most_registrants == ReservationTable::max_registrants);
static_assert(engine::KeptRegistrant::most_identity_bytes >= PartyId::longest_bytes);

engine::KeptReservations kept_form(const ReservationTable& table) {
  engine::KeptReservations kept;
  if (!table.persists) return kept;
  kept.persists = true;
  if (table.type) kept.type = static_cast<std::uint8_t>(*table.type);
  for (const Registrant& each : table.registrants) {
    const auto identity = each.party.bytes();
    kept.registrants.push_back({.key = each.key,
                                .kind = static_cast<std::uint8_t>(each.party.kind()),
                                .holder = each.holder,
                                .port = each.party.target_port(),
                                .identity = {identity.begin(), identity.end()}});
  }
  return kept;
}

// nullopt: impossible, whatever checksums say. Such a volume is served to nobody.
std::optional<ReservationTable> table_of(const engine::KeptReservations& kept) {
  ReservationTable table;
  table.persists = kept.persists;
  if (kept.type != 0) {
    table.type = type_of_nvme(kept.type);
    if (!table.type) return std::nullopt;
  }
  for (const engine::KeptRegistrant& each : kept.registrants) {
    const auto kind = static_cast<PartyId::Kind>(each.kind);
    table.registrants.push_back(
        {PartyId::from_bytes(kind, each.port, each.identity), each.key, each.holder});
  }
  if (!table.is_sound()) return std::nullopt;
  return table;
}

// Answers the command when its last share is let go of.
struct AbortAnswer {
  explicit AbortAnswer(Reservations::Done what) : done(std::move(what)) {}
  AbortAnswer(const AbortAnswer&) = delete;
  AbortAnswer& operator=(const AbortAnswer&) = delete;
  ~AbortAnswer() { done(Outcome::done); }
  Reservations::Done done;
};

}  // namespace

ReservationPath::ReservationPath(Reservations& reservations, const PartyId& party,
                                 ReservationListener& listener)
    : reservations_(reservations), party_(party), listener_(listener) {
  reservations_.attach(*this);
}

ReservationPath::~ReservationPath() { reservations_.detach(*this); }

Reservations::~Reservations() {
  const std::lock_guard lock(mutex_);
  CHECK(paths_ == nullptr && !pending_);
}

void Reservations::attach(ReservationPath& path) {
  const std::lock_guard lock(mutex_);
  path.next_ = std::exchange(paths_, &path);
  path.rights_.store(rights_of(path), std::memory_order_release);
}

void Reservations::detach(ReservationPath& path) {
  const std::lock_guard lock(mutex_);
  ReservationPath** link = &paths_;
  while (*link != &path) link = &(*link)->next_;
  *link = path.next_;
  if (unit_reserved_by_ == &path) {
    unit_reserved_by_ = nullptr;
    update_rights();
  }
}

// Read once: from then on what is here is newer than what the pool has.
bool Reservations::learn() const {
  if (known_) return true;
  const auto kept = volume_.kept_reservations();
  if (!kept) return false;
  auto table = table_of(*kept);
  if (!table) return false;
  table_ = std::move(*table);
  known_ = true;
  update_rights();
  return true;
}

std::uint8_t Reservations::rights_of(const ReservationPath& path) const {
  if (!learn()) return 0;
  if (unit_reserved_by_ != nullptr) return unit_reserved_by_ == &path ? every_right : 0;
  std::uint8_t rights = 0;
  for (const auto access : {ReservationAccess::read, ReservationAccess::write}) {
    if (!table_.may(path.party(), access)) continue;
    rights = static_cast<std::uint8_t>(rights | (1U << static_cast<unsigned>(access)));
  }
  return rights;
}

void Reservations::update_rights() const {
  for (const ReservationPath* path = paths_; path != nullptr; path = path->next_) {
    path->rights_.store(rights_of(*path), std::memory_order_release);
  }
}

ReservationVerdict Reservations::look(const ReservationPath& path, ReservationAccess access) {
  const std::lock_guard lock(mutex_);
  if (!learn()) return ReservationVerdict::not_known;
  const bool allowed = ((rights_of(path) >> static_cast<unsigned>(access)) & 1U) != 0;
  return allowed ? ReservationVerdict::allowed : ReservationVerdict::conflict;
}

void Reservations::change(const ReservationPath& path, const ReservationChange& change,
                          std::optional<bool> persist, Done done) {
  want({path.party(), change, persist, std::move(done)});
}

void Reservations::set_persists(bool persist, Done done) {
  want({PartyId(), std::nullopt, persist, std::move(done)});
}

void Reservations::want(Wanted wanted) {
  {
    const std::lock_guard lock(mutex_);
    wanted_.push_back(std::move(wanted));
  }
  go_on();
}

void Reservations::go_on() {
  Answers answers;
  std::optional<engine::KeptReservations> to_keep;
  {
    const std::lock_guard lock(mutex_);
    while (!pending_ && !wanted_.empty()) {
      Wanted wanted = std::move(wanted_.front());
      wanted_.pop_front();
      auto next = compute(wanted, answers);
      if (!next) continue;
      if (must_be_kept(next->table)) {
        to_keep = kept_form(next->table);
        pending_ = std::move(*next);
      } else {
        publish(std::move(*next), answers);
      }
    }
  }
  for (const auto& answer : answers) answer();
  if (to_keep) {
    volume_.keep_reservations(
        *to_keep, [this, hold = keeping_.take()](const auto& kept) { saved(kept.has_value()); });
  }
}

void Reservations::saved(bool well) {
  Answers answers;
  {
    const std::lock_guard lock(mutex_);
    Pending pending = std::move(*pending_);
    pending_.reset();
    unsure_ = !well;
    if (well) {
      publish(std::move(pending), answers);
    } else {
      answers.push_back([done = std::move(pending.done)] { done(Outcome::not_saved); });
    }
  }
  for (const auto& answer : answers) answer();
  go_on();
}

// nullopt: it has been answered, or will be by `answers`, and nothing changes.
std::optional<Reservations::Pending> Reservations::compute(Wanted& wanted, Answers& answers) {
  Pending next{.table = {}, .effect = {}, .done = std::move(wanted.done)};
  if (!learn()) {
    next.effect.outcome = Outcome::unavailable;
  } else if (unit_reserved_by_ != nullptr) {
    next.effect.outcome = Outcome::conflict;
  } else {
    next.table = table_;
    if (wanted.change) {
      next.effect = next.table.apply(wanted.party, *wanted.change, wanted.persist);
    } else {
      next.table.persists = wanted.persist.value_or(table_.persists);
    }
  }
  if (next.effect.outcome == Outcome::done) return next;
  answers.push_back(
      [done = std::move(next.done), outcome = next.effect.outcome] { done(outcome); });
  return std::nullopt;
}

bool Reservations::must_be_kept(const ReservationTable& next) const {
  return unsure_ || ((table_.persists || next.persists) && kept_form(next) != kept_form(table_));
}

// Who is answered sees that everybody concerned has been told, and that nobody of the aborted has
// rights that he has lost.
void Reservations::publish(Pending pending, Answers& answers) {
  table_ = std::move(pending.table);
  update_rights();
  auto answer = std::make_shared<AbortAnswer>(std::move(pending.done));
  for (const ReservationPath* path = paths_; path != nullptr; path = path->next_) {
    for (const ReservationTable::Told& told : pending.effect.told) {
      if (told.party == path->party()) path->listener_.reservation_notice(told.notice);
    }
    for (const PartyId& aborted : pending.effect.aborted) {
      if (aborted == path->party()) path->listener_.abort_commands(answer);
    }
  }
  // The last share, perhaps: let go of without the lock.
  answers.push_back([answer = std::move(answer)]() mutable { answer.reset(); });
}

std::optional<ReservationTable> Reservations::report() const {
  const std::lock_guard lock(mutex_);
  if (!learn()) return std::nullopt;
  return table_;
}

ReservationVerdict Reservations::reserve_unit(ReservationPath& path) {
  const std::lock_guard lock(mutex_);
  if (!learn()) return ReservationVerdict::not_known;
  const bool by_another = unit_reserved_by_ != nullptr && unit_reserved_by_ != &path;
  // One that is being written down counts: it comes, or has never been answered.
  if (by_another || !table_.registrants.empty() || pending_) return ReservationVerdict::conflict;
  unit_reserved_by_ = &path;
  update_rights();
  return ReservationVerdict::allowed;
}

ReservationVerdict Reservations::release_unit(ReservationPath& path) {
  const std::lock_guard lock(mutex_);
  if (!learn()) return ReservationVerdict::not_known;
  if (!table_.registrants.empty()) return ReservationVerdict::conflict;
  if (unit_reserved_by_ == &path) {
    unit_reserved_by_ = nullptr;
    update_rights();
  }
  return ReservationVerdict::allowed;
}

void Reservations::reset() {
  const std::lock_guard lock(mutex_);
  if (std::exchange(unit_reserved_by_, nullptr) != nullptr) update_rights();
}

bool Reservations::is_unit_reserved() const {
  const std::lock_guard lock(mutex_);
  return unit_reserved_by_ != nullptr;
}

bool Reservations::is_reserved_by_another(const ReservationPath& path) const {
  const std::lock_guard lock(mutex_);
  return unit_reserved_by_ != nullptr && unit_reserved_by_ != &path;
}

}  // namespace target::block
