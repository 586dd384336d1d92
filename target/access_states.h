// AccessStates: what the operator has said of the ways to the daemon: of listeners, and of groups
// of them.
#pragma once

#include <map>
#include <string>

#include "config/config.h"
#include "engine/foundation/result.h"
#include "target/block/access_state.h"

namespace target {

// Control thread. A value: whoever keeps it over a restart keeps named(), and brings it back by
// set().
class AccessStates {
 public:
  using States = std::map<std::string, block::AccessState, std::less<>>;

  // Of a group of listeners, or of one listener, as the configuration calls it; one name means
  // both where both are called so. Error: nothing is called so; a sentence for the operator.
  [[nodiscard]] engine::Result<void, std::string> set(const config::Config& config,
                                                      const std::string& name,
                                                      block::AccessState state);
  // The listener's own, else its group's, else optimized.
  [[nodiscard]] block::AccessState of(const config::Listener& listener) const;
  // Everything that is not optimized, and what was said of a listener apart from its group. Names
  // that the configuration does not have any more stay, and count again when it has.
  [[nodiscard]] const States& named() const { return named_; }

 private:
  States named_;
};

}  // namespace target
