#include "target/reloader.h"

#include <fmt/format.h>
#include <pthread.h>
#include <sys/stat.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <set>
#include <utility>

#include "config/parse.h"
#include "config/renaming.h"
#include "target/applied_copy.h"
#include "target/block/lba_formats.h"
#include "target/config_file.h"
#include "target/reactor/log.h"
#include "target/reconfiguration.h"
#include "target/service_manager.h"
#include "target/troubles.h"
#include "target/utc_text.h"

namespace target {
namespace {

using config::Part;
using Kind = Reloader::Request::Kind;

constexpr std::chrono::seconds inspect_patience{2};
constexpr std::chrono::seconds resume_patience{60};
constexpr std::chrono::milliseconds settle_period{100};

std::uint64_t now_ms() {
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(
                                        std::chrono::system_clock::now().time_since_epoch())
                                        .count());
}

config::ParseOutcome read(const Reloader::Request& request, std::string& text) {
  if (request.kind != Kind::reload) {
    text = request.text;
    return config::parse_text(text, request.file);
  }
  ConfigFile file = read_config_file(request.file);
  text = std::move(file.text);
  return std::move(file.outcome);
}

// Secrets that both configurations name and that are not what they were.
std::set<config::SecretRef> rotated(const Secrets& before, const Secrets& after) {
  std::set<config::SecretRef> changed;
  for (const auto& [ref, secret] : after.all()) {
    const auto old = before.all().find(ref);
    if (old != before.all().end() && old->second != secret) changed.insert(ref);
  }
  return changed;
}

}  // namespace

Reloader::Reloader(Served& served, Overrides& overrides, Start start)
    : served_(served),
      overrides_(overrides),
      state_directory_(std::move(start.state_directory)),
      file_(std::move(start.file)),
      observe_(std::move(start.observe)),
      observe_override_(std::move(start.observe_override)),
      loaded_(std::move(start.loaded)),
      text_(std::move(start.text)),
      file_config_(std::move(start.file_config)),
      status_(std::move(start.status)) {
  const Kept now = running();
  if (const auto kept = keep(now, now); !kept) log_warn("{}", kept.error());
  settle_overrides();
  thread_ = std::thread([this] { run(); });
  (void)pthread_setname_np(thread_.native_handle(), "reload");
}

void Reloader::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

ReloadStatus Reloader::status() const {
  auto overrides = overrides_.all();
  const std::lock_guard lock(mutex_);
  ReloadStatus now = status_;
  now.overrides = with_file_values(*file_config_, std::move(overrides));
  return now;
}

std::string Reloader::running_text() const {
  const std::lock_guard lock(mutex_);
  return text_;
}

void Reloader::keep_overrides() {
  {
    const std::lock_guard lock(mutex_);
    must_keep_overrides_ = true;
  }
  changed_.notify_all();
}

void Reloader::ask(Request request, Done done) {
  std::unique_lock lock(mutex_);
  if (stopping_ || waiting_.size() == most_waiting) {
    lock.unlock();
    return done({.error = stopping_ ? "the daemon is ending"
                                    : "other changes of the configuration are waiting for their "
                                      "turn; try again when they are through"});
  }
  waiting_.push_back({std::move(request), std::move(done)});
  changed_.notify_all();
}

// What it takes away must be there: a volume that is late knows nothing of its cache.
void Reloader::resume() {
  const auto deadline = Clock::now() + resume_patience;
  while (!stopping_ && !served_.engine.settle(settle_period) && Clock::now() < deadline) {
  }
  if (stopping_) return;
  Request request{.kind = Kind::reload, .by = "the start after a crash in a change"};
  (void)answer(request);
}

void Reloader::run() {
  if (status().resumes) resume();
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    lock.unlock();
    look_at_file();
    lock.lock();
    const auto is_due = [this] { return stopping_ || !waiting_.empty() || must_keep_overrides_; };
    auto next_look = Clock::now() + file_period;
    if (unconfirmed_) next_look = std::min(next_look, unconfirmed_->deadline);
    const bool is_asked = changed_.wait_until(lock, next_look, is_due);
    if (stopping_) break;
    if (std::exchange(must_keep_overrides_, false)) {
      lock.unlock();
      if (const std::string why = kept_overrides(); !why.empty()) log_warn("{}", why);
      lock.lock();
      continue;
    }
    if (!is_asked) {
      const bool is_over = unconfirmed_ && Clock::now() >= unconfirmed_->deadline;
      lock.unlock();
      if (is_over) take_back();
      lock.lock();
      continue;
    }
    Waiting next = std::move(waiting_.front());
    waiting_.pop_front();
    lock.unlock();
    next.done(answer(next.request));
    lock.lock();
  }
  for (auto& [request, done] : std::exchange(waiting_, {})) {
    lock.unlock();
    done({.error = "the daemon is ending"});
    lock.lock();
  }
}

// What the file's own system remembers of it is enough to know that it is the same.
void Reloader::look_at_file() {
  struct stat found {};
  FileMark mark;
  if (::stat(file_.c_str(), &found) == 0) {
    mark = {.inode = found.st_ino,
            .size = found.st_size,
            .changed_ns = found.st_ctim.tv_sec * 1'000'000'000 + found.st_ctim.tv_nsec};
  }
  if (mark == file_mark_) return;
  file_mark_ = mark;
  std::string hash;
  if (mark.size > 0 && mark.size <= static_cast<std::int64_t>(config::max_file_bytes)) {
    std::ifstream file(file_, std::ios::binary);
    const std::string now{std::istreambuf_iterator<char>(file), {}};
    if (!now.empty()) hash = content_hash(now);
  }
  const std::lock_guard lock(mutex_);
  status_.disk_hash = hash;
}

std::string Reloader::why_stale(const Request& request) const {
  const ReloadStatus now = status();
  if (request.if_match.empty() || request.if_match == "*" || request.if_match == now.hash) {
    return {};
  }
  return fmt::format(
      "nothing has changed: {} runs, which {} has applied at {}, and not {}, which this was for; "
      "look again: forebayctl plan FILE",
      now.hash, now.applied_by, utc_text(now.applied_ms), request.if_match);
}

Reloader::Answer Reloader::answer(Request& request) {
  if (std::string why = why_stale(request); !why.empty()) {
    return {.error = std::move(why), .is_stale = true};
  }
  switch (request.kind) {
    case Kind::plan:
      return {.plan = prepare(request).plan};
    case Kind::confirm:
      return confirm(request);
    case Kind::reload:
      request.file = file_;
      return apply(request);
    case Kind::apply:
      return apply(request);
    case Kind::set_mode:
      return set_mode(request);
    case Kind::set_access:
      return set_access(request);
    case Kind::clear_overrides:
      return clear_overrides(request);
    case Kind::renew_volume:
      return renew_volume(request);
  }
  return {};
}

Reloader::Answer Reloader::renew_volume(const Request& request) {
  const auto renewed =
      Reconfiguration(served_, loaded_, loaded_, stopping_).renew_volume(request.volume);
  return {.error = renewed ? std::string() : renewed.error()};
}

Reloader::Answer Reloader::confirm(const Request& request) {
  if (!unconfirmed_) return {.error = "nothing waits for a confirmation"};
  const Kept before{.copy = {.text = unconfirmed_->text,
                             .file = file_,
                             .applied_ms = unconfirmed_->status.applied_ms,
                             .by = unconfirmed_->status.applied_by},
                    .overrides = unconfirmed_->overrides.value_or(overrides_.all())};
  if (const auto kept = keep(running(), before); !kept) {
    return {.error = "it stays unconfirmed: " + kept.error()};
  }
  unconfirmed_.reset();
  {
    const std::lock_guard lock(mutex_);
    status_.note.clear();
  }
  settle_overrides();
  log_info("config={} confirmed by={}", status().hash, request.by);
  return {};
}

Reloader::Answer Reloader::apply(const Request& request) {
  if (unconfirmed_) {
    Plan plan{.file = request.file};
    plan.outcome = Plan::Outcome::failed;
    plan.failure =
        "the change before waits for its confirmation; forebayctl confirm, or wait until "
        "it is taken back";
    tell(request, plan);
    return {.plan = std::move(plan)};
  }
  service_manager::reloading();
  Prepared prepared = prepare(request);
  Plan& plan = prepared.plan;
  if (!request.if_plan.empty() && request.if_plan != plan.hash) {
    service_manager::ready(fmt::format("serving {}", status().hash));
    return {.error = fmt::format("nothing has changed: what the file would do now is plan {}, and "
                                 "not {}, which was to be applied; look again: forebayctl plan {}",
                                 plan.hash, request.if_plan, request.file),
            .is_stale = true};
  }
  const PlanResult result = plan.result();
  prepared.applied_ms = now_ms();
  const auto keep_new = [&] {
    return keep({.copy = {.text = prepared.text,
                          .file = file_,
                          .applied_ms = prepared.applied_ms,
                          .by = request.by},
                 .overrides = request.drop_overrides ? std::vector<Override>{} : overrides_.all()},
                running());
  };
  if (result == PlanResult::nothing_to_do) {
    // Its text may be another one nevertheless.
    if (const auto kept = keep_new(); !kept) {
      plan.outcome = Plan::Outcome::failed;
      plan.failure = kept.error();
    }
  }
  if (result == PlanResult::changes) {
    const LoadedConfig before = loaded_;
    Reconfiguration change(served_, loaded_, prepared.loaded, stopping_);
    auto done = mark(plan.file_hash);
    // One that waits for its confirmation is not kept: it would outlive a crash.
    if (done) {
      done = request.confirm_within.count() != 0 ? change.carry_out() : change.carry_out(keep_new);
      (void)mark({});
    }
    if (done) {
      plan.outcome = Plan::Outcome::applied;
      if (request.confirm_within.count() != 0) {
        plan.confirm_ms = static_cast<std::uint64_t>(request.confirm_within.count());
        unconfirmed_ = Unconfirmed{.loaded = before,
                                   .file_config = file_config_,
                                   .text = text_,
                                   .overrides = std::nullopt,
                                   .status = status(),
                                   .deadline = Clock::now() + request.confirm_within};
      }
    } else {
      plan.outcome = Plan::Outcome::failed;
      plan.failure = done.error();
    }
  }
  const bool is_same =
      result == PlanResult::nothing_to_do && plan.outcome == Plan::Outcome::planned;
  if (plan.outcome == Plan::Outcome::applied || is_same) {
    applied(prepared, request);
  }
  tell(request, plan);
  return {.plan = std::move(prepared.plan)};
}

void Reloader::applied(Prepared& prepared, const Request& request) {
  const Plan& plan = prepared.plan;
  // Also where nothing is to do: messages point into the new file then.
  if (plan.outcome != Plan::Outcome::applied) {
    served_.on_control([&] { served_.take_config(prepared.loaded); });
  }
  loaded_ = prepared.loaded;
  {
    const std::lock_guard lock(mutex_);
    text_ = std::move(prepared.text);
    file_config_ = prepared.file_config;
    status_.hash = plan.file_hash;
    status_.applied_ms = prepared.applied_ms;
    status_.applied_by = request.by;
    status_.is_copy = false;
    status_.note.clear();
    if (plan.confirm_ms != 0) {
      status_.note = fmt::format(
          "unconfirmed: {} is taken back {} s after it was applied, unless: "
          "forebayctl confirm",
          plan.file_hash, plan.confirm_ms / 1000);
    } else if (request.kind == Kind::apply && request.file != file_) {
      status_.note = fmt::format("applied from {}; the next start takes {}, make that the same",
                                 request.file, file_);
    }
  }
  if (plan.drops_overrides && !plan.overrides.empty()) {
    if (unconfirmed_) unconfirmed_->overrides = overrides_.all();
    drop_overrides(request.by);
  }
  if (unconfirmed_) return;
  settle_overrides();
}

void Reloader::take_back() {
  Unconfirmed before = std::move(*unconfirmed_);
  unconfirmed_.reset();
  service_manager::reloading();
  Request request{.kind = Kind::apply, .file = file_, .by = "nobody has confirmed"};
  const auto overrides = before.overrides.value_or(overrides_.all());
  before.loaded.config = overridden(before.file_config, overrides);
  const auto done = Reconfiguration(served_, loaded_, before.loaded, stopping_).carry_out();
  Plan plan{.file = file_, .file_hash = before.status.hash, .running_hash = status().hash};
  plan.outcome = done ? Plan::Outcome::applied : Plan::Outcome::failed;
  if (done) {
    loaded_ = before.loaded;
    overrides_.replace(overrides);
    follow_access();
    const std::lock_guard lock(mutex_);
    text_ = before.text;
    file_config_ = before.file_config;
    status_.hash = before.status.hash;
    status_.applied_ms = before.status.applied_ms;
    status_.applied_by = before.status.applied_by;
    status_.note = before.status.note;
  } else {
    plan.failure = "the change that nobody has confirmed could not be taken back: " + done.error();
    const std::lock_guard lock(mutex_);
    status_.note = plan.failure;
  }
  tell(request, plan);
}

engine::Result<void, std::string> Reloader::mark(const std::string& hash) {
  if (state_directory_.empty()) return engine::success();
  return mark_change(state_directory_, hash);
}

Reloader::Kept Reloader::running() const {
  const ReloadStatus now = status();
  return {.copy = {.text = running_text(),
                   .file = file_,
                   .applied_ms = now.applied_ms,
                   .by = now.applied_by},
          .overrides = overrides_.all()};
}

engine::Result<void, std::string> Reloader::keep(const Kept& wanted, const Kept& before) {
  TRY(write_down(wanted, before));
  served_.engine.keep_names();
  return engine::success();
}

engine::Result<void, std::string> Reloader::write_down(const Kept& wanted, const Kept& before) {
  if (state_directory_.empty()) return engine::success();
  const auto write = [this](const Kept& kept) -> engine::Result<void, std::string> {
    TRY(overrides_.keep(kept.overrides));
    return write_applied_copy(state_directory_, kept.copy);
  };
  auto written = write(wanted);
  if (written) return written;
  if (const auto again = write(before); !again) log_warn("{}", again.error());
  return written;
}

void Reloader::tell(const Request& request, const Plan& plan) {
  const bool is_applied = plan.outcome == Plan::Outcome::applied;
  const bool is_failed = plan.outcome == Plan::Outcome::failed;
  const std::string result = is_applied ? "applied" : is_failed ? "failed" : text(plan.result());
  const std::string reason = plan.why_not();
  {
    const std::lock_guard lock(mutex_);
    status_.last_ms = now_ms();
    status_.last_by = request.by;
    status_.last_result = result;
    status_.last_reason = reason;
  }
  const bool is_good = plan.is_done();
  if (is_good) {
    log_info("config={} {} by={} from={} before={} changes={}", plan.file_hash, result, request.by,
             plan.file, plan.running_hash, plan.changes.size());
  } else {
    log_error("config={} {} by={} from={}: nothing has changed: {}", plan.file_hash, result,
              request.by, plan.file, reason);
  }
  if (observe_) {
    observe_(is_good, fmt::format("{} from {} by {}: {}{}{}", plan.file_hash, plan.file, request.by,
                                  result, reason.empty() ? "" : ": ", reason));
  }
  const ReloadStatus now = status();
  service_manager::ready(
      is_good ? fmt::format("serving {}", now.hash)
              : fmt::format("serving {}; the last reload was {}: {}", now.hash, result, reason));
}

Reloader::Prepared Reloader::prepare(const Request& request) {
  Prepared prepared;
  auto outcome = read(request, prepared.text);
  PlanRequest wanted{.hash = content_hash(prepared.text),
                     .messages = std::move(outcome.messages),
                     .disconnect = request.disconnect};
  if (!request.drop_overrides) wanted.access = access_states(overrides_.all());
  if (!outcome.config) {
    const ReloadStatus now = status();
    prepared.plan = {.file = request.file,
                     .file_hash = wanted.hash,
                     .running_hash = now.hash,
                     .applied_ms = now.applied_ms,
                     .applied_by = now.applied_by,
                     .refusals = std::move(wanted.messages)};
    return prepared;
  }
  prepared.file_config = std::make_shared<const config::Config>(std::move(*outcome.config));
  const auto overrides = overrides_.all();
  prepared.loaded.config =
      request.drop_overrides ? prepared.file_config : overridden(prepared.file_config, overrides);
  const config::Config& after = *prepared.loaded.config;
  const auto secrets = std::make_shared<const Secrets>(after, config::Severity::error);
  wanted.messages.insert(wanted.messages.end(), secrets->messages().begin(),
                         secrets->messages().end());
  prepared.loaded.secrets = secrets;
  wanted.rotated = rotated(*loaded_.secrets, *secrets);
  inspect(after, wanted.messages);
  prepared.plan = make_plan(*loaded_.config, after, look(), wanted);
  prepared.plan.overrides = with_file_values(*prepared.file_config, overrides);
  prepared.plan.drops_overrides = request.drop_overrides;
  prepared.plan.hash = plan_hash(prepared.plan);
  return prepared;
}

Running Reloader::look() {
  Running running;
  const ReloadStatus now = status();
  running.hash = now.hash;
  running.applied_ms = now.applied_ms;
  running.applied_by = now.applied_by;
  running.access = access_states(now.overrides);
  served_.on_control([&] {
    running.nvmf = served_.nvmf.status();
    running.iscsi = served_.iscsi.status();
    running.pools = served_.engine.pools();
    running.caches = served_.engine.caches();
    for (const auto& [name, volume] : served_.volumes) {
      const engine::VolumeCondition condition = volume->volume().condition();
      const auto reservations = volume->reservations().report();
      running.volumes.emplace(
          name,
          Running::Volume{.state = condition.state,
                          .reason = condition.reason,
                          .size = condition.size * volume->volume().identity().block_size,
                          .block_size = volume->volume().identity().block_size,
                          .has_blocks_of_host = volume->volume().has_blocks_of_host(),
                          .takes_other_blocks = block::lba_formats_of(*volume, true).count > 1,
                          .cache = served_.engine.cache_of(name),
                          .is_reserved = reservations && reservations->type.has_value(),
                          .commands_in_flight = volume->counts().in_flight(),
                          .since_last_write = served_.since_last_write(name)});
    }
  });
  return running;
}

void Reloader::inspect(const config::Config& after, std::vector<config::Message>& messages) const {
  const config::Config before =
      config::renamed(*loaded_.config, config::renamed_volumes(*loaded_.config, after));
  std::set<std::string> pools;
  std::set<std::string> caches;
  std::set<std::string> volumes;
  std::vector<std::string> leaving;
  const auto changes = config::diff(before, after);
  const auto refuse = [&](const config::Change& change, std::string why) {
    if (why.empty()) return;
    messages.push_back({.file = after.file,
                        .at = std::holds_alternative<config::Removed>(change.what)
                                  ? config::Position{}
                                  : change.at,
                        .path = change.path,
                        .text = std::move(why),
                        .severity = config::Severity::error});
  };
  for (const auto& change : changes) {
    const bool is_gone = std::holds_alternative<config::Removed>(change.what);
    const bool is_new = std::holds_alternative<config::Added>(change.what);
    const std::string& name = change.subject.name;
    if (change.subject.part == Part::volume) {
      if (is_gone) leaving.push_back(name);
      // One that leaves its cache is judged by what runs: its pool still says that it has one.
      const bool leaves_cache =
          !is_gone && !is_new && before.volumes.at(name).cache && !after.volumes.at(name).cache;
      if (!is_gone && !leaves_cache) volumes.insert(name);
    }
    if (change.subject.part == Part::pool && is_new) pools.insert(name);
    if (change.subject.part == Part::cache_device && is_new) caches.insert(name);
  }
  for (const auto& change : changes) {
    const bool is_gone = std::holds_alternative<config::Removed>(change.what);
    const std::string& name = change.subject.name;
    if (change.subject.part == Part::pool && is_gone) {
      refuse(change, served_.engine.why_not_remove_pool(name, leaving));
    }
    if (change.subject.part == Part::cache_device && is_gone) {
      refuse(change, served_.engine.why_not_remove_cache(name, leaving));
    }
    if (change.subject.part == Part::pool && std::holds_alternative<config::Changed>(change.what)) {
      const auto specs = pool_specs(after);
      const auto spec = std::ranges::find(specs, name, &engine::PoolSpec::name);
      refuse(change, served_.engine.why_not_set_pool_space(name, *spec));
    }
    if (change.subject.part == Part::listener &&
        std::holds_alternative<config::Added>(change.what)) {
      const auto& listener = after.listeners.at(name);
      const auto probed = Listener::probe(
          {.name = name, .address = listener.address.value.text, .port = listener.port.value});
      if (!probed) refuse(change, probed.error().text + ".");
    }
  }
  if (pools.empty() && caches.empty() && volumes.empty()) return;
  const auto found = engine::Engine::inspect(
      pool_specs(after), volume_specs(after),
      {.patience = inspect_patience, .caches = cache_specs(after), .memory = nullptr});
  for (const engine::Finding& finding : found) {
    // Other troubles are not of this change.
    const std::string& name = finding.name;
    if (!pools.contains(name) && !caches.contains(name) && !volumes.contains(name)) continue;
    messages.push_back(trouble_of(after, finding, config::Severity::error));
  }
}

}  // namespace target
