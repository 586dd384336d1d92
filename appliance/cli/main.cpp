// forebayctl: the operator's command line.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <string>
#include <thread>

#include "appliance/cli/cache_command.h"
#include "appliance/cli/change_report.h"
#include "appliance/cli/config_command.h"
#include "appliance/cli/control_client.h"
#include "appliance/cli/format_option.h"
#include "appliance/cli/override_command.h"
#include "appliance/cli/pool_command.h"
#include "appliance/cli/reports.h"
#include "appliance/cli/server_option.h"
#include "appliance/cli/status_screen.h"
#include "appliance/cli/task_command.h"
#include "appliance/cli/time_text.h"
#include "appliance/cli/token_command.h"
#include "appliance/cli/top.h"
#include "appliance/cli/volume_command.h"

namespace {

struct StatusOptions {
  std::string socket = cli::default_socket;
  cli::Format format = cli::Format::table;
  bool json = false;
  unsigned wait_seconds = 0;
};

// Between two looks, for what happens in a second.
constexpr std::chrono::milliseconds rate_time{500};

bool is_healthy(const boost::json::value& status) { return status.at("healthy").as_bool(); }

// Exit 0 healthy, 1 no answer, 2 degraded: scripts may ask.
int show_status(const StatusOptions& options) {
  const auto deadline =
      std::chrono::steady_clock::now() + std::chrono::seconds(options.wait_seconds);
  auto status = cli::get(options.socket, "/v1/status");
  while ((!status || !is_healthy(status.value())) && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    status = cli::get(options.socket, "/v1/status");
  }
  if (!status) {
    fmt::print(stderr, "forebayctl: {}\n", status.error());
    return 1;
  }
  const cli::Format format = options.json ? cli::Format::json : options.format;
  if (format == cli::Format::table) {
    const auto then = std::chrono::steady_clock::now();
    std::this_thread::sleep_for(rate_time);
    boost::json::value rates;
    if (const auto later = cli::get(options.socket, "/v1/status")) {
      const std::chrono::duration<double> time = std::chrono::steady_clock::now() - then;
      rates = cli::rates_between(status.value(), later.value(), time.count());
      status = later;
    }
    cli::print(cli::status_screen(status.value(), rates, cli::now_ms()));
  } else {
    cli::print(status.value(), format);
  }
  return is_healthy(status.value()) ? 0 : 2;
}

}  // namespace

// What nobody catches ends the process, and says so.
// NOLINTNEXTLINE(bugprone-exception-escape)
int main(int argc, char** argv) {
  CLI::App app("Controls a Forebay storage target.", "forebayctl");
  app.set_version_flag("--version", FOREBAY_VERSION);
  app.require_subcommand(1);
  const cli::ServerOptions server(app);

  StatusOptions status_options;
  auto* status = app.add_subcommand(
      "status", "One screen: healthy or not, and why (exit 0, or 2 when degraded)");
  status->add_option("--socket", status_options.socket, "The daemon's control socket")
      ->capture_default_str();
  cli::add_format(*status, status_options.format);
  status->add_flag("--json", status_options.json, "The same as -o json");
  status->add_option("--wait", status_options.wait_seconds,
                     "Wait up to so many seconds for it to be healthy");

  cli::PoolInit wanted_pool;
  auto* pool = app.add_subcommand("pool", "Pools of local disks")->require_subcommand(1);
  auto* init = pool->add_subcommand(
      "init", "Make a directory a file pool, or disks a device pool: write their labels");
  init->add_option("paths", wanted_pool.paths,
                   "An empty directory on the file system that is to hold the volumes; or, with "
                   "--layout, disks in their order, best by /dev/disk/by-id")
      ->required();
  init->add_option(
      "--layout", wanted_pool.layout,
      "How disks are used: single, linear (one behind the other, more may be added) or "
      "stripe");
  init->add_option("--chunk-size", wanted_pool.chunk_size,
                   "Of a stripe, a power of two from 4KiB to 16MiB; else 256KiB");
  init->add_option("--overwrite", wanted_pool.overwrite,
                   "What may be destroyed: the UUID that a refusal has named, or of a former pool; "
                   "may be repeated")
      ->allow_extra_args(false);

  std::string socket = status_options.socket;
  cli::Format format = cli::Format::table;
  cli::add_format(*init, format);
  const auto ask_daemon = [&socket, &format](CLI::App& command) {
    cli::add_socket(command, socket);
    cli::add_format(command, format);
  };
  std::string pool_name;
  cli::PoolMemberOptions newcomer;
  auto* add_member = pool->add_subcommand(
      "add-member", "Make a disk one more member of a linear pool while hosts use it");
  add_member->add_option("pool", pool_name, "As the configuration calls it")->required();
  add_member->add_option("disk", newcomer.disk, "Best by /dev/disk/by-id")->required();
  add_member
      ->add_option("--overwrite", newcomer.overwrite,
                   "What may be destroyed: as a refusal has named it; may be repeated")
      ->allow_extra_args(false);
  ask_daemon(*add_member);

  std::string volume_name;
  std::string size;
  auto* volume = app.add_subcommand("volume", "Volumes of a running daemon")->require_subcommand(1);
  auto* grow = volume->add_subcommand("grow", "Make a volume larger while hosts use it");
  grow->add_option("name", volume_name, "As the configuration calls it")->required();
  grow->add_option("size", size, "The new size: 2TiB, 1536GiB ...")->required();
  ask_daemon(*grow);

  std::string uuid;
  auto* destroy = volume->add_subcommand(
      "destroy", "Delete the data of a volume that the configuration does not name any more");
  destroy->add_option("name", volume_name, "As volumes calls it, where it is retained")->required();
  destroy->add_option("--uuid", uuid, "Its UUID, as volumes shows it")->required();
  std::string cache;
  destroy->add_option(
      "--cache", cache,
      "UUID of the cache that it belongs together with: what that has is lost, too");
  ask_daemon(*destroy);

  std::string new_name;
  auto* rename = volume->add_subcommand(
      "rename", "Another name for a volume that the configuration does not name any more");
  rename->add_option("name", volume_name, "As volumes calls it, where it is retained")->required();
  rename->add_option("to", new_name, "Its new name, for the configuration")->required();
  rename->add_option("--uuid", uuid, "Its UUID, as volumes shows it")->required();
  ask_daemon(*rename);

  cli::AdoptOptions adoption;
  auto* adopt = volume->add_subcommand(
      "adopt", "Make a raw image that lies in a pool's directory a volume of the pool");
  adopt->add_option("name", volume_name, "Of the volume, for the configuration")->required();
  adopt->add_option("--pool", adoption.pool, "As the configuration calls it")->required();
  adopt->add_option("--file", adoption.file, "The image, *.raw: stays where it is")->required();
  adopt->add_option("--block-size", adoption.block_size, "What hosts will see: 512 or 4096")
      ->check(CLI::IsMember({512, 4096}))
      ->capture_default_str();
  ask_daemon(*adopt);

  auto* drain = app.add_subcommand(
      "drain", "Write to the pool what of a volume is only in its cache, and wait for it");
  drain->add_option("volume", volume_name, "As the configuration calls it")->required();
  ask_daemon(*drain);

  auto* detach = app.add_subcommand(
      "detach", "Serve a volume without its cache until the next start, once the pool has it all");
  detach->add_option("volume", volume_name, "As the configuration calls it")->required();
  ask_daemon(*detach);

  std::string device;
  auto* attach = app.add_subcommand(
      "attach", "Serve a volume that has no cache through a cache device, where it begins empty");
  attach->footer("To move a volume to another cache device: detach it, then attach --cache OTHER.");
  attach->add_option("volume", volume_name, "As the configuration calls it")->required();
  attach->add_option("--cache", device, "One of cache_devices: the same as before, or another")
      ->required();
  ask_daemon(*attach);

  auto* retire = app.add_subcommand(
      "retire", "Detach every volume from a cache device and close it: it may be taken out then");
  retire->add_option("cache", device, "As the configuration calls it")->required();
  ask_daemon(*retire);

  auto* abandon = app.add_subcommand(
      "abandon", "Serve a volume without what a lost cache had of it: that is lost then");
  abandon->add_option("volume", volume_name, "As the configuration calls it")->required();
  abandon->add_option("--cache", cache, "UUID of the cache that is missing, as status names it")
      ->required();
  ask_daemon(*abandon);

  auto* give_up = app.add_subcommand(
      "give-up-lost",
      "Go on without blocks that only a volume's cache had and cannot read: errors until written");
  give_up->add_option("volume", volume_name, "As the configuration calls it")->required();
  ask_daemon(*give_up);

  std::string wanted_protection;
  auto* protection = app.add_subcommand(
      "write-protection", "Whether hosts may write a volume: on keeps them from it, off does not");
  protection->add_option("volume", volume_name, "As the configuration calls it")->required();
  protection->add_option("state", wanted_protection, "on or off")
      ->required()
      ->check(CLI::IsMember({"on", "off"}));
  ask_daemon(*protection);

  const cli::OverrideCommands override_commands(app);
  const cli::ConfigCommands config_commands(app);
  const cli::Reports reports(app);
  const cli::TaskCommands task_commands(app);
  const cli::TokenCommands token_commands(app);

  CLI11_PARSE(app, argc, argv);
  if (const std::string why = server.use(); !why.empty()) {
    fmt::print(stderr, "forebayctl: {}\n", why);
    return 1;
  }
  if (const auto code = override_commands.run()) return *code;
  if (const auto code = config_commands.run()) return *code;
  if (const auto code = token_commands.run()) return *code;
  if (const auto code = reports.run()) return *code;
  if (const auto code = task_commands.run()) return *code;
  if (status->parsed()) return show_status(status_options);
  const auto of_volume = [&](const char* command) {
    return cli::ChangeReport(format, command, volume_name);
  };
  if (add_member->parsed()) {
    return cli::pool_add_member(socket, {format, "pool add-member", pool_name}, newcomer);
  }
  if (grow->parsed()) return cli::volume_grow(socket, of_volume("volume grow"), size);
  if (destroy->parsed()) {
    return cli::volume_destroy(socket, of_volume("volume destroy"), uuid, cache);
  }
  if (rename->parsed()) {
    return cli::volume_rename(socket, of_volume("volume rename"), new_name, uuid);
  }
  if (adopt->parsed()) return cli::volume_adopt(socket, of_volume("volume adopt"), adoption);
  if (drain->parsed()) return cli::volume_drain(socket, of_volume("drain"));
  if (detach->parsed()) return cli::cache_detach(socket, of_volume("detach"));
  if (attach->parsed()) return cli::cache_attach(socket, of_volume("attach"), device);
  if (retire->parsed()) return cli::cache_retire(socket, {format, "retire", device});
  if (give_up->parsed()) return cli::volume_give_up_lost(socket, of_volume("give-up-lost"));
  if (protection->parsed()) {
    return cli::volume_write_protection(socket, of_volume("write-protection"),
                                        wanted_protection == "on");
  }
  if (abandon->parsed()) return cli::volume_abandon(socket, of_volume("abandon"), cache);
  return cli::pool_init({format, "pool init", wanted_pool.paths.front()}, wanted_pool);
}
