// ReservationKeeper: who writes down who may use a volume, and whether anybody may write it,
// and whether it is being formatted.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "engine/foundation/result.h"
#include "engine/foundation/units.h"
#include "engine/pool/kept_reservations.h"

namespace engine {

class ReservationKeeper {
 public:
  using KeepDone = std::function<void(Result<void, std::string>)>;

  // Any thread. In the place of what was kept before. `done` runs when it is durable, or cannot be;
  // on the keeper's thread, or in here.
  virtual void keep_reservations(const std::string& volume, const KeptReservations& reservations,
                                 KeepDone done) = 0;
  // As keep_reservations().
  virtual void keep_write_protection(const std::string& volume, bool write_protected,
                                     KeepDone done) = 0;
  // `blocks`: those that it is formatted with; nullopt: it is not being formatted.
  virtual void keep_formatting(const std::string& volume, std::optional<BlockSize> blocks,
                               KeepDone done) = 0;
  // The volume comes back as the same after a restart. Any thread.
  [[nodiscard]] virtual bool keeps_across_starts() const = 0;

 protected:
  ~ReservationKeeper() = default;
};

}  // namespace engine
