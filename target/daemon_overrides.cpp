// What operators have changed beside the configuration file: Daemon's overrides.
#include <memory>
#include <utility>

#include "target/control/api.h"
#include "target/daemon.h"
#include "target/reactor/log.h"

namespace target {
namespace {

using Kind = Override::Kind;

// Tells `done` when a request was answered well.
class WatchedReply final : public control::Responder {
 public:
  WatchedReply(control::Reply reply, std::function<void()> done)
      : reply_(std::move(reply)), done_(std::move(done)) {}

  void answer(control::Answer answer) override {
    if (answer.status == 200) done_();
    reply_->answer(std::move(answer));
  }
  std::shared_ptr<control::OpenAnswer> open(const std::string& content_type) override {
    return reply_->open(content_type);
  }

 private:
  const control::Reply reply_;
  const std::function<void()> done_;
};

bool is_cancelling(const control::Request& request) {
  const auto body = control::body_object(request);
  const auto* cancel = body ? body->if_contains("cancel") : nullptr;
  return cancel != nullptr && cancel->is_bool() && cancel->get_bool();
}

}  // namespace

void Daemon::take_overrides() {
  overrides_ = std::make_unique<Overrides>(state_directory_);
  if (!overrides_->damage().empty()) {
    log_error("{}", overrides_->damage());
    events_.add(control::EventName::override_damaged, {}, overrides_->damage());
  }
  file_config_ = loaded_.config;
  loaded_.config = overridden(file_config_, overrides_->all());
  config_ = *loaded_.config;
  for (const Override& one : with_file_values(*file_config_, overrides_->all())) {
    log_info("override: {}", sentence(one));
  }
}

control::Route Daemon::remembering_drains(control::Route route) {
  route.handle = [this, handle = std::move(route.handle)](const control::Request& request,
                                                          const control::Reply& reply) {
    const auto note = [this, volume = request.name, by = request.caller.name,
                       cancels = is_cancelling(request)] {
      control_->post([this, volume, by, cancels] {
        draining_.erase(volume);
        if (cancels) {
          end_drain(volume, "it was cancelled by " + by);
        } else {
          draining_[volume] = true;
          overrides_->set({.kind = Kind::drain,
                           .subject = volume,
                           .by = by,
                           .since_ms = static_cast<std::uint64_t>(clock_.wall().count())});
          events_.add(control::EventName::override_set, volume, "it is drained for " + by);
          keep_overrides();
        }
      });
    };
    return handle(request, std::make_shared<WatchedReply>(reply, note));
  };
  return route;
}

void Daemon::follow_drains() {
  for (const Override& one : overrides_->all()) {
    if (one.kind != Kind::drain) continue;
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
  if (!overrides_->erase(Kind::drain, volume)) return;
  events_.add(control::EventName::override_cleared, volume, why);
  keep_overrides();
}

void Daemon::keep_overrides() {
  Reloader* const reloader = reloader_now_.load(std::memory_order_acquire);
  if (reloader != nullptr) reloader->keep_overrides();
}

}  // namespace target
