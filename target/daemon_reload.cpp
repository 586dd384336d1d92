// What of the daemon changes while it runs: Daemon::reload() and what the reloader works on.
#include <fmt/format.h>

#include <future>

#include "target/applied_copy.h"
#include "target/daemon.h"
#include "target/override_routes.h"
#include "target/reactor/log.h"
#include "target/reload_routes.h"

namespace target {
namespace {

LogLevel log_level(config::LogLevel level) {
  switch (level) {
    case config::LogLevel::error:
      return LogLevel::error;
    case config::LogLevel::warn:
      return LogLevel::warn;
    case config::LogLevel::info:
      return LogLevel::info;
    case config::LogLevel::debug:
      return LogLevel::debug;
  }
  return LogLevel::info;
}

bool has_other_port(const std::optional<config::Metrics>& a,
                    const std::optional<config::Metrics>& b) {
  if (!a || !b) return a.has_value() != b.has_value();
  return a->address.value != b->address.value || a->port.value != b->port.value ||
         a->status_page != b->status_page;
}

}  // namespace

void Daemon::start_reloader() {
  served_.reset(new Served{
      .clock = clock_,
      .engine = *engine_,
      .nvmf = *nvmf_,
      .iscsi = *iscsi_,
      .volumes = volumes_,
      .retired = *retired_volumes_,
      .listeners = listeners_,
      .tls_keys = tls_keys_,
      .make_listener = [this](const auto& config,
                              const auto& listener) { return make_listener(config, listener); },
      .since_last_write = [this](const auto& volume) { return since_last_write(volume); },
      .take_config = [this](const LoadedConfig& config) { take_config(config); },
      .take_access = [this](const AccessStates& states) { take_access(states); },
      .cancel_drain =
          [this](const std::string& volume, const std::string& by, engine::Engine::Done done) {
            control_->post([this, volume, by, done = std::move(done)] {
              tasks_->cancel_drain(volume, by, done);
            });
          },
      .on_control = [this](const auto& task) { run_on_control(task); }});
  reloader_ = std::make_unique<Reloader>(
      *served_, *overrides_,
      Reloader::Start{
          .loaded = loaded_,
          .text = origin_.text,
          .file = origin_.file,
          .status = origin_.status,
          .state_directory = state_directory_,
          .file_config = file_config_,
          .observe =
              [this](bool is_good, const std::string& sentence) {
                events_.add(is_good ? control::EventName::config_applied
                                    : control::EventName::config_refused,
                            {}, sentence);
              },
          .observe_override =
              [this](bool is_set, const std::string& subject, const std::string& sentence) {
                events_.add(is_set ? control::EventName::override_set
                                   : control::EventName::override_cleared,
                            subject, sentence);
              }});
  loaded_ = {};
  reloader_now_.store(reloader_.get(), std::memory_order_release);
  if (origin_.status.note.empty()) return;
  log_error("config: {}", origin_.status.note);
  events_.add(control::EventName::config_fallback, {}, origin_.status.note);
}

void Daemon::reload(const std::string& by) {
  Reloader* const reloader = reloader_now_.load(std::memory_order_acquire);
  if (reloader == nullptr) return log_warn("reload by={}: the daemon is starting, or ending", by);
  control::AuditRecord record{
      .caller = {.name = by}, .from = "signal", .request = "reload", .before = running()};
  reloader->ask({.kind = Reloader::Request::Kind::reload, .by = by},
                [this, by, record](const auto& answer) mutable {
                  if (!answer.error.empty()) log_error("reload by={}: {}", by, answer.error);
                  record.done = answer.error.empty() && answer.plan.is_done();
                  record.reason = answer.error.empty() ? answer.plan.why_not() : answer.error;
                  record.after = running();
                  note_change(record);
                });
}

void Daemon::renew_volume(const std::string& volume,
                          std::function<void(const std::string& why)> done) {
  Reloader* const reloader = reloader_now_.load(std::memory_order_acquire);
  if (reloader == nullptr) return done("the daemon is starting, or ending");
  reloader->ask({.kind = Reloader::Request::Kind::renew_volume, .by = "a format", .volume = volume},
                [done = std::move(done)](const auto& answer) { done(answer.error); });
}

void Daemon::stop_reloader() {
  reloader_now_.store(nullptr, std::memory_order_release);
  if (reloader_) reloader_->stop();
}

ReloadStatus Daemon::reload_status() const {
  Reloader* const reloader = reloader_now_.load(std::memory_order_acquire);
  if (reloader != nullptr) return reloader->status();
  ReloadStatus now = origin_.status;
  if (overrides_) now.overrides = with_file_values(*file_config_, overrides_->all());
  return now;
}

std::vector<control::Route> Daemon::routes_of_reload() {
  const auto find = [this] { return reloader_now_.load(std::memory_order_acquire); };
  std::vector<control::Route> routes = reload_routes(find, audit());
  for (auto& route : override_routes(find, audit())) routes.push_back(std::move(route));
  return routes;
}

void Daemon::look_at_retired_volumes() {
  nvmf_->forget_removed_namespaces();
  retired_volumes_->look();
}

void Daemon::look_at_writes() {
  const engine::Instant now = clock_.now();
  for (const auto& [name, volume] : volumes_) {
    write_times_.look(name, volume->counts().writes.count(), now);
  }
}

std::optional<engine::Duration> Daemon::since_last_write(const std::string& volume) {
  const auto found = volumes_.find(volume);
  if (found == volumes_.end()) return std::nullopt;
  const engine::Instant now = clock_.now();
  write_times_.look(volume, found->second->counts().writes.count(), now);
  return write_times_.since_last(volume, now);
}

void Daemon::take_config(const LoadedConfig& loaded) {
  const config::Config& config = *loaded.config;
  if (config.log_level != config_.log_level) set_log_level(log_level(config.log_level));
  const bool has_other_metrics = has_other_port(config_.metrics, config.metrics);
  config_ = config;
  apply_access_states();
  choose_stages();
  tasks_->set_scrub_rate(config_.scrub.rate.value.value);
  remote_->take(config_.control, loaded.secrets->control_identity());
  if (!has_other_metrics) return;
  metrics_port_.reset();
  open_metrics();
}

void Daemon::run_on_control(const std::function<void()>& task) {
  std::promise<void> done;
  control_->post([&] {
    task();
    done.set_value();
  });
  done.get_future().wait();
}

}  // namespace target
