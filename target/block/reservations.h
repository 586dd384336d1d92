// Reservations: who may use a volume now, as hosts of both protocols have agreed among themselves;
// docs/reservations.md has the whole of it.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "engine/foundation/hold_count.h"
#include "engine/volume/volume.h"
#include "target/block/reservation_table.h"

namespace target::block {

class Reservations;
class ReservationPath;

enum class ReservationVerdict : std::uint8_t {
  allowed,
  conflict,
  not_known,  // the volume is late, and what its pool has of reservations has not been read
};

// A share of the duty to end the commands of a preempted party: whoever gets one lets go of it when
// none of the commands that had begun by then can reach the media any more. The preempting command
// is answered when all shares are gone, on the thread that lets go of the last.
using AbortTicket = std::shared_ptr<void>;

// What stands behind a path: a controller with a namespace, or a nexus with a logical unit.
class ReservationListener {
 public:
  // Both on any thread, under the lock of the volume's reservations: set something atomic or post
  // it to a reactor, and return. Nothing of Reservations may be called.
  virtual void reservation_notice(ReservationNotice notice) noexcept = 0;
  virtual void abort_commands(AbortTicket ticket) noexcept = 0;

 protected:
  ~ReservationListener() = default;
};

// One way by which a party comes to a volume; a party may have several (an NVMe host its
// controllers). Made and destroyed on any thread; `reservations` and `listener` outlive it. When
// it is destroyed, a RESERVE of SPC-2 by it ends (I_T nexus loss); registrations stay.
class ReservationPath {
 public:
  ReservationPath(Reservations& reservations, const PartyId& party, ReservationListener& listener);
  ReservationPath(const ReservationPath&) = delete;
  ReservationPath& operator=(const ReservationPath&) = delete;
  ~ReservationPath();

  [[nodiscard]] Reservations& reservations() const { return reservations_; }
  [[nodiscard]] const PartyId& party() const { return party_; }

  // For each command, before it touches the volume, and again if it has waited for data: one load.
  // Any thread.
  [[nodiscard]] ReservationVerdict may(ReservationAccess access) const;

 private:
  friend class Reservations;

  Reservations& reservations_;
  const PartyId party_;
  ReservationListener& listener_;
  // A bit for each ReservationAccess; written under the lock of `reservations_`.
  mutable std::atomic<std::uint8_t> rights_{0};
  ReservationPath* next_ = nullptr;  // guarded by it
};

// One for each volume, for its whole life. Thread-safe.
//
// A change that must survive a power loss is written down by the pool before anybody sees it; until
// then the changes that come after it wait, in their order.
class Reservations {
 public:
  using Done = std::function<void(ReservationOutcome)>;

  explicit Reservations(engine::Volume& volume) : volume_(volume) {}
  Reservations(const Reservations&) = delete;
  Reservations& operator=(const Reservations&) = delete;
  ~Reservations();

  // `done` runs once, on any thread or in here; `path` may be gone by then. Everybody concerned has
  // been told before. Conflict while another protocol's or nexus's RESERVE of SPC-2 stands.
  void change(const ReservationPath& path, const ReservationChange& change,
              std::optional<bool> persist, Done done);
  // NVMe Set Features 83h (Reservation Persistence): whoever asks.
  void set_persists(bool persist, Done done);

  // As of now; nullopt: not known yet. PERSISTENT RESERVE IN, Reservation Report.
  [[nodiscard]] std::optional<ReservationTable> report() const;

  // RESERVE and RELEASE of SPC-2 (6 and 10), of the whole unit and for the nexus itself. A conflict
  // while anybody is registered, or another path has reserved (SPC-2, 5.5.1; CRH is 0). RELEASE by
  // others than who reserved does nothing, and succeeds.
  [[nodiscard]] ReservationVerdict reserve_unit(ReservationPath& path);
  [[nodiscard]] ReservationVerdict release_unit(ReservationPath& path);
  // Logical unit reset, target reset: SPC-2's end, persistent ones stay.
  void reset();
  // PERSISTENT RESERVE IN and OUT, and what others may not do at all while a RESERVE stands.
  [[nodiscard]] bool is_unit_reserved() const;
  // Whether a RESERVE of another path stands: SPC-2 then refuses nearly every command.
  [[nodiscard]] bool is_reserved_by_another(const ReservationPath& path) const;
  // The pool is asked to write something down, and comes back to this.
  [[nodiscard]] bool is_keeping() const { return keeping_.is_held(); }

 private:
  friend class ReservationPath;
  struct Wanted {
    PartyId party;
    std::optional<ReservationChange> change;  // nullopt: only `persist`
    std::optional<bool> persist;
    Done done;
  };
  // A change that has been computed, and waits to be written down.
  struct Pending {
    ReservationTable table;
    ReservationTable::Effect effect;
    Done done;
  };
  using Answers = std::vector<std::function<void()>>;  // for when the lock is released

  void attach(ReservationPath& path);
  void detach(ReservationPath& path);
  [[nodiscard]] ReservationVerdict look(const ReservationPath& path, ReservationAccess access);
  void want(Wanted wanted);
  // Carries out what waits, until something must be written down.
  void go_on();
  void saved(bool well);

  // With the lock held.
  [[nodiscard]] bool learn() const;
  [[nodiscard]] std::optional<Pending> compute(Wanted& wanted, Answers& answers);
  [[nodiscard]] bool must_be_kept(const ReservationTable& next) const;
  void publish(Pending pending, Answers& answers);
  void update_rights() const;
  [[nodiscard]] std::uint8_t rights_of(const ReservationPath& path) const;

  engine::Volume& volume_;
  engine::HoldCount keeping_;
  // Guards everything below, and the paths' links and rights. Under it: the volume's own lock, and
  // listeners, which only set or post something.
  mutable std::mutex mutex_;
  mutable bool known_ = false;  // `table_` is what the pool had, and what has come since
  mutable ReservationTable table_;
  ReservationPath* paths_ = nullptr;
  const ReservationPath* unit_reserved_by_ = nullptr;  // SPC-2
  std::deque<Wanted> wanted_;
  std::optional<Pending> pending_;
  bool unsure_ = false;  // what the pool has, since the last attempt has failed
};

inline ReservationVerdict ReservationPath::may(ReservationAccess access) const {
  const auto wanted = static_cast<std::uint8_t>(1U << static_cast<unsigned>(access));
  if ((rights_.load(std::memory_order_acquire) & wanted) != 0) [[likely]] {
    return ReservationVerdict::allowed;
  }
  return reservations_.look(*this, access);
}

}  // namespace target::block
