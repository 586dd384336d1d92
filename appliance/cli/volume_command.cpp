#include "appliance/cli/volume_command.h"

#include <fmt/format.h>

#include <boost/json/object.hpp>
#include <cstdio>

#include "appliance/cli/control_client.h"
#include "appliance/cli/progress.h"
#include "appliance/cli/request.h"
#include "config/values.h"

namespace cli {
namespace {

bool ask_volume(const std::string& socket, const std::string& name, const std::string& what,
                const boost::json::object& how) {
  return ask(socket, "volumes", name, what, how);
}

}  // namespace

int volume_grow(const std::string& socket, const std::string& name, const std::string& size) {
  const auto bytes = config::parse_size(size);
  if (!bytes) {
    fmt::print(stderr, "forebayctl: {}\n", bytes.error().text);
    return 1;
  }
  if (!ask_volume(socket, name, "grow", {{"size_bytes", bytes.value().value}})) return 1;
  fmt::print(
      "volume {0} is now {1}; its hosts have been told. Write size: {1} into the configuration.\n",
      name, config::size_text(bytes.value()));
  return 0;
}

int volume_destroy(const std::string& socket, const std::string& name, const std::string& uuid) {
  if (!ask_volume(socket, name, "destroy", {{"uuid", uuid}})) return 1;
  fmt::print("volume {} ({}) is destroyed: its data is deleted.\n", name, uuid);
  return 0;
}

int volume_rename(const std::string& socket, const std::string& name, const std::string& to,
                  const std::string& uuid) {
  if (!ask_volume(socket, name, "rename", {{"uuid", uuid}, {"to", to}})) return 1;
  fmt::print(
      "volume {0} ({1}) is called {2} now, with the same data. Name it so in the configuration.\n",
      name, uuid, to);
  return 0;
}

int volume_adopt(const std::string& socket, const AdoptOptions& options) {
  const auto answer = answer_of(
      socket, "volumes", options.name, "adopt",
      {{"pool", options.pool}, {"file", options.file}, {"block_size", options.block_size}});
  if (!answer) return 1;
  const engine::ByteCount size{answer->at("size_bytes").to_number<std::uint64_t>()};
  fmt::print(
      "volume {} of pool {} is {} as it is: UUID {}, {}, blocks of {}. It is served when the "
      "configuration names it, with size: {} or more.\n",
      options.name, options.pool, options.file, std::string_view(answer->at("uuid").as_string()),
      std::string_view(answer->at("provisioning").as_string()), options.block_size,
      config::size_text(size));
  return 0;
}

int volume_mode(const std::string& socket, const std::string& name, const std::string& mode) {
  if (!ask_volume(socket, name, "mode", {{"mode", mode}})) return 1;
  fmt::print(
      "volume {0}: its cache is {1} until the daemon starts again. To keep it, write mode: {1} "
      "into the configuration.\n",
      name, mode);
  return 0;
}

int volume_drain(const std::string& socket, const std::string& name) {
  note_interrupt();
  if (!ask_volume(socket, name, "drain", {{"cancel", false}})) return 1;
  const Watched watched = watch(socket, name, "cancels", [&name](const auto& status) {
    const auto volume = find(status, "volumes", name);
    return volume.at("draining").as_bool() ? drain_text(volume) : std::string();
  });
  switch (watched.end) {
    case Watched::End::over:
      fmt::print("volume {}: its pool has everything that was acknowledged when this began.\n",
                 name);
      return 0;
    case Watched::End::interrupted:
      if (!ask_volume(socket, name, "drain", {{"cancel", true}})) return 1;
      fmt::print("volume {}: cancelled; what is left is written to its pool in its own time.\n",
                 name);
      return 1;
    case Watched::End::unknown:
      return 1;
  }
  return 1;
}

int volume_abandon(const std::string& socket, const std::string& name, const std::string& cache) {
  const auto answer = answer_of(socket, "volumes", name, "abandon", {{"cache", cache}});
  if (!answer) return 1;
  fmt::print("volume {}: what only cache {} had of it is lost, and it goes on without.\n", name,
             cache);
  fmt::print("The volume is now {}\n", std::string_view(answer->at("what_is_left").as_string()));
  return 0;
}

int volume_give_up_lost(const std::string& socket, const std::string& name) {
  if (!ask_volume(socket, name, "give-up-lost", {})) return 1;
  fmt::print(
      "volume {}: write-back goes on without what cannot be read. forebayctl status lists it; "
      "reads "
      "of it fail until it is written.\n",
      name);
  return 0;
}

}  // namespace cli
