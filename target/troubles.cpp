#include "target/troubles.h"

#include <algorithm>

namespace target {
namespace {

using About = engine::Finding::About;

// Where the key stands; where it is not written, the entry that it belongs to.
config::Position or_else(config::Position key, config::Position entry) {
  return key.line != 0 ? key : entry;
}

}  // namespace

config::Message trouble_of(const config::Config& config, const engine::Finding& finding,
                           config::Severity severity) {
  config::Message message{
      .file = config.file, .at = {}, .path = {}, .text = finding.text, .severity = severity};
  switch (finding.about) {
    case About::known_volumes:
      break;
    case About::pool_directory: {
      const config::Pool& pool = config.pools.at(finding.name);
      message.at = or_else(pool.directory.at, pool.at);
      message.path = "pools." + finding.name + ".directory";
      break;
    }
    case About::pool_uuid: {
      const config::Pool& pool = config.pools.at(finding.name);
      message.at = pool.uuid ? pool.uuid->at : pool.at;
      message.path = "pools." + finding.name + ".uuid";
      break;
    }
    case About::volume: {
      message.at = config.volumes.at(finding.name).at;
      message.path = "volumes." + finding.name;
      break;
    }
    case About::volume_size: {
      const config::Volume& volume = config.volumes.at(finding.name);
      message.at = or_else(volume.size.at, volume.at);
      message.path = "volumes." + finding.name + ".size";
      break;
    }
    case About::volume_block_size: {
      const config::Volume& volume = config.volumes.at(finding.name);
      message.at = or_else(volume.block_size.at, volume.at);
      message.path = "volumes." + finding.name + ".block_size";
      break;
    }
  }
  return message;
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
