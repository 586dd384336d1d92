// GeneratedKeys: where authentication puts the PSKs that it makes, and TLS finds them (secure
// channel concatenation). The seam between NVMe and TLS, which know nothing of one another.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/foundation/clock.h"

namespace target {

struct GeneratedKey {
  std::string host_nqn;
  std::string subsystem_nqn;
  bool is_sha384 = false;      // else SHA-256
  std::vector<std::byte> psk;  // as long as the hash
};

// Any thread.
class GeneratedKeys {
 public:
  // A key that is in use by one controller. It opens no new connection when this is gone.
  class Hold {
   public:
    Hold(const Hold&) = delete;
    Hold& operator=(const Hold&) = delete;
    virtual ~Hold() = default;
    [[nodiscard]] virtual const std::string& identity() const = 0;

   protected:
    Hold() = default;
  };

  // From now on it opens connections: for as long as a host needs to come back with it, then as
  // long as it is held. Returns its identity in TLS.
  [[nodiscard]] virtual std::string keep(const GeneratedKey& key, engine::Instant now) = 0;
  // nullptr: it is held already, or not known any more.
  [[nodiscard]] virtual std::unique_ptr<Hold> hold(std::string_view identity,
                                                   engine::Instant now) = 0;

 protected:
  ~GeneratedKeys() = default;
};

}  // namespace target
