// From the checked configuration to what engine, listeners and both protocols are told.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "config/config.h"
#include "engine/volume/engine.h"
#include "target/block/block_volume.h"
#include "target/iscsi/connection_options.h"
#include "target/iscsi/options.h"
#include "target/nvmf/connection_options.h"
#include "target/nvmf/options.h"
#include "target/secrets.h"
#include "target/tls/door.h"
#include "target/tls/key_store.h"

namespace target {

// By name of the volume; they outlive both protocols.
using BlockVolumes = std::map<std::string, std::unique_ptr<block::BlockVolume>>;

[[nodiscard]] std::vector<engine::CacheSpec> cache_specs(const config::Config& config);
[[nodiscard]] std::vector<engine::PoolSpec> pool_specs(const config::Config& config);
[[nodiscard]] std::vector<engine::VolumeSpec> volume_specs(const config::Config& config);
[[nodiscard]] block::VolumeLimits volume_limits(const config::VolumeQos& qos);
[[nodiscard]] block::OverloadTimes overload_times(const config::VolumeOverload& overload);
// With its limits, which hold from `now` on.
[[nodiscard]] std::unique_ptr<block::BlockVolume> block_volume(engine::Volume& volume,
                                                               const config::Config& config,
                                                               engine::Instant now);
[[nodiscard]] BlockVolumes block_volumes(engine::Engine& engine, const config::Config& config,
                                         engine::Instant now);
// `secrets`, here and below, are those of `config`, all read.
[[nodiscard]] nvmf::TargetOptions nvmf_options(const config::Config& config,
                                               const BlockVolumes& volumes, const Secrets& secrets);
[[nodiscard]] nvmf::ConnectionOptions nvmf_connection_options(const config::Listener& listener);
// For status and log: a file's name without its folders, a credential's name.
[[nodiscard]] std::string tls_key_name(const config::SecretRef& ref);
// The TLS keys of all hosts. `secrets` are those of `config`, all read.
[[nodiscard]] std::shared_ptr<const tls::KeyRing> tls_key_ring(const config::Config& config,
                                                               const Secrets& secrets);
// nullptr: every connection of this listener is plain. `keys` and `counters` outlive it.
[[nodiscard]] std::shared_ptr<tls::Door> tls_door(const config::Listener& listener,
                                                  const tls::KeyStore& keys,
                                                  tls::TlsCounters& counters, HostObserver observe);
[[nodiscard]] iscsi::TargetOptions iscsi_options(const config::Config& config,
                                                 const BlockVolumes& volumes,
                                                 const Secrets& secrets);
[[nodiscard]] iscsi::ConnectionOptions iscsi_connection_options(const config::Listener& listener);

}  // namespace target
