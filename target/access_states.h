// AccessStates: what the operator has said of the ways to the daemon: of listeners, and of groups
// of them.
#pragma once

#include <map>
#include <string>
#include <utility>

#include "config/config.h"
#include "engine/foundation/result.h"
#include "target/block/access_state.h"

namespace target {

// A value; what is kept of it over a restart is named().
class AccessStates {
 public:
  using States = std::map<std::string, block::AccessState, std::less<>>;

  AccessStates() = default;
  // As named() was.
  explicit AccessStates(States named) : named_(std::move(named)) {}

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
  friend bool operator==(const AccessStates&, const AccessStates&) = default;

 private:
  States named_;
};

}  // namespace target
