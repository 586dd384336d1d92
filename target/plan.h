// Plan: what a new configuration would change of what runs, and what connected hosts would see of
// it.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "config/config.h"
#include "config/diff.h"
#include "config/message.h"
#include "engine/volume/engine.h"
#include "target/access_states.h"
#include "target/iscsi/target_status.h"
#include "target/nvmf/target_status.h"
#include "target/overrides.h"

namespace target {

// What a change does, from the mildest on.
enum class Effect : std::uint8_t {
  live,                // nobody notices
  notified,            // hosts are told: asynchronous events, unit attentions
  drains,              // the cache's dirty data is written to the pool first
  reconnects,          // hosts lose their connection and come back by themselves
  needs_confirmation,  // a host that is connected would lose a disk
  refused,             // not while the daemon runs, or never
};
[[nodiscard]] const char* text(Effect effect);

// What runs at one moment; plain copies.
struct Running {
  struct Volume {
    engine::VolumeState state = engine::VolumeState::late;
    std::string reason{};  // why it is not online
    engine::ByteCount size{};
    engine::BlockSize block_size{};
    bool has_blocks_of_host = false;  // a host's format has set them, and not the configuration
    bool takes_other_blocks = false;  // where its hosts may format it
    std::optional<engine::VolumeCacheStatus> cache{};
    bool is_reserved = false;  // by some host
    std::uint64_t commands_in_flight = 0;
    // How long ago a host last wrote to it, to a second; nullopt: none has since it is served.
    std::optional<engine::Duration> since_last_write{};
  };

  std::string hash{};
  std::uint64_t applied_ms = 0;  // since 1970
  std::string applied_by{};
  nvmf::TargetStatus nvmf{};
  iscsi::TargetStatus iscsi{};
  std::vector<engine::PoolStatus> pools{};
  std::vector<engine::CacheStatus> caches{};
  std::map<std::string, Volume> volumes{};  // by name
  AccessStates access{};                    // what is said of listeners beside the file
};

// One line of the difference.
struct PlannedChange {
  config::Change change;
  Effect effect = Effect::live;
  std::string what{};               // "create 500GiB on pool fast (12.3 TiB free)"
  std::vector<std::string> more{};  // what else to know of it
};

// What one host that is connected sees of it.
struct HostEffect {
  // Events that reach it, each named as in the JSON form.
  struct Events {
    bool namespace_attributes = false;  // asynchronous event, NVMe
    bool discovery_log = false;         // the same, of its discovery controller
    bool ana = false;                   // the same: asymmetric namespace access changed
    bool luns_changed = false;          // unit attention 3Fh/0Eh, SCSI
    bool capacity_changed = false;      // 2Ah/09h
    bool inquiry_changed = false;       // 3Fh/03h
    bool mode_changed = false;          // 2Ah/01h
    bool access_changed = false;        // 2Ah/06h
    bool connections_end = false;       // some of them, or all
    [[nodiscard]] bool any() const {
      return namespace_attributes || discovery_log || ana || luns_changed || capacity_changed ||
             inquiry_changed || mode_changed || access_changed || connections_end;
    }
  };
  std::string name;      // in the configuration; of one that it does not name, the identity
  std::string identity;  // NQN or iSCSI name
  Effect effect = Effect::live;
  std::vector<std::string> sentences{};  // empty: not concerned
  std::string pause = "none";
  std::vector<std::string> lost_volumes{};  // that it has now and would not have any more
  // Whether they are in use, one sentence each; by whichever host.
  std::vector<std::string> uses{};
  Events events{};
};

// How a plan ends, and what forebayctl ends with.
enum class PlanResult : std::uint8_t {
  nothing_to_do = 0,
  refused = 1,
  changes = 2,
  needs_confirmation = 3,
};
[[nodiscard]] const char* text(PlanResult result);

struct Plan {
  std::string file{};
  std::string file_hash{};
  std::string running_hash{};
  std::uint64_t applied_ms = 0;
  std::string applied_by{};
  std::vector<PlannedChange> changes{};
  std::vector<HostEffect> hosts{};          // all that are connected
  std::vector<config::Message> refusals{};  // errors, by line: each alone stops it
  std::vector<config::Message> warnings{};
  std::vector<std::string> unconfirmed{};  // hosts that would lose a disk and were not named
  // What is in force beside the file, and stays so; or goes with this plan.
  std::vector<Override> overrides{};
  bool drops_overrides = false;
  // Names all of it but for what changes by itself (free space, hosts' traffic).
  std::string hash{};

  // What has become of it, when it was to be carried out.
  enum class Outcome : std::uint8_t { planned, applied, failed };
  Outcome outcome = Outcome::planned;
  std::string failure{};         // failed: why, and what is left of it
  std::uint64_t confirm_ms = 0;  // applied: it is taken back unless it is confirmed within that

  [[nodiscard]] PlanResult result() const;
  // What was said of listeners goes with it: a change, though the file's is none.
  [[nodiscard]] bool drops_access() const;
  // It was to be carried out: what runs is what the file says now.
  [[nodiscard]] bool is_done() const;
  // Why not; one line.
  [[nodiscard]] std::string why_not() const;
};

struct PlanRequest {
  std::string hash{};
  // What the file's own reading, its secrets, and a look at its pools, caches and addresses have to
  // say. Errors among them are refusals.
  std::vector<config::Message> messages{};
  // Secrets whose content is not what it was when they were last read.
  std::set<config::SecretRef> rotated{};
  // Hosts that may lose disks: names of the configuration, NQNs or iSCSI names.
  std::vector<std::string> disconnect{};
  // What is said of listeners, afterwards.
  AccessStates access{};
};

// Pure: looks at nothing but its arguments. `before` is what runs.
[[nodiscard]] Plan make_plan(const config::Config& before, const config::Config& after,
                             const Running& running, const PlanRequest& request);

// For Plan::hash, of all that it has otherwise.
[[nodiscard]] std::string plan_hash(const Plan& plan);

// As `forebayctl plan` prints it: 80 columns, where names allow that.
[[nodiscard]] std::string screen(const Plan& plan);
// One JSON object.
[[nodiscard]] std::string to_json(const Plan& plan);

// The effect of each key by itself, whatever hosts there are; nullopt: the key is unknown, or its
// effect is that of its values.
struct KeyRule {
  Effect effect = Effect::live;
  std::string_view reason{};  // refused: why, and what to do
};
[[nodiscard]] std::optional<KeyRule> rule_of(config::Part part, std::string_view key);

}  // namespace target
