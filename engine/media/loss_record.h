// LossRecord: which blocks of a backing nobody has any more.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "engine/foundation/result.h"
#include "engine/foundation/units.h"

namespace engine {

// Reads of such blocks end with media_error until something is written there, also after a restart
// and whoever reads them. Any thread.
class LossRecord {
 public:
  struct Refusal {
    bool is_full = false;  // for who asks
    std::string text;      // for the operator
  };
  using Done = std::function<void(Result<void, Refusal>)>;
  // A cache, or a host: it is refused while there is still room for the others.
  enum class Asker : std::uint8_t { cache, host };
  // In whole sectors of 512 bytes.
  struct Lost {
    MediaOffset offset;
    ByteCount length;
  };

  // Whether all of it is lost, durably. Who asks has nothing to write there: what was written, and
  // not synced, does not count any more.
  [[nodiscard]] virtual bool holds(MediaOffset offset, ByteCount length) = 0;
  // `done` runs when it is durable, or cannot be; on any thread, or in here. Nobody writes there
  // meanwhile. In whole sectors of 512 bytes.
  virtual void add(MediaOffset offset, ByteCount length, Asker asker, Done done) = 0;
  // All that is, durably; ascending, and not touching each other.
  [[nodiscard]] virtual std::vector<Lost> listed() const = 0;
  // Somebody else than the backing has had to answer a read of what nobody has any more.
  virtual void count_lost_read() = 0;

 protected:
  ~LossRecord() = default;
};

}  // namespace engine
