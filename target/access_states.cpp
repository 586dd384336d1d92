#include "target/access_states.h"

#include <fmt/format.h>

#include <algorithm>

namespace target {

engine::Result<void, std::string> AccessStates::set(const config::Config& config,
                                                    const std::string& name,
                                                    block::AccessState state) {
  const bool is_group = std::ranges::any_of(
      config.listeners, [&](const auto& listener) { return listener.second.group == name; });
  if (!is_group && !config.listeners.contains(name)) {
    return fmt::format("no listener, and no group of listeners, is called {}", name);
  }
  named_.insert_or_assign(name, state);
  if (!is_group) {
    // Where nothing is said of its group, that is how it is anyway.
    const std::string& group = config.listeners.find(name)->second.group;
    if (state == block::AccessState::optimized && !named_.contains(group)) named_.erase(name);
    return engine::success();
  }
  // What was said of its listeners alone was of the time before.
  for (const auto& [listener, options] : config.listeners) {
    if (options.group == name && listener != name) named_.erase(listener);
  }
  if (state == block::AccessState::optimized) named_.erase(name);
  return engine::success();
}

block::AccessState AccessStates::of(const config::Listener& listener) const {
  for (const std::string& name : {listener.name, listener.group}) {
    const auto found = named_.find(name);
    if (found != named_.end()) return found->second;
  }
  return block::AccessState::optimized;
}

}  // namespace target
