#include "target/troubles.h"

#include <algorithm>
#include <utility>

namespace target {
namespace {

using About = engine::Finding::About;

// Where the key stands; where it is not written, the entry that it belongs to.
config::Position or_else(config::Position key, config::Position entry) {
  return key.line != 0 ? key : entry;
}

struct Place {
  config::Position at;
  std::string path;
};

// Of one that the file does not name: of all of them.
Place place_of_member(const config::Pool& pool, const std::string& member) {
  const std::string path = "pools." + pool.name + ".members";
  for (std::size_t at = 0; at < pool.members.size(); ++at) {
    if (pool.members[at].value != member) continue;
    return {or_else(pool.members[at].at, pool.at), path + "[" + std::to_string(at) + "]"};
  }
  const config::Position first =
      pool.members.empty() ? config::Position{} : pool.members.front().at;
  return {or_else(first, pool.at), path};
}

bool is_named_in(const config::Config& config, const engine::Finding& finding) {
  switch (finding.about) {
    case About::known_volumes:
      return true;
    case About::pool_directory:
    case About::pool_members:
    case About::pool_uuid:
    case About::pool_layout:
    case About::pool_chunk_size:
    case About::pool_provisioning:
    case About::pool_warn_at:
    case About::pool_disk:
      return config.pools.contains(finding.name);
    case About::cache_device:
    case About::cache_uuid:
    case About::cache_require:
    case About::cache_payload_crc:
    case About::memory:
      return config.cache_devices.contains(finding.name);
    case About::volume:
    case About::volume_size:
    case About::volume_block_size:
    case About::volume_guaranteed:
    case About::volume_maximum:
      return config.volumes.contains(finding.name);
  }
  return false;
}

Place place_of(const config::Config& config, const engine::Finding& finding) {
  const std::string& name = finding.name;
  if (!is_named_in(config, finding)) return {};  // it is just being added, or removed
  const auto pool = [&]() -> const config::Pool& { return config.pools.at(name); };
  const auto volume = [&]() -> const config::Volume& { return config.volumes.at(name); };
  const auto device = [&]() -> const config::CacheDevice& { return config.cache_devices.at(name); };
  const auto share = [&](auto member) {
    const auto& cache = volume().cache;
    if (!cache) return volume().at;
    return (*cache).*member ? ((*cache).*member)->at : cache->at;
  };
  switch (finding.about) {
    case About::known_volumes:
      break;
    case About::pool_directory:
      // Of a pool whose disk has not answered, whatever its kind.
      if (pool().kind == config::Pool::Kind::device) return place_of_member(pool(), {});
      return {or_else(pool().directory.at, pool().at), "pools." + name + ".directory"};
    case About::pool_disk: {
      const bool is_device = pool().kind == config::Pool::Kind::device;
      return {pool().at, "pools." + name + (is_device ? ".members" : ".directory")};
    }
    case About::pool_uuid:
      return {pool().uuid ? pool().uuid->at : pool().at, "pools." + name + ".uuid"};
    case About::pool_members:
      return place_of_member(pool(), finding.member);
    case About::pool_layout:
      return {or_else(pool().layout.at, pool().at), "pools." + name + ".layout"};
    case About::pool_chunk_size:
      return {pool().chunk_size ? pool().chunk_size->at : pool().at,
              "pools." + name + ".chunk_size"};
    case About::pool_provisioning:
      return {or_else(pool().provisioning.at, pool().at), "pools." + name + ".provisioning"};
    case About::pool_warn_at:
      return {pool().warn_at ? or_else(pool().warn_at->at, pool().at) : pool().at,
              "pools." + name + ".warn_at"};
    case About::cache_device:
      return {or_else(device().path.at, device().at), "cache_devices." + name + ".path"};
    case About::cache_uuid:
      return {device().uuid ? device().uuid->at : device().at, "cache_devices." + name + ".uuid"};
    case About::cache_require:
      return {or_else(device().require.at, device().at), "cache_devices." + name + ".require"};
    case About::cache_payload_crc:
      return {device().payload_crc ? device().payload_crc->at : device().at,
              "cache_devices." + name + ".payload_crc"};
    case About::memory:
      return {or_else(config.memory.at, device().at), "memory"};
    case About::volume:
      return {volume().at, "volumes." + name};
    case About::volume_size:
      return {or_else(volume().size.at, volume().at), "volumes." + name + ".size"};
    case About::volume_block_size:
      return {or_else(volume().block_size.at, volume().at), "volumes." + name + ".block_size"};
    case About::volume_guaranteed:
      return {share(&config::VolumeCache::guaranteed), "volumes." + name + ".cache.guaranteed"};
    case About::volume_maximum:
      return {share(&config::VolumeCache::maximum), "volumes." + name + ".cache.maximum"};
  }
  return {};
}

}  // namespace

config::Message trouble_of(const config::Config& config, const engine::Finding& finding,
                           config::Severity severity) {
  Place place = place_of(config, finding);
  return {.file = config.file,
          .at = place.at,
          .path = std::move(place.path),
          .text = finding.text,
          .severity = severity};
}

std::string listener_trouble(const config::Config& config, const config::Listener& listener,
                             const std::string& reason) {
  return config::format({.file = config.file,
                         .at = or_else(listener.address.at, listener.at),
                         .path = "listeners." + listener.name + ".address",
                         .text = reason,
                         .severity = config::Severity::error});
}

std::vector<std::string> TroubleLog::news(std::vector<std::string> lines) {
  std::vector<std::string> fresh;
  for (const std::string& line : lines) {
    if (!std::ranges::binary_search(told_, line)) fresh.push_back(line);
  }
  std::ranges::sort(lines);
  told_ = std::move(lines);
  return fresh;
}

}  // namespace target
