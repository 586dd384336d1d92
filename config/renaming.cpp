#include "config/renaming.h"

#include <utility>

namespace config {
namespace {

void rename_in(std::map<std::uint32_t, Export>& exports,
               const std::map<std::string, std::string>& names) {
  for (auto& [number, exported] : exports) {
    const auto name = names.find(exported.volume.value);
    if (name != names.end()) exported.volume.value = name->second;
  }
}

}  // namespace

std::map<std::string, std::string> renamed_volumes(const Config& before, const Config& after) {
  std::map<std::string, std::string> names;
  const auto is_other = [&](const std::string& from, const std::string& to) {
    return before.volumes.contains(from) && !before.volumes.contains(to) &&
           after.volumes.contains(to) && !after.volumes.contains(from);
  };
  for (const auto& [name, volume] : after.volumes) {
    if (is_other(volume.was.value, name)) names.emplace(volume.was.value, name);
  }
  for (const auto& [name, volume] : before.volumes) {
    const std::string& was = volume.was.value;
    if (is_other(name, was) && after.volumes.at(was).was.value.empty()) names.emplace(name, was);
  }
  return names;
}

Config renamed(Config before, const std::map<std::string, std::string>& names) {
  for (const auto& [from, to] : names) {
    auto volume = before.volumes.extract(from);
    const bool goes_back = volume.mapped().was.value == to;
    volume.mapped().was = {.value = goes_back ? from : std::string(), .at = {}};
    volume.mapped().name = to;
    volume.key() = to;
    before.volumes.insert(std::move(volume));
  }
  for (auto& [nqn, subsystem] : before.subsystems) rename_in(subsystem.namespaces, names);
  for (auto& [iqn, target] : before.targets) rename_in(target.luns, names);
  if (!before.metrics) return before;
  for (auto& stage : before.metrics->stages) {
    const auto name = names.find(stage.value);
    if (name != names.end()) stage.value = name->second;
  }
  return before;
}

}  // namespace config
