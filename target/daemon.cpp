#include "target/daemon.h"

#include <fmt/format.h>
#include <malloc.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <map>
#include <system_error>

#include "config/transfer_memory.h"
#include "engine/media/uring_lane.h"
#include "target/applied_copy.h"
#include "target/control/status_page.h"
#include "target/nvmf/connection.h"
#include "target/process_limits.h"
#include "target/reactor/log.h"
#include "target/service_manager.h"
#include "target/tls/tls_stream.h"

namespace target {
namespace {

// SIGTERM is answered within 10 s; the rest is for closing what is left.
constexpr std::chrono::seconds stop_patience{8};
// Nobody waits for what a pool's thread is doing: it only should not be cut off needlessly.
constexpr std::chrono::seconds pool_stop_patience{3};
constexpr std::chrono::seconds event_patience{1};
// As in the configuration, which is to say the same afterwards.
constexpr engine::ByteCount size_granularity{4096};
constexpr engine::ByteCount largest_volume{std::uint64_t{1024} << 40};
// What is not open by then is late, and comes when it comes.
constexpr std::chrono::milliseconds pool_patience{1500};
constexpr std::chrono::seconds look_period{1};
constexpr std::chrono::milliseconds task_period{250};
constexpr std::chrono::seconds memory_period{5};
constexpr std::chrono::minutes health_period{10};
constexpr std::chrono::seconds stream_period{15};

bool has_pool_on_disk(const config::Config& config) {
  return std::any_of(config.pools.begin(), config.pools.end(), [](const auto& pool) {
    return pool.second.kind != config::Pool::Kind::memory;
  });
}

// All but the first are logged: that one is the caller's.
engine::Result<void, std::string> first_of(const std::vector<config::Message>& messages) {
  if (messages.empty()) return engine::success();
  for (std::size_t i = 1; i < messages.size(); ++i) log_error("{}", config::format(messages[i]));
  return config::format(messages.front());
}

}  // namespace

Daemon::Daemon(const config::Config& config, Origin origin)
    : origin_(std::move(origin)),
      config_(config),
      loaded_{.config = std::make_shared<const config::Config>(config), .secrets = nullptr},
      started_at_(clock_.now()),
      loaded_at_(std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch())
                     .count()),
      memory_(config_.memory.value, config::least_transfer_memory(config_)) {}

engine::Result<void, std::string> Daemon::start() {
  loaded_.secrets = std::make_shared<const Secrets>(config_, config::Severity::error);
  const Secrets& secrets = *loaded_.secrets;
  TRY(first_of(secrets.messages()));
  tls_keys_.replace(tls_key_ring(config_, secrets));
  state_directory_ = writable_state_directory();
  take_overrides();
  check_descriptor_limit();
  open_engine();
  smart_ = std::make_unique<SmartWatch>([this] { return engine_->pools(); });
  const HostObserver observe_hosts = [this](const HostChange& change) { note_host(change); };
  nvmf::TargetOptions of_nvmf = nvmf_options(config_, volumes_, secrets);
  of_nvmf.observe_hosts = observe_hosts;
  of_nvmf.generated_keys = &tls_keys_.generated();
  event_keeper_ = std::make_unique<EventKeeper>(state_directory_, clock_);
  of_nvmf.event_logs = event_keeper_.get();
  make_formatter();
  of_nvmf.formatter = formatter_.get();
  nvmf_ = std::make_unique<nvmf::NvmfTarget>(of_nvmf, clock_);
  event_keeper_->start();
  iscsi::TargetOptions of_iscsi = iscsi_options(config_, volumes_, secrets);
  of_iscsi.observe_hosts = observe_hosts;
  iscsi_ = std::make_unique<iscsi::IscsiTarget>(of_iscsi, clock_);
  TRY(start_reactors());
  make_listeners();
  log_notes();
  log_troubles();
  TRY(start_control());
  // Only now: a host that connects earlier would be told for good that its subsystem does not
  // exist.
  TRY(listen());
  choose_stages();
  open_metrics();
  control_->post([this, identity = loaded_.secrets->control_identity()] {
    remote_->take(config_.control, identity);
  });
  start_chores();
  log_info("serving node={} volumes={} subsystems={} targets={} listeners={} config={} hash={}",
           config_.node, config_.volumes.size(), config_.subsystems.size(), config_.targets.size(),
           config_.listeners.size(), config_.file, origin_.status.hash);
  events_.add(control::EventName::daemon_started, {},
              fmt::format("{} is served with {} volumes, configuration {}", config_.node,
                          config_.volumes.size(), origin_.status.hash));
  // Before anybody is told that it is ready: who is may change something at once.
  const std::size_t volumes = config_.volumes.size();
  start_reloader();
  service_manager::ready(fmt::format("serving {} volumes", volumes));
  return engine::success();
}

// Where volumes that have been online once are remembered by while their pool is late, and the
// configuration that was applied last.
std::string Daemon::writable_state_directory() const {
  std::string directory = state_directory();
  if (::access(directory.c_str(), W_OK) == 0) return directory;
  if (!has_pool_on_disk(config_)) return {};
  log_warn(
      "nothing is remembered of volumes, nor of the configuration, because {} cannot be written: "
      "{}; one whose pool is late at the next start will be shown without its identity. Set "
      "StateDirectory=forebay in the unit, or STATE_DIRECTORY",
      directory, std::generic_category().message(errno));
  return {};
}

void Daemon::check_descriptor_limit() const {
  std::uint64_t needed =
      64 + config_.volumes.size() * 2 + std::uint64_t{config_.reactors.count} * 16;
  for (const auto& [name, listener] : config_.listeners) needed += 1 + listener.max_connections;
  if (const auto problem = raise_descriptor_limit(needed)) log_warn("{}", *problem);
}

void Daemon::open_engine() {
  engine_ = engine::Engine::open(
      pool_specs(config_), volume_specs(config_),
      {.known_volumes_file =
           state_directory_.empty() ? std::string() : state_directory_ + "/known-volumes",
       .patience = pool_patience,
       .caches = cache_specs(config_),
       .memory = &memory_});
  volumes_ = block_volumes(*engine_, config_, clock_.now());
}

engine::Result<void, std::string> Daemon::start_reactors() {
  for (std::uint32_t i = 0; i < config_.reactors.count; ++i) {
    auto core = std::make_unique<Core>();
    ReactorOptions options;
    options.name = fmt::format("reactor {}", i);
    options.number = i;
    if (!config_.reactors.cpus.empty()) options.cpu = static_cast<int>(config_.reactors.cpus[i]);
    const auto make_lane =
        [this]() -> engine::Result<std::unique_ptr<engine::IoLane>, std::string> {
      engine::UringLane::Options lane_options;
      lane_options.backings =
          std::max<std::uint32_t>(1, static_cast<std::uint32_t>(config_.pools.size()));
      auto lane = engine::UringLane::create(memory_, lane_options);
      if (!lane) return lane.error().text;
      return std::unique_ptr<engine::IoLane>(std::move(lane.value()));
    };
    core->reactor = std::make_unique<Reactor>(options, make_lane, clock_);
    TRY(core->reactor->start());
    core->connections = std::make_unique<ConnectionRegistry>(*core->reactor, memory_, counters_);
    cores_.push_back(std::move(core));
  }
  retired_volumes_ = std::make_unique<RetiredVolumes>(*engine_, cores_.size(),
                                                      [this](const std::function<void()>& task) {
                                                        for (const auto& core : cores_)
                                                          core->reactor->post(task);
                                                      });
  return engine::success();
}

void Daemon::make_listeners() {
  for (const auto& [name, listener] : loaded_.config->listeners) {
    listeners_.push_back(make_listener(loaded_.config, listener));
  }
  apply_access_states();
}

std::unique_ptr<Listener> Daemon::make_listener(const std::shared_ptr<const config::Config>& config,
                                                const config::Listener& listener) {
  std::vector<Reactor*> reactors;
  for (const auto& core : cores_) reactors.push_back(core->reactor.get());
  ListenerOptions options;
  options.name = listener.name;
  options.address = listener.address.value.text;
  options.port = listener.port.value;
  options.max_connections = listener.max_connections;
  options.tell_waiting = [config, &listener](const std::string& reason) {
    log_warn("{}", listener_trouble(*config, listener, reason));
  };
  const bool is_iscsi = listener.protocol == config::Protocol::iscsi;
  return std::make_unique<Listener>(options, std::move(reactors),
                                    is_iscsi ? serve_iscsi(listener) : serve_nvmf(listener));
}

ConnectionRegistry& Daemon::connections_of(const Reactor& reactor) {
  const auto core =
      std::ranges::find_if(cores_, [&](const auto& one) { return one->reactor.get() == &reactor; });
  return *(*core)->connections;
}

Listener::Serve Daemon::serve_nvmf(const config::Listener& listener) {
  const auto make_session = [this](nvmf::CommandPort& port) { return nvmf_->make_session(port); };
  return [this, make_session, options = nvmf_connection_options(listener),
          door = tls_door(listener, tls_keys_, tls_counters_, [this](const HostChange& change) {
            note_host(change);
          })](Reactor& reactor, std::unique_ptr<ByteStream> stream) {
    if (door != nullptr) {
      stream = std::make_unique<tls::TlsStream>(reactor, std::move(stream), door);
    }
    nvmf::Connection::open(connections_of(reactor), std::move(stream), options, make_session);
  };
}

Listener::Serve Daemon::serve_iscsi(const config::Listener& listener) {
  return [this, options = iscsi_connection_options(listener)](Reactor& reactor,
                                                              std::unique_ptr<ByteStream> stream) {
    iscsi_->serve(connections_of(reactor), std::move(stream), options);
  };
}

engine::Result<void, std::string> Daemon::start_control() {
  const std::string group = config_.control.group ? config_.control.group->value : std::string();
  control::ControlRoutes routes;
  routes.audit = audit();
  routes.status = [this] { return to_json(status()); };
  routes.grow = [this](const std::string& volume, std::uint64_t size_bytes,
                       control::ControlRoutes::Done done) {
    if (size_bytes % size_granularity.value != 0) {
      return done("volume " + volume + ": the size must be a multiple of 4KiB");
    }
    if (size_bytes > largest_volume.value) {
      return done("volume " + volume + ": a volume has at most 1024TiB");
    }
    engine_->grow(volume, {size_bytes}, std::move(done));
  };
  routes.destroy = [this](const std::string& volume,
                          const control::ControlRoutes::Destruction& wanted,
                          control::ControlRoutes::DestroyDone done) {
    const auto uuid = engine::Uuid::parse(wanted.uuid);
    const engine::Uuid cache = engine::Uuid::parse(wanted.cache).value_or(engine::Uuid{});
    if (!uuid) return done("\"" + wanted.uuid + "\" is no UUID; status says which the volume has");
    if (!wanted.cache.empty() && cache.is_nil()) {
      return done("\"" + wanted.cache + "\" is no UUID; status says which the cache has");
    }
    engine_->destroy(volume, *uuid, cache, [volume, wanted, done = std::move(done)](auto did) {
      if (!did) return done(did.error());
      const engine::DestroyedVolume& destroyed = did.value();
      log_warn("volume={} uuid={} destroyed: its data is deleted{}{}", volume, wanted.uuid,
               destroyed.cache_text.empty() ? "" : "; ", destroyed.cache_text);
      done(control::ControlRoutes::Destroyed{.cache_text = destroyed.cache_text,
                                             .cache_freed_bytes = destroyed.cache_freed.value});
    });
  };
  routes.rename = [this](const std::string& volume, const std::string& uuid, const std::string& to,
                         control::ControlRoutes::Done done) {
    const auto known = engine::Uuid::parse(uuid);
    if (!known) return done("\"" + uuid + "\" is no UUID; status says which the volume has");
    engine_->rename(volume, *known, to, [volume, uuid, to, done = std::move(done)](auto did) {
      if (did) log_info("volume={} uuid={} renamed to={}", volume, uuid, to);
      done(std::move(did));
    });
  };
  routes.adopt = [this](const std::string& volume, const control::ControlRoutes::Adoption& wanted,
                        control::ControlRoutes::AdoptDone done) {
    if (wanted.block_size != 512 && wanted.block_size != 4096) {
      return done("blocks are of 512 or 4096 bytes");
    }
    const engine::Adoption adoption{.name = volume,
                                    .file = wanted.file,
                                    .block_size = {static_cast<std::uint32_t>(wanted.block_size)}};
    engine_->adopt(wanted.pool, adoption, [adoption, done = std::move(done)](auto did) {
      if (!did) return done(did.error());
      const engine::RetainedVolume& adopted = did.value();
      log_info("volume={} uuid={} adopted file={}", adopted.name, adopted.uuid.text(),
               adoption.file);
      done(control::ControlRoutes::Adopted{.uuid = adopted.uuid.text(),
                                           .size_bytes = adopted.size.value,
                                           .provisioning = engine::text(adopted.provisioning)});
    });
  };
  routes.add_member = [this](const std::string& pool,
                             const control::ControlRoutes::Newcomer& newcomer,
                             control::ControlRoutes::AddMemberDone done) {
    const std::string& disk = newcomer.disk;
    if (!disk.starts_with('/')) return done("\"" + disk + "\" is no path that begins with /");
    engine_->add_member(
        pool, disk, newcomer.overwrite, [pool, disk, done = std::move(done)](auto did) {
          if (!did) return done(did.error());
          const engine::GrownPool& grown = did.value();
          if (!grown.was_member) log_info("pool={} member={} added", pool, disk);
          done(control::ControlRoutes::GrownPool{.members = grown.members,
                                                 .was_member = grown.was_member,
                                                 .is_configured = grown.is_configured,
                                                 .free_bytes = grown.free.value});
        });
  };
  routes.asked = [this](const control::Caller& caller) { asking_ = caller.name; };
  routes.drain = [this](const std::string& volume, bool cancel, control::ControlRoutes::Done done) {
    if (cancel) return tasks_->cancel_drain(volume, asking_, std::move(done));
    begin_task(control::TaskKind::drain, volume, done);
  };
  routes.detach = [this](const std::string& volume, control::ControlRoutes::Done done) {
    begin_task(control::TaskKind::detach, volume, done);
  };
  routes.attach = [this](const std::string& volume, const std::string& device,
                         control::ControlRoutes::Done done) {
    engine_->attach_cache(volume, device, [volume, device, done = std::move(done)](auto did) {
      if (did) log_info("volume={} cache={} attached", volume, device);
      done(std::move(did));
    });
  };
  routes.retire = [this](const std::string& device, control::ControlRoutes::Done done) {
    begin_task(control::TaskKind::retire, device, done);
  };
  routes.give_up_lost = [this](const std::string& volume, control::ControlRoutes::Done done) {
    log_warn("volume={} what its cache has lost is given up", volume);
    engine_->give_up_lost(volume, std::move(done));
  };
  routes.protect = [this](const std::string& volume, bool on, control::ControlRoutes::Done done) {
    protect(volume, on, std::move(done));
  };
  routes.abandon = [this](const std::string& volume, const std::string& cache,
                          control::ControlRoutes::AbandonDone done) {
    const auto uuid = engine::Uuid::parse(cache);
    if (!uuid) return done("\"" + cache + "\" is no UUID; status says which cache is missing");
    engine_->abandon_cache(volume, *uuid, [volume, cache, done = std::move(done)](auto left) {
      if (!left) return done(left.error());
      log_warn("volume={} cache={} abandoned: the volume is now {}", volume, cache,
               left.value().text);
      done(control::ControlRoutes::Abandoned{left.value().text});
    });
  };
  std::vector<control::Route> all = control::api_routes(std::move(routes));
  for (auto& route : event_streams_.routes()) all.push_back(std::move(route));
  for (auto& route : routes_of_reload()) all.push_back(std::move(route));
  make_tasks();
  for (auto& route : Tasks::routes(tasks_.get(), audit())) all.push_back(std::move(route));
  for (auto& route :
       control::StatusPage::routes([this] { return status(); }, history_, control::Role::viewer)) {
    all.push_back(std::move(route));
  }
  remote_ = std::make_unique<RemoteControl>(
      state_directory_.empty() ? std::string() : state_directory_ + "/tokens", clock_,
      [this](const auto& subject, const auto& sentence) {
        note_refused_access(subject, sentence);
      });
  for (auto& route : remote_->token_routes(audit())) all.push_back(std::move(route));
  TRY(control_, control::ControlServer::start(config_.control.socket.value, group, all));
  remote_->serve(*control_, std::move(all));
  control_->post([this] {
    tasks_->set_scrub_rate(config_.scrub.rate.value.value);
    tasks_->open();
  });
  events_.on_added([this] { tell_event_streams(); });
  engine_->observe(this);
  for (const engine::Volume* volume : engine_->volumes()) note_volume(*volume);
  // Whatever has come since the hosts' side was made.
  volumes_changed_.store(true, std::memory_order_release);
  control_->post([this] { refresh_changed_volumes(); });
  return engine::success();
}

void Daemon::make_tasks() {
  tasks_ = std::make_unique<Tasks>(Tasks::Uses{
      .clock = clock_,
      .engine = *engine_,
      .volumes = volumes_,
      .events = events_,
      // The last one: the first connections are on the first.
      .reactor = [this]() -> Reactor& { return *cores_.back()->reactor; },
      .post = [this](std::function<void()> task) { control_->post(std::move(task)); },
      .drain_begun = [this](const auto& volume, const auto& by) { drain_begun(volume, by); },
      .drain_cancelled = [this](const auto& volume,
                                const auto& by) { drain_cancelled(volume, by); }});
}

void Daemon::begin_task(control::TaskKind kind, const std::string& object,
                        const control::ControlRoutes::Done& done) {
  tasks_->begin({.kind = kind, .object = object, .by = asking_}, [done](const auto& begun) {
    if (!begun) return done(begun.error());
    done(engine::success());
  });
}

void Daemon::start_chores() {
  control_->every(task_period, [this] { tasks_->look(); });
  control_->every(look_period, [this] {
    look_at_overload();
    look_at_writes();
    formatter_->look();
    announce_listeners();
    log_troubles();
    note_caches();
    note_lost_blocks();
    note_listeners();
    follow_drains();
    forget_what_is_gone();
    look_at_retired_volumes();
    note_certificate();
    remote_->end_revoked();
  });
  control_->every(health_period, [this] { nvmf_->remember_health(); });
  control_->every(control::History::period, [this] { remember_figures(); });
  control_->every(stream_period, [this] { event_streams_.keep_alive(); });
  control_->every(memory_period, [this] { give_back_memory(); });
  if (const auto period = service_manager::watchdog_period(); period.count() > 0) {
    control_->every(period, [this] { answer_watchdog(); });
  }
}

engine::Result<void, std::string> Daemon::listen() {
  for (const auto& listener : listeners_) {
    if (auto opened = listener->open(); !opened) {
      return listener_trouble(config_, config_.listeners.at(listener->options().name),
                              opened.error().text);
    }
  }
  return engine::success();
}

void Daemon::log_notes() const {
  for (const auto& pool : engine_->pools()) {
    if (!pool.note.empty()) log_warn("pool={} {}", pool.name, pool.note);
  }
  for (const auto& cache : engine_->caches()) {
    if (!cache.open) continue;
    log_info("cache={} uuid={} media=\"{}\"", cache.name, cache.uuid.text(),
             cache.guarantee.text());
    if (!cache.note.empty()) log_warn("cache={} {}", cache.name, cache.note);
  }
}

void Daemon::log_troubles() {
  std::vector<std::string> lines;
  for (const auto& finding : engine_->findings()) {
    lines.push_back(config::format(trouble_of(config_, finding, config::Severity::error)));
  }
  auto pools = engine_->pools();
  smart_->add_troubles(pools);
  for (const auto& finding : smart_->findings(pools)) {
    lines.push_back(config::format(trouble_of(config_, finding, config::Severity::error)));
  }
  for (const std::string& line : troubles_.news(std::move(lines))) log_warn("{}", line);
  note_pools(pools);
  for (const auto& pool : pools) {
    if (pool.filling) {
      filling_.insert(pool.name);
    } else if (filling_.erase(pool.name) != 0) {
      log_info("pool={} less than {}% of its file system is used again", pool.name,
               pool.warn_at.value_or(0));
    }
    for (const auto& disk : ailing_.well_again(pool)) {
      log_info("pool={} disk {} is well again", pool.name, disk);
      events_.add(control::EventName::disk_well, disk, fmt::format("of pool {}", pool.name));
    }
  }
}

void Daemon::volume_changed(engine::Volume& volume) noexcept {
  const engine::VolumeCondition now = volume.condition();
  const bool told_as_trouble =
      now.state == engine::VolumeState::late || now.state == engine::VolumeState::refused;
  if (!told_as_trouble) {
    const bool is_online = now.state == engine::VolumeState::online;
    const std::string& more = is_online ? now.promise.note : now.reason;
    const std::string line = fmt::format("volume={} {}{}{}", volume.identity().name,
                                         text(now.state), more.empty() ? "" : ": ", more);
    if (is_online && more.empty()) {
      log_info("{}", line);
    } else {
      log_warn("{}", line);
    }
  }
  note_volume(volume);
  // The hosts are told now, not at the next look: their I/O must agree with what they hear.
  volumes_changed_.store(true, std::memory_order_release);
  control_->post([this] { refresh_changed_volumes(); });
}

void Daemon::refresh_changed_volumes() {
  if (!volumes_changed_.exchange(false, std::memory_order_acq_rel)) return;
  nvmf_->refresh_volumes();
  iscsi_->refresh_volumes();
  formatter_->look();
}

void Daemon::announce_listeners() {
  for (const auto& listener : listeners_) {
    const std::string& name = listener->options().name;
    const bool can_listen = listener->status().state != ListenerState::waiting;
    if (config_.listeners.at(name).protocol == config::Protocol::iscsi) {
      iscsi_->announce_listener(name, can_listen);
    } else {
      nvmf_->announce_listener(name, can_listen);
    }
  }
}

void Daemon::answer_watchdog() {
  const bool all_alive = std::all_of(cores_.begin(), cores_.end(),
                                     [](const auto& core) { return core->alive.load(); });
  if (!all_alive) return;  // a reactor that has not run since the last question is stuck
  service_manager::alive();
  for (const auto& core : cores_) {
    core->alive = false;
    core->reactor->post([&core = *core] { core.alive = true; });
  }
}

// After a busy hour, or an attack, the process becomes as small again as it was.
void Daemon::give_back_memory() {
  for (const auto& core : cores_) {
    core->reactor->post([&core = *core] { core.reactor->lane().buffers().trim(); });
  }
  const std::uint64_t used = memory_.used().value;
  const std::uint64_t closed = counters_.sum(&ConnectionCounters::closed);
  if (used >= memory_used_ && closed == connections_closed_) {
    memory_used_ = used;
    return;
  }
  memory_used_ = used;
  connections_closed_ = closed;
  ::malloc_trim(0);
}

bool Daemon::stop() {
  service_manager::stopping();
  stop_reloader();
  events_.add(control::EventName::daemon_stopping, {}, "it has been told to end");
  if (control_) {
    control_->post([this] {
      tasks_->stop();
      formatter_->stop();
      retired_volumes_->stop();
    });
  }
  for (const auto& listener : listeners_) listener->close();
  if (nvmf_) nvmf_->end_associations(EndReason::stopping);
  if (iscsi_) iscsi_->end_sessions();
  for (const auto& core : cores_) {
    // Those that have no association or session yet. Initiators have been asked to log out, and
    // have a while to do so.
    core->reactor->post([&core = *core] {
      core.connections->end(EndReason::stopping, [](const PduConnection& connection) {
        return !connection.ends_by_itself();
      });
    });
  }
  bool clean = true;
  const engine::Instant deadline = clock_.now() + stop_patience;
  for (const auto& core : cores_) {
    const auto left =
        std::max(deadline - clock_.now(), engine::Duration(std::chrono::milliseconds(100)));
    if (core->reactor->stop(left)) continue;
    clean = false;
    log_warn("reactor={} a disk did not answer in time; ending anyway: what was answered is safe",
             core->reactor->options().name);
  }
  if (event_keeper_ && !event_keeper_->finish(event_patience)) {
    clean = false;
    log_warn("{} does not answer; ending anyway: the last events of NVMe subsystems are not kept",
             state_directory_);
  }
  // The caches are ended when nothing is written to them any more.
  if (!clean) return false;
  // Before the control thread, which the pools' threads tell of changes.
  const auto left =
      std::clamp(deadline - clock_.now(), engine::Duration(std::chrono::milliseconds(200)),
                 engine::Duration(pool_stop_patience));
  if (engine_ && !engine_->stop(left)) {
    clean = false;
    log_warn("a pool's disk did not answer in time; ending anyway: what was answered is safe");
  }
  if (!clean) return false;
  metrics_port_.reset();
  if (remote_) remote_->finish();
  // What its thread is at may be an event, which is told by way of control_.
  if (control_) control_->stop();
  streams_told_ = true;
  control_.reset();
  listeners_.clear();
  for (const auto& core : cores_) core->connections.reset();
  log_info("stopped node={}", config_.node);
  return true;
}

}  // namespace target
