// From the checked configuration to what engine, listeners and the NVMe side are told.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "config/config.h"
#include "engine/volume/engine.h"
#include "target/block/block_volume.h"
#include "target/nvmf/connection_options.h"
#include "target/nvmf/options.h"

namespace target {

// By name of the volume; they outlive the NVMe side.
using BlockVolumes = std::map<std::string, std::unique_ptr<block::BlockVolume>>;

[[nodiscard]] std::vector<engine::CacheSpec> cache_specs(const config::Config& config);
[[nodiscard]] std::vector<engine::PoolSpec> pool_specs(const config::Config& config);
[[nodiscard]] std::vector<engine::VolumeSpec> volume_specs(const config::Config& config);
[[nodiscard]] BlockVolumes block_volumes(engine::Engine& engine);
[[nodiscard]] nvmf::TargetOptions target_options(const config::Config& config,
                                                 const BlockVolumes& volumes);
[[nodiscard]] nvmf::ConnectionOptions connection_options(const config::Listener& listener);

}  // namespace target
