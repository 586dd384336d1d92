// What operators change beside the configuration file: Reloader's overrides.
#include <fmt/format.h>

#include <chrono>
#include <future>
#include <memory>
#include <utility>

#include "target/reactor/log.h"
#include "target/reloader.h"

namespace target {
namespace {

constexpr const char* dropped_and_unconfirmed =
    "overrides were dropped by a change that waits for its confirmation; forebayctl confirm, or "
    "wait until it is taken back";

using OverrideKind = Override::Kind;

constexpr std::chrono::seconds override_patience{25};

std::uint64_t override_time_ms() {
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(
                                        std::chrono::system_clock::now().time_since_epoch())
                                        .count());
}

// Shared with the engine: what is late may come when nobody waits any more.
engine::Result<void, std::string> awaited(const std::function<void(engine::Engine::Done)>& begin) {
  const auto promise = std::make_shared<std::promise<engine::Result<void, std::string>>>();
  auto done = promise->get_future();
  begin([promise](const auto& outcome) { promise->set_value(outcome); });
  if (done.wait_for(override_patience) == std::future_status::ready) return done.get();
  return std::string("its cache has not answered yet; it may still be done");
}

}  // namespace

engine::Result<void, std::string> Reloader::change_mode(const std::string& volume,
                                                        const std::string& mode) {
  const auto known = engine::parse_cache_mode(mode);
  if (!known) {
    return fmt::format(
        "\"{}\" is no mode of a cache; use write-back, write-through, write-around, pass-through "
        "or read-only",
        mode);
  }
  return awaited([&](engine::Engine::Done done) {
    served_.engine.set_cache_mode(volume, *known, std::move(done));
  });
}

Reloader::Answer Reloader::set_mode(const Request& request) {
  if (unconfirmed_ && unconfirmed_->overrides) return {.error = dropped_and_unconfirmed};
  if (auto done = change_mode(request.volume, request.mode); !done) return {.error = done.error()};
  Override wanted{.kind = OverrideKind::mode,
                  .subject = request.volume,
                  .value = request.mode,
                  .by = request.by,
                  .since_ms = override_time_ms()};
  wanted.file_value = file_value(*file_config_, wanted);
  if (wanted.file_value == request.mode) {
    erase_override(wanted, "it is as the file says, by " + request.by);
  } else {
    if (observe_override_) observe_override_(true, request.volume, sentence(wanted));
    overrides_.set(std::move(wanted));
  }
  override_again();
  return {.note = kept_overrides()};
}

Reloader::Answer Reloader::set_access(const Request& request) {
  if (unconfirmed_ && unconfirmed_->overrides) return {.error = dropped_and_unconfirmed};
  const auto state = block::access_state_of(request.access);
  if (!state) {
    return {.error = fmt::format(
                "\"{}\" is no state; optimized, non-optimized, inaccessible, persistent-loss and "
                "change are",
                request.access)};
  }
  AccessStates states = access_states(overrides_.all());
  if (auto set = states.set(*file_config_, request.path, *state); !set) {
    return {.error = set.error()};
  }
  for (const Override& one : overrides_.all()) {
    if (one.kind != OverrideKind::access || states.named().contains(one.subject)) continue;
    erase_override(one, fmt::format("{} is {}, by {}", request.path, request.access, request.by));
  }
  if (states.named().contains(request.path)) {
    Override wanted{.kind = OverrideKind::access,
                    .subject = request.path,
                    .value = request.access,
                    .by = request.by,
                    .since_ms = override_time_ms()};
    if (observe_override_) observe_override_(true, request.path, sentence(wanted));
    overrides_.set(std::move(wanted));
  }
  follow_access();
  return {.note = kept_overrides()};
}

Reloader::Answer Reloader::clear_overrides(const Request& request) {
  if (unconfirmed_ && unconfirmed_->overrides) return {.error = dropped_and_unconfirmed};
  const std::string& asked = request.path.empty() ? request.volume : request.path;
  bool is_any = false;
  for (const Override& one : overrides_.all()) {
    const bool is_path = one.kind == OverrideKind::access;
    if (!asked.empty() && (one.subject != asked || is_path == request.path.empty())) continue;
    is_any = true;
    const std::string& name = one.subject;
    const std::string wanted = file_value(*file_config_, one);
    if (one.kind == OverrideKind::mode && !wanted.empty()) {
      const auto done = change_mode(name, wanted);
      // One that is served without its cache for now has none whose mode could be changed.
      const bool has_none = !served_.engine.cache_of(name).has_value();
      if (!done && !has_none) return {.error = fmt::format("volume {}: {}", name, done.error())};
    }
    if (one.kind == OverrideKind::drain) {
      (void)awaited([&](auto done) { served_.cancel_drain(name, request.by, std::move(done)); });
    }
    erase_override(one, "it was cleared by " + request.by);
  }
  if (!is_any && !asked.empty()) {
    return {.error = fmt::format("nothing of {} is overridden; see: forebayctl overrides", asked)};
  }
  follow_access();
  override_again();
  return {.note = kept_overrides()};
}

// The configuration that has been applied without them has their volumes' modes.
void Reloader::drop_overrides(const std::string& by) {
  for (const Override& one : overrides_.all()) {
    if (one.kind == OverrideKind::drain) {
      (void)awaited([&](auto done) { served_.cancel_drain(one.subject, by, std::move(done)); });
    }
    erase_override(one, "it was dropped with the configuration that was applied by " + by);
  }
  follow_access();
}

void Reloader::follow_access() {
  const AccessStates states = access_states(overrides_.all());
  served_.on_control([&] { served_.take_access(states); });
}

void Reloader::erase_override(const Override& one, const std::string& why) {
  if (!overrides_.erase(one.kind, one.subject) || !observe_override_) return;
  observe_override_(false, one.subject, fmt::format("{} {}: {}", text(one.kind), one.value, why));
}

// What the file says by now is no override any more.
void Reloader::settle_overrides() {
  for (const Override& one : overrides_.all()) {
    if (one.kind != OverrideKind::mode || file_value(*file_config_, one) != one.value) continue;
    erase_override(one, "the file says the same");
  }
  if (const std::string why = kept_overrides(); !why.empty()) log_warn("{}", why);
}

std::string Reloader::kept_overrides() {
  // What is on the disk is gone back to.
  if (unconfirmed_ && unconfirmed_->overrides) return {};
  const auto kept = overrides_.keep();
  return kept ? std::string() : kept.error();
}

void Reloader::override_again() { loaded_.config = overridden(file_config_, overrides_.all()); }

}  // namespace target
