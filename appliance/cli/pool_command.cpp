#include "appliance/cli/pool_command.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <cctype>
#include <filesystem>
#include <map>
#include <optional>
#include <string_view>

#include "appliance/cli/json_view.h"
#include "appliance/cli/request.h"
#include "config/values.h"
#include "engine/pool/device_pool.h"
#include "engine/pool/file_pool.h"
#include "engine/pool/member_probe.h"

namespace cli {
namespace {

using Layout = engine::format::MemberLayout;

int init_directory(const ChangeReport& report, const PoolInit& wanted) {
  if (wanted.paths.size() != 1) {
    return report.failed(
        "a file pool is one directory; of disks say how they are used: --layout single, "
        "linear or stripe");
  }
  if (!wanted.chunk_size.empty() || !wanted.overwrite.empty()) {
    return report.failed("--chunk-size and --overwrite are for disks: say --layout, too");
  }
  const auto uuid = engine::init_file_pool(wanted.paths.front());
  if (!uuid) return report.failed(uuid.error().text);
  return report.done(
      fmt::format("{} is now the pool {}\n", wanted.paths.front(), uuid.value().text()),
      boost::json::object{{"uuid", uuid.value().text()}});
}

std::optional<Layout> layout_of(const std::string& name) {
  static const std::map<std::string, Layout> layouts{
      {"single", Layout::single}, {"linear", Layout::linear}, {"stripe", Layout::stripe}};
  const auto found = layouts.find(name);
  if (found == layouts.end()) return std::nullopt;
  return found->second;
}

// What speaks against any of the disks is told of all of them at once; empty: nothing does.
std::string why_not_taken(const PoolInit& wanted, std::vector<engine::MemberProbe>& probes) {
  std::string why;
  for (const std::string& path : wanted.paths) {
    auto probe = engine::probe_member(path);
    const auto refused = probe ? engine::refusal(probe.value(), wanted.overwrite)
                               : std::optional(probe.error().text);
    if (refused) {
      why += (why.empty() ? "" : "\nforebayctl: ") + *refused;
    } else {
      probes.push_back(std::move(probe.value()));
    }
  }
  return why;
}

int init_disks(const ChangeReport& report, const PoolInit& wanted) {
  engine::DevicePoolForm form;
  const auto layout = layout_of(wanted.layout);
  if (!layout)
    return report.failed("no layout \"" + wanted.layout + "\"; there are single, linear, stripe");
  form.layout = *layout;
  if (!wanted.chunk_size.empty()) {
    if (form.layout != Layout::stripe) return report.failed("--chunk-size is for --layout stripe");
    const auto chunk = config::parse_size(wanted.chunk_size);
    if (!chunk) return report.failed("--chunk-size: " + chunk.error().text);
    form.chunk = chunk.value();
  }
  std::vector<engine::MemberProbe> probes;
  if (const std::string why = why_not_taken(wanted, probes); !why.empty()) {
    return report.failed(why);
  }
  for (const engine::MemberProbe& probe : probes) {
    const auto wiped = engine::wipe_member(probe.path, wanted.overwrite);
    if (!wiped) return report.failed(wiped.error().text);
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
  if (!uuid) return report.failed(uuid.error().text);
  return report.done(
      fmt::format("{} {} now the pool {} ({})\n", fmt::join(wanted.paths, ", "),
                  wanted.paths.size() == 1 ? "is" : "are", uuid.value().text(), wanted.layout),
      boost::json::object{{"uuid", uuid.value().text()}});
}

// As an element of a list in the configuration: in quotes where YAML would not take it as it is.
std::string list_element(const boost::json::string& path) {
  const auto is_plain = [](unsigned char c) {
    return std::isalnum(c) != 0 || std::string_view("/._-+@").find(char(c)) != std::string::npos;
  };
  if (std::ranges::all_of(path, is_plain)) return std::string(path.data(), path.size());
  return boost::json::serialize(path);
}

std::string members_line(const boost::json::array& members) {
  std::string line = "members: [";
  for (const auto& member : members) {
    line += (line.back() == '[' ? "" : ", ") + list_element(member.as_string());
  }
  return line + "]";
}

}  // namespace

int pool_add_member(const std::string& socket, const ChangeReport& report,
                    const PoolMemberOptions& wanted) {
  // The daemon stands in another directory.
  const std::string disk = std::filesystem::absolute(wanted.disk).lexically_normal().string();
  const auto answer =
      ask(socket, "pools", report.name(), "add-member",
          {{"disk", disk},
           {"overwrite", boost::json::array(wanted.overwrite.begin(), wanted.overwrite.end())}});
  if (!answer) return report.failed(answer.error());
  const auto& pool = answer.value();
  std::string said = fmt::format("{} {} a member of pool {}, which has {} free.\n", disk,
                                 flag(pool, "was_member") ? "was already" : "is now", report.name(),
                                 config::size_text({number(pool, "free_bytes")}));
  if (!flag(pool, "is_configured")) {
    said += fmt::format(
        "Write it into the configuration, or the pool misses it when the daemon starts again:\n"
        "    {}\n",
        members_line(list(pool, "members")));
  }
  return report.done(said, pool);
}

int pool_init(const ChangeReport& report, const PoolInit& wanted) {
  return wanted.layout.empty() ? init_directory(report, wanted) : init_disks(report, wanted);
}

}  // namespace cli
