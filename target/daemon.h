// Daemon: everything that serves one configuration, in the order it starts and stops.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "config/config.h"
#include "engine/foundation/clock.h"
#include "engine/media/buffer_pool.h"
#include "engine/volume/engine.h"
#include "target/assembly.h"
#include "target/control/control_server.h"
#include "target/control/status.h"
#include "target/iscsi/target.h"
#include "target/net/connection_registry.h"
#include "target/net/listener.h"
#include "target/nvmf/target.h"
#include "target/pool_disks.h"
#include "target/reactor/reactor.h"
#include "target/smart_watch.h"
#include "target/troubles.h"

namespace target {

// Main thread only, but for what runs on the control thread: status, the watchdog. No disk is
// touched on either from start() to stop(): pools have threads of their own.
class Daemon final : private engine::VolumeObserver {
 public:
  // `config_hash` names the file's content in status. Nothing happens before start().
  Daemon(config::Config config, std::string config_hash);
  Daemon(const Daemon&) = delete;
  Daemon& operator=(const Daemon&) = delete;
  ~Daemon() = default;

  // Opens pools and volumes, starts the threads and, when all of the configuration is loaded,
  // listens. The error is one line for the operator that says what to change; stop() must be called
  // in either case.
  [[nodiscard]] engine::Result<void, std::string> start();

  // Finishes what was accepted. False if a disk did not answer in time: the process must then end
  // without destructors, because the kernel may still write into its buffers, or a thread waits for
  // it. (Killing it hard is equally safe.)
  [[nodiscard]] bool stop();

 private:
  // One reactor with its connections, and whether it has answered the watchdog's last question.
  struct Core {
    std::unique_ptr<Reactor> reactor;
    std::unique_ptr<ConnectionRegistry> connections;
    std::atomic<bool> alive{true};
  };

  void volume_changed(engine::Volume& volume) noexcept override;

  void check_descriptor_limit() const;
  void open_engine();
  [[nodiscard]] engine::Result<void, std::string> start_reactors();
  void make_listeners();
  // What becomes of the connections that the listener accepts.
  [[nodiscard]] Listener::Serve serve_nvmf(const config::Listener& listener);
  [[nodiscard]] Listener::Serve serve_iscsi(const config::Listener& listener);
  // Any thread, once the reactors are started.
  [[nodiscard]] ConnectionRegistry& connections_of(const Reactor& reactor);
  [[nodiscard]] engine::Result<void, std::string> start_control();
  [[nodiscard]] engine::Result<void, std::string> listen();
  void start_chores();
  // Main thread before start_chores(), then control.
  void log_troubles();
  void log_notes() const;
  // Any thread, from listen() on.
  void announce_listeners();

  // Control thread.
  void refresh_changed_volumes();
  void answer_watchdog();
  void give_back_memory();
  [[nodiscard]] control::Status status() const;

  const config::Config config_;
  const std::string config_hash_;
  const engine::SystemClock clock_;
  const engine::Instant started_at_;
  ConnectionCounters counters_;

  // In this order: each may use those before it, and is destroyed before them.
  engine::MemoryBudget memory_;
  std::unique_ptr<engine::Engine> engine_;
  BlockVolumes volumes_;
  std::unique_ptr<nvmf::NvmfTarget> nvmf_;
  std::unique_ptr<iscsi::IscsiTarget> iscsi_;
  std::vector<std::unique_ptr<Core>> cores_;
  std::vector<std::unique_ptr<Listener>> listeners_;
  std::unique_ptr<SmartWatch> smart_;  // there when engine_ is
  std::unique_ptr<control::ControlServer> control_;
  std::atomic<bool> volumes_changed_{false};
  TroubleLog troubles_;
  std::set<std::string> filling_;  // pools, when last looked at
  AilingDisks ailing_;             // the same
  // At the last look; control thread.
  std::uint64_t memory_used_ = 0;
  std::uint64_t connections_closed_ = 0;
};

}  // namespace target
