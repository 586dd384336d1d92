// Served: what of the daemon a reconfiguration works on.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "config/config.h"
#include "engine/foundation/clock.h"
#include "engine/volume/engine.h"
#include "target/access_states.h"
#include "target/assembly.h"
#include "target/iscsi/target.h"
#include "target/net/listener.h"
#include "target/nvmf/target.h"
#include "target/retired_volumes.h"
#include "target/secrets.h"

namespace target {

using Listeners = std::vector<std::unique_ptr<Listener>>;

// A configuration with what it refers to.
struct LoadedConfig {
  std::shared_ptr<const config::Config> config;
  std::shared_ptr<const Secrets> secrets;  // all of them read
};

// Outlives whoever reconfigures. The maps, and both protocols' reconfiguration, belong to the
// control thread.
struct Served {
  const engine::Clock& clock;
  engine::Engine& engine;
  nvmf::NvmfTarget& nvmf;
  iscsi::IscsiTarget& iscsi;
  BlockVolumes& volumes;
  RetiredVolumes& retired;  // that are not served any more
  Listeners& listeners;
  tls::KeyStore& tls_keys;

  // Not open yet. Control thread.
  std::function<std::unique_ptr<Listener>(const std::shared_ptr<const config::Config>&,
                                          const config::Listener&)>
      make_listener;
  // How long ago a host last wrote to the volume, to a second; nullopt: none has since it is
  // served. Control thread.
  std::function<std::optional<engine::Duration>(const std::string& volume)> since_last_write;
  // What status and log compare with from now on. Control thread.
  std::function<void(const LoadedConfig&)> take_config;
  // What is said of how listeners are reached, from now on. Control thread.
  std::function<void(const AccessStates&)> take_access;
  // Any thread; `done` on any other.
  std::function<void(const std::string& volume, const std::string& by, engine::Engine::Done done)>
      cancel_drain;
  // Runs the task on the control thread and waits for it. Any other thread.
  std::function<void(const std::function<void()>&)> on_control;
};

}  // namespace target
