// Reconfiguration: from the configuration that is served to another one, as one transaction.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "config/diff.h"
#include "engine/foundation/result.h"
#include "target/exports.h"
#include "target/served.h"

namespace target {

// Pools, caches and volumes that are new come first, then what hosts see of them, then what goes,
// the other way round: hosts let go of a volume before it is removed. One thread, which may wait
// for disks; never the control thread.
class Reconfiguration {
 public:
  // All of them outlive it. `stopping`: set, nothing is waited for any more.
  Reconfiguration(Served& served, LoadedConfig from, LoadedConfig to,
                  const std::atomic<bool>& stopping);
  Reconfiguration(const Reconfiguration&) = delete;
  Reconfiguration& operator=(const Reconfiguration&) = delete;

  // With an error, a sentence for the operator, everything is as before, but for volumes that have
  // grown and what pools retain of new ones; what could not be undone is named in it. `keep`: when
  // all of it runs, brings it to where the next start looks; its error is one of the change.
  [[nodiscard]] engine::Result<void, std::string> carry_out(
      const std::function<engine::Result<void, std::string>()>& keep = {});

  using Outcome = engine::Result<void, std::string>;
  // Of what both configurations have, and what nobody can use: taken out of the engine and put in
  // again as its pool has it now, and everywhere in the place of what was there. With an error it
  // may be out, and is not served: to be tried again.
  [[nodiscard]] Outcome renew_volume(const std::string& name);

 private:
  struct Undo {
    std::string what;
    std::function<Outcome()> act;
  };

  Outcome run();
  [[nodiscard]] std::string go_back();

  Outcome rename_volumes();
  Outcome rename_volume(const std::string& from, const std::string& to);
  Outcome add_caches();
  Outcome add_pools();
  Outcome set_pool_spaces();
  Outcome add_volumes();
  Outcome set_volume_caches();
  Outcome change_what_hosts_see();
  Outcome grow_volumes();
  Outcome detach_volumes();
  Outcome remove_volumes();
  Outcome remove_pools();
  Outcome remove_caches();

  Outcome add_volume(const config::Config& config, const std::string& name);
  Outcome remove_volume(const std::string& name);
  // Control thread.
  void take_place(const std::string& name, engine::Volume& volume);
  [[nodiscard]] Exports exports_of(const LoadedConfig& side) const;
  Outcome switch_exports(const LoadedConfig& from, const LoadedConfig& to);
  Outcome switch_sockets(const LoadedConfig& from, const LoadedConfig& to);
  Outcome open_socket(const LoadedConfig& side, const std::string& name);
  void close_socket(const std::string& name);

  // Waits for what `begin` starts.
  Outcome await(const std::function<void(engine::Engine::Done)>& begin) const;
  // Waits until `reason` is empty, or nothing more is to be expected of waiting; then that.
  [[nodiscard]] std::string await_open(const std::function<std::string()>& reason) const;
  void can_undo(std::string what, std::function<Outcome()> act);
  // Calls `each` with the change of every entry of that part, until one fails.
  template <class What>
  Outcome for_each(config::Part part, const std::function<Outcome(const config::Change&)>& each);

  Served& served_;
  const LoadedConfig before_;
  const std::map<std::string, std::string> names_;  // of volumes: as they are, as `to_` has them
  const LoadedConfig from_;                         // `before_`, with the latter
  const LoadedConfig to_;
  const std::atomic<bool>& stopping_;
  const std::vector<config::Change> changes_;
  std::vector<Undo> undo_;
};

}  // namespace target
