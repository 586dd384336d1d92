// What operators have changed beside the configuration file: Daemon's overrides.
#include <memory>
#include <utility>

#include "target/daemon.h"
#include "target/reactor/log.h"

namespace target {
namespace {

using control::EventName;
using OverrideKind = Override::Kind;

}  // namespace

void Daemon::take_overrides() {
  overrides_ = std::make_unique<Overrides>(state_directory_);
  if (!overrides_->damage().empty()) {
    log_error("{}", overrides_->damage());
    events_.add(EventName::override_damaged, {}, overrides_->damage());
  }
  file_config_ = loaded_.config;
  loaded_.config = overridden(file_config_, overrides_->all());
  config_ = *loaded_.config;
  access_states_ = access_states(overrides_->all());
  for (const Override& one : with_file_values(*file_config_, overrides_->all())) {
    log_info("override: {}", sentence(one));
  }
}

void Daemon::drain_begun(const std::string& volume, const std::string& by) {
  draining_[volume] = true;
  overrides_->set({.kind = OverrideKind::drain,
                   .subject = volume,
                   .by = by,
                   .since_ms = static_cast<std::uint64_t>(clock_.wall().count())});
  events_.add(EventName::override_set, volume, "it is drained for " + by);
  keep_overrides();
}

void Daemon::drain_cancelled(const std::string& volume, const std::string& by) {
  draining_.erase(volume);
  end_drain(volume, "it was cancelled by " + by);
}

void Daemon::follow_drains() {
  for (const Override& one : overrides_->all()) {
    if (one.kind != OverrideKind::drain) continue;
    const auto cache = engine_->cache_of(one.subject);
    const auto wish = config_.volumes.find(one.subject);
    const bool can_come = wish != config_.volumes.end() && wish->second.cache;
    if (!cache && can_come) continue;  // its cache or pool is late
    if (cache && draining_.try_emplace(one.subject, false).second) {
      engine_->drain(one.subject, [this, volume = one.subject, by = one.by](const auto& begun) {
        const bool is_begun = begun.has_value();
        if (is_begun) log_info("volume={} is drained on, as {} has asked for", volume, by);
        control_->post([this, volume, is_begun] {
          if (is_begun) {
            draining_[volume] = true;
          } else {
            draining_.erase(volume);  // asked again at the next look
          }
        });
      });
      continue;
    }
    if (cache && (cache->draining || !draining_[one.subject])) continue;
    draining_.erase(one.subject);
    end_drain(one.subject, cache ? "it is drained" : "it has no cache any more");
  }
}

void Daemon::end_drain(const std::string& volume, const std::string& why) {
  if (!overrides_->erase(OverrideKind::drain, volume)) return;
  events_.add(EventName::override_cleared, volume, why);
  keep_overrides();
}

void Daemon::keep_overrides() {
  Reloader* const reloader = reloader_now_.load(std::memory_order_acquire);
  if (reloader != nullptr) reloader->keep_overrides();
}

}  // namespace target
