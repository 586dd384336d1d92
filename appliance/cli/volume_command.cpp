#include "appliance/cli/volume_command.h"

#include <fmt/format.h>

#include <boost/json/object.hpp>

#include "appliance/cli/json_view.h"
#include "appliance/cli/progress.h"
#include "appliance/cli/request.h"
#include "appliance/cli/status_screen.h"
#include "config/values.h"

namespace cli {
namespace {

using Answer = engine::Result<boost::json::value, std::string>;

Answer ask_volume(const std::string& socket, const ChangeReport& report, const std::string& what,
                  const boost::json::object& how) {
  return ask(socket, "volumes", report.name(), what, how);
}

}  // namespace

int volume_grow(const std::string& socket, const ChangeReport& report, const std::string& size) {
  const auto bytes = config::parse_size(size);
  if (!bytes) return report.failed(bytes.error().text);
  const auto answer = ask_volume(socket, report, "grow", {{"size_bytes", bytes.value().value}});
  if (!answer) return report.failed(answer.error());
  return report.done(
      fmt::format("volume {0} is now {1}; its hosts have been told. Write size: {1} into the "
                  "configuration.\n",
                  report.name(), config::size_text(bytes.value())),
      answer.value());
}

int volume_destroy(const std::string& socket, const ChangeReport& report, const std::string& uuid,
                   const std::string& cache) {
  boost::json::object wanted{{"uuid", uuid}};
  if (!cache.empty()) wanted["cache"] = cache;
  const auto answer = ask_volume(socket, report, "destroy", wanted);
  if (!answer) return report.failed(answer.error());
  std::string said =
      fmt::format("volume {} ({}) is destroyed: its data is deleted.\n", report.name(), uuid);
  if (const std::string had = text(answer.value(), "cache_text"); !had.empty()) {
    said += fmt::format("{} Free again on the cache device: {}.\n", had,
                        size_text(number(answer.value(), "cache_freed_bytes")));
  }
  return report.done(said, answer.value());
}

int volume_rename(const std::string& socket, const ChangeReport& report, const std::string& to,
                  const std::string& uuid) {
  const auto answer = ask_volume(socket, report, "rename", {{"uuid", uuid}, {"to", to}});
  if (!answer) return report.failed(answer.error());
  return report.done(fmt::format("volume {0} ({1}) is called {2} now, with the same data. Name it "
                                 "so in the configuration.\n",
                                 report.name(), uuid, to),
                     answer.value());
}

int volume_adopt(const std::string& socket, const ChangeReport& report,
                 const AdoptOptions& options) {
  const auto answer = ask_volume(
      socket, report, "adopt",
      {{"pool", options.pool}, {"file", options.file}, {"block_size", options.block_size}});
  if (!answer) return report.failed(answer.error());
  const auto& volume = answer.value();
  const engine::ByteCount size{number(volume, "size_bytes")};
  return report.done(
      fmt::format("volume {} of pool {} is {} as it is: UUID {}, {}, blocks of {}. It is served "
                  "when the configuration names it, with size: {} or more.\n",
                  report.name(), options.pool, options.file, text(volume, "uuid"),
                  text(volume, "provisioning"), options.block_size, config::size_text(size)),
      volume);
}

int volume_drain(const std::string& socket, const ChangeReport& report) {
  const std::string& name = report.name();
  note_interrupt();
  const auto begun = ask_volume(socket, report, "drain", {{"cancel", false}});
  if (!begun) return report.failed(begun.error());
  const Watched watched =
      watch(socket, name, "cancels", report.for_scripts(), [&name](const auto& status) {
        const auto volume = find(status, "volumes", name);
        return volume.at("draining").as_bool() ? drain_text(volume) : std::string();
      });
  switch (watched.end) {
    case Watched::End::over:
      return report.done(
          fmt::format("volume {}: its pool has everything that was acknowledged when this began.\n",
                      name),
          begun.value());
    case Watched::End::interrupted: {
      const auto cancelled = ask_volume(socket, report, "drain", {{"cancel", true}});
      if (!cancelled) return report.failed(cancelled.error());
      return report.given_up(fmt::format(
          "volume {}: cancelled; what is left is written to its pool in its own time.\n", name));
    }
    case Watched::End::unknown:
      return report.failed(watched.error);
  }
  return report.failed(watched.error);
}

int volume_abandon(const std::string& socket, const ChangeReport& report,
                   const std::string& cache) {
  const auto answer = ask_volume(socket, report, "abandon", {{"cache", cache}});
  if (!answer) return report.failed(answer.error());
  return report.done(
      fmt::format("volume {}: what only cache {} had of it is lost, and it goes on without.\n"
                  "The volume is now {}\n",
                  report.name(), cache, text(answer.value(), "what_is_left")),
      answer.value());
}

int volume_give_up_lost(const std::string& socket, const ChangeReport& report) {
  const auto answer = ask_volume(socket, report, "give-up-lost", {});
  if (!answer) return report.failed(answer.error());
  return report.done(
      fmt::format("volume {}: write-back goes on without what cannot be read. forebayctl status "
                  "lists it; reads of it fail until it is written.\n",
                  report.name()),
      answer.value());
}

int volume_write_protection(const std::string& socket, const ChangeReport& report, bool on) {
  const auto answer = ask_volume(socket, report, "write-protection", {{"on", on}});
  if (!answer) return report.failed(answer.error());
  return report.done(
      on ? fmt::format("volume {}: hosts cannot write it, also after a restart, until a host or "
                       "forebayctl write-protection {} off takes that back.\n",
                       report.name(), report.name())
         : fmt::format("volume {}: hosts may write it.\n", report.name()),
      answer.value());
}

}  // namespace cli
