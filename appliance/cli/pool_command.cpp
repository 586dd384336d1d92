#include "appliance/cli/pool_command.h"

#include <fmt/format.h>

#include <cstdio>
#include <map>
#include <optional>

#include "config/values.h"
#include "engine/pool/device_pool.h"
#include "engine/pool/file_pool.h"
#include "engine/pool/member_probe.h"

namespace cli {
namespace {

using Layout = engine::format::MemberLayout;

int fail(const std::string& text) {
  fmt::print(stderr, "forebayctl: {}\n", text);
  return 1;
}

int init_directory(const PoolInit& wanted) {
  if (wanted.paths.size() != 1) {
    return fail(
        "a file pool is one directory; of disks say how they are used: --layout single, "
        "linear or stripe");
  }
  if (!wanted.chunk_size.empty() || !wanted.overwrite.empty()) {
    return fail("--chunk-size and --overwrite are for disks: say --layout, too");
  }
  const auto uuid = engine::init_file_pool(wanted.paths.front());
  if (!uuid) return fail(uuid.error().text);
  fmt::print("{} is now the pool {}\n", wanted.paths.front(), uuid.value().text());
  return 0;
}

std::optional<Layout> layout_of(const std::string& name) {
  static const std::map<std::string, Layout> layouts{
      {"single", Layout::single}, {"linear", Layout::linear}, {"stripe", Layout::stripe}};
  const auto found = layouts.find(name);
  if (found == layouts.end()) return std::nullopt;
  return found->second;
}

// What speaks against any of the disks is told of all of them at once.
bool may_be_taken(const PoolInit& wanted, std::vector<engine::MemberProbe>& probes) {
  bool all = true;
  for (const std::string& path : wanted.paths) {
    auto probe = engine::probe_member(path);
    const auto refused = probe ? engine::refusal(probe.value(), wanted.overwrite)
                               : std::optional(probe.error().text);
    if (refused) {
      (void)fail(*refused);
      all = false;
    } else {
      probes.push_back(std::move(probe.value()));
    }
  }
  return all;
}

int init_disks(const PoolInit& wanted) {
  engine::DevicePoolForm form;
  const auto layout = layout_of(wanted.layout);
  if (!layout) return fail("no layout \"" + wanted.layout + "\"; there are single, linear, stripe");
  form.layout = *layout;
  if (!wanted.chunk_size.empty()) {
    if (form.layout != Layout::stripe) return fail("--chunk-size is for --layout stripe");
    const auto chunk = config::parse_size(wanted.chunk_size);
    if (!chunk) return fail("--chunk-size: " + chunk.error().text);
    form.chunk = chunk.value();
  }
  std::vector<engine::MemberProbe> probes;
  if (!may_be_taken(wanted, probes)) return 1;
  for (const engine::MemberProbe& probe : probes) {
    const auto wiped = engine::wipe_member(probe.path, wanted.overwrite);
    if (!wiped) return fail(wiped.error().text);
  }
  engine::InitPermission permission;
  for (const std::string& named : wanted.overwrite) {
    if (const auto pool = engine::Uuid::parse(named)) permission.pools.push_back(*pool);
  }
  std::vector<engine::MemberCandidate> disks;
  for (const engine::MemberProbe& probe : probes) {
    disks.push_back({.path = probe.path,
                     .opened = engine::open_pool_member(probe.path, probe.identity.serial)});
  }
  const auto uuid = engine::init_device_pool(std::move(disks), form, permission);
  if (!uuid) return fail(uuid.error().text);
  fmt::print("{} {} now the pool {} ({})\n", fmt::join(wanted.paths, ", "),
             wanted.paths.size() == 1 ? "is" : "are", uuid.value().text(), wanted.layout);
  return 0;
}

}  // namespace

int pool_init(const PoolInit& wanted) {
  return wanted.layout.empty() ? init_directory(wanted) : init_disks(wanted);
}

}  // namespace cli
