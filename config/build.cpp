#include "config/build.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <map>
#include <utility>

#include "config/chap_reader.h"
#include "config/control_reader.h"
#include "config/dhchap_reader.h"
#include "config/export_reader.h"
#include "config/identity.h"
#include "config/keys.h"
#include "config/listener_reader.h"
#include "config/overload_reader.h"
#include "config/qos_reader.h"
#include "config/section_reader.h"

namespace config {
namespace {

using std::string_view;

constexpr string_view api_version = "forebay/v1";
constexpr std::size_t max_directory_bytes = 3072;  // PATH_MAX less the longest file name below it
constexpr std::size_t max_path_bytes = 4095;       // PATH_MAX less its NUL
constexpr std::uint64_t max_nsid = 0xfffffffe;
constexpr std::uint64_t max_lun = 16383;      // SAM-5, section 4.7.7.3: flat space addressing
constexpr std::size_t max_alias_bytes = 255;  // RFC 7143, section 6.1: of a text value

std::vector<std::string> names_below(const Node& node) {
  std::vector<std::string> names;
  for (const Node::Entry& entry : node.entries) names.push_back(entry.key);
  return names;
}

constexpr ExportMap namespace_map{.key = "namespaces",
                                  .pattern = "subsystems.*.namespaces.*",
                                  .noun = "NSID",
                                  .owner = "subsystem",
                                  .min = 1,
                                  .max = max_nsid,
                                  .most = max_namespaces};
constexpr ExportMap lun_map{.key = "luns",
                            .pattern = "targets.*.luns.*",
                            .noun = "LUN",
                            .owner = "target",
                            .min = 0,
                            .max = max_lun,
                            .most = max_luns};

constexpr std::array<string_view, 9> not_of_memory{"directory", "provisioning", "reserve",
                                                   "warn_at",   "uuid",         "queue_depth",
                                                   "layout",    "chunk_size",   "members"};
constexpr std::array<string_view, 3> not_of_devices{"directory", "provisioning", "reserve"};
constexpr std::array<string_view, 3> not_of_files{"layout", "chunk_size", "members"};

class Builder {
 public:
  Builder(const Node& root, Report& report)
      : report_(report), top_(report, section_of(""), "", {1, 1}, root) {}

  Draft build() {
    if (!check_version()) return std::move(draft_);
    top_.check_keys();
    if (auto node = top_.parsed("node", parse_name)) config().node = node->value;
    assign(config().memory, top_.size("memory"));
    read_reactors();
    each("listeners", parse_name, draft_.listeners, &Builder::read_listener_entry);
    each("cache_devices", parse_name, draft_.cache_devices, &Builder::read_cache_device);
    each("pools", parse_name, draft_.pools, &Builder::read_pool);
    each("volumes", parse_name, draft_.volumes, &Builder::read_volume);
    each("hosts", parse_name, draft_.hosts, &Builder::read_host);
    std::vector<std::string> nqns;
    each("subsystems", parse_nqn, nqns, &Builder::read_subsystem);
    std::vector<std::string> target_names;
    each("targets", parse_iscsi_name, target_names, &Builder::read_target);
    read_iscsi();
    read_metrics();
    read_control_section();
    read_scrub();
    read_log();
    return std::move(draft_);
  }

 private:
  Config& config() { return draft_.config; }

  // Of a file for another version everything else would be guesswork.
  bool check_version() {
    if (!top_.has("apiVersion")) return true;  // reported as missing
    const auto version = top_.text("apiVersion");
    if (!version || version->value == api_version) return version.has_value();
    report_.error(version->at, "apiVersion",
                  fmt::format("{} is not known; this version of Forebay reads {}.",
                              in_quotes(version->value), api_version));
    return false;
  }

  // Calls `read` for each entry of a map of names, also for those whose name is wrong: what stands
  // in them is checked all the same.
  template <class ParseKey>
  void each(string_view key, ParseKey parse_key, std::vector<std::string>& names,
            void (Builder::*read)(const std::string& name, SectionReader&)) {
    const Node& map = top_.node(key);
    if (!expect_map(report_, map, std::string(key))) return;
    names = names_below(map);
    const Section& section = section_of(fmt::format("{}.*", key));
    for (const Node::Entry& entry : map.entries) {
      const std::string path = join_path(key, entry.key);
      if (expect_name(report_, as_scalar(entry), path)) {
        if (auto name = parse_key(string_view(entry.key)); !name) {
          report_.error(entry.at, path, name.error().text);
        }
      }
      SectionReader reader(report_, section, path, entry.at, entry.value);
      (this->*read)(entry.key, reader);
    }
  }

  void read_reactors() {
    SectionReader reader = top_.below("reactors", "reactors");
    reader.check_keys();
    Reactors& reactors = config().reactors;
    reactors.at = reader.at();
    const auto count = reader.integer("count");
    const auto cpus = reader.parsed("cpus", parse_cpus);
    assign(reactors.count, count);
    if (!cpus) return;
    reactors.cpus = cpus->value;
    reactors.at = cpus->at;
    const std::uint64_t max_count = key_of(section_of("reactors"), "count").max;
    if (!reader.has("count") && cpus->value.size() <= max_count) {
      reactors.count = static_cast<std::uint32_t>(cpus->value.size());
    } else if (!reader.has("count") || (count && count->value != cpus->value.size())) {
      report_.error(
          cpus->at, reader.path_of("cpus"),
          fmt::format("names {} CPUs for {} reactors; name one CPU for each (at most {}).",
                      cpus->value.size(), count ? count->value : cpus->value.size(), max_count));
    }
  }

  void read_listener_entry(const std::string& name, SectionReader& reader) {
    config().listeners.emplace(name, read_listener(name, reader));
  }

  void read_cache_device(const std::string& name, SectionReader& reader) {
    reader.check_keys();
    CacheDevice device;
    device.name = name;
    device.at = reader.at();
    assign(device.path, reader.parsed("path", [](string_view text) {
      return parse_path(text, max_path_bytes);
    }));
    device.uuid = reader.parsed("uuid", parse_uuid);
    if (const auto require = reader.choice("require")) {
      device.require = {require->value == "byte"         ? Require::byte
                        : require->value == "cache-line" ? Require::cache_line
                                                         : Require::page,
                        require->at};
    }
    device.payload_crc = reader.boolean("payload_crc");
    config().cache_devices.emplace(name, std::move(device));
  }

  void read_pool(const std::string& name, SectionReader& reader) {
    const auto kind = reader.choice("kind");
    reader.check_keys();
    Pool pool;
    pool.name = name;
    pool.at = reader.at();
    if (kind && kind->value == "memory") {
      pool.kind = Pool::Kind::memory;
      reader.refuse("a pool of kind memory", not_of_memory);
      report_.warning(
          kind->at, reader.path_of("kind"),
          "memory loses everything at each stop; use it for tests and benchmarks only.");
    } else if (kind && kind->value == "device") {
      pool.kind = Pool::Kind::device;
      reader.refuse("a pool of kind device", not_of_devices);
      read_members(pool, reader);
    } else if (kind) {
      reader.refuse("a pool of kind file", not_of_files);
      if (reader.lacks("directory")) {
        report_.error(reader.at(), reader.path(),
                      "\"directory\" is missing; add directory: /srv/forebay/NAME.");
      }
    }
    assign(pool.directory, reader.parsed("directory", [](string_view text) {
      return parse_path(text, max_directory_bytes);
    }));
    pool.uuid = reader.parsed("uuid", parse_uuid);
    read_space(pool, reader);
    config().pools.emplace(name, std::move(pool));
  }

  void read_members(Pool& pool, SectionReader& reader) {
    const auto layout = reader.choice("layout");
    if (layout) {
      pool.layout = {layout->value == "single"   ? Pool::Layout::single
                     : layout->value == "linear" ? Pool::Layout::linear
                                                 : Pool::Layout::stripe,
                     layout->at};
    } else if (reader.lacks("layout")) {
      report_.error(reader.at(), reader.path(),
                    "\"layout\" is missing; add layout: single, linear or stripe.");
    }
    pool.chunk_size = reader.size("chunk_size");
    if (pool.chunk_size && !std::has_single_bit(pool.chunk_size->value.value)) {
      report_.error(pool.chunk_size->at, reader.path_of("chunk_size"),
                    "is not a power of two; use for example 256KiB.");
    } else if (pool.chunk_size && layout && pool.layout.value != Pool::Layout::stripe) {
      report_.error(reader.at("chunk_size"), reader.path_of("chunk_size"),
                    fmt::format("layout {} has none; remove it.", layout->value));
    }
    if (auto members = reader.paths("members", max_path_bytes)) {
      pool.members = std::move(*members);
      const std::size_t count = pool.members.size();
      if (layout && pool.layout.value == Pool::Layout::single && count != 1) {
        report_.error(reader.at("members"), reader.path_of("members"),
                      "layout single has exactly one member.");
      } else if (layout && pool.layout.value == Pool::Layout::stripe && count < 2) {
        report_.error(reader.at("members"), reader.path_of("members"),
                      "layout stripe has at least two members.");
      }
    } else if (reader.lacks("members")) {
      report_.error(reader.at(), reader.path(),
                    "\"members\" is missing; add members: [/dev/disk/by-id/...].");
    }
  }

  void read_space(Pool& pool, SectionReader& reader) {
    constexpr std::uint32_t usual_warning = 80;
    const auto provisioning = reader.choice("provisioning");
    if (provisioning) {
      pool.provisioning = {
          provisioning->value == "thin" ? Pool::Provisioning::thin : Pool::Provisioning::thick,
          provisioning->at};
    }
    assign(pool.reserve, reader.size("reserve"));
    pool.warn_at = reader.percent("warn_at");
    if (const auto depth = reader.integer("queue_depth")) {
      pool.queue_depth = {.value = static_cast<std::uint32_t>(depth->value), .at = depth->at};
    }
    if (pool.kind != Pool::Kind::file || pool.provisioning.value != Pool::Provisioning::thin)
      return;
    if (reader.lacks("reserve")) {
      report_.error(pool.provisioning.at, reader.path_of("provisioning"),
                    "thin needs a reserve, which stays free so that what has been answered can "
                    "always be written; add reserve: 20GiB.");
    }
    if (reader.lacks("warn_at")) pool.warn_at = {.value = usual_warning, .at = {}};
  }

  void read_volume(const std::string& name, SectionReader& reader) {
    reader.check_keys();
    Volume volume;
    volume.name = name;
    volume.at = reader.at();
    assign(volume.was, reader.text("was"));
    assign(volume.pool, reader.text("pool"));
    const auto size = reader.size("size");
    check_multiple(reader, "size", size);
    assign(volume.size, size);
    if (const auto bytes = reader.integer("block_size")) {
      volume.block_size = {{static_cast<std::uint32_t>(bytes->value)}, bytes->at};
    }
    if (const auto atomic = reader.choice("atomic")) {
      volume.atomic = {
          atomic->value == "required" ? Volume::Atomic::required : Volume::Atomic::offered,
          atomic->at};
    }
    assign(volume.allow_format, reader.boolean("allow_format"));
    if (reader.has("cache")) volume.cache = read_volume_cache(reader);
    volume.qos = read_qos(reader);
    volume.overload = read_overload(reader);
    config().volumes.emplace(name, std::move(volume));
  }

  static VolumeCache::Mode cache_mode_of(const std::string& name) {
    if (name == "write-through") return VolumeCache::Mode::write_through;
    if (name == "write-around") return VolumeCache::Mode::write_around;
    if (name == "pass-through") return VolumeCache::Mode::pass_through;
    if (name == "read-only") return VolumeCache::Mode::read_only;
    return VolumeCache::Mode::write_back;
  }

  VolumeCache read_volume_cache(SectionReader& volume) {
    SectionReader reader = volume.below("cache", "volumes.*.cache");
    reader.check_keys();
    VolumeCache cache;
    cache.at = reader.at();
    assign(cache.device, reader.text("device"));
    if (const auto mode = reader.choice("mode")) cache.mode = cache_mode_of(mode->value);
    cache.guaranteed = reader.size("guaranteed");
    cache.maximum = reader.size("maximum");
    if (cache.guaranteed && cache.maximum && cache.guaranteed->value > cache.maximum->value) {
      report_.error(
          std::max(cache.guaranteed->at, cache.maximum->at), reader.path(),
          fmt::format("guaranteed ({}) is more than maximum ({}); lower it, or raise "
                      "maximum.",
                      size_text(cache.guaranteed->value), size_text(cache.maximum->value)));
    }
    read_dirty_limits(cache, reader);
    assign(cache.max_dirty_age, reader.duration("max_dirty_age"));
    if (const auto ordered = reader.choice("ordered")) {
      cache.ordered =
          ordered->value == "journal" ? VolumeCache::Ordered::journal : VolumeCache::Ordered::batch;
    }
    return cache;
  }

  void read_dirty_limits(VolumeCache& cache, SectionReader& reader) {
    const auto low = reader.percent("dirty_low");
    const auto high = reader.percent("dirty_high");
    assign(cache.dirty_low_percent, low);
    assign(cache.dirty_high_percent, high);
    const bool is_wrong = (reader.has("dirty_low") && !low) || (reader.has("dirty_high") && !high);
    if (is_wrong || cache.dirty_low_percent < cache.dirty_high_percent) return;
    const Position at = std::max(low ? low->at : Position{}, high ? high->at : Position{});
    report_.error(at, reader.path(),
                  fmt::format("dirty_low ({}%{}) is not below dirty_high ({}%{}); lower the one, "
                              "or raise the other.",
                              cache.dirty_low_percent, low ? "" : " by default",
                              cache.dirty_high_percent, high ? "" : " by default"));
  }

  void read_host(const std::string& name, SectionReader& reader) {
    reader.check_keys();
    Host host;
    host.name = name;
    host.at = reader.at();
    if (reader.lacks("nqn") && reader.lacks("iqn")) {
      report_.error(reader.at(), reader.path(),
                    "\"nqn\" or \"iqn\" is missing; add nqn: nqn.2014-08.org.nvmexpress:uuid:..., "
                    "from /etc/nvme/hostnqn, or iqn: iqn.1993-08.org.debian:01:..., from "
                    "/etc/iscsi/initiatorname.iscsi.");
    }
    read_nqn(host, reader);
    read_tls_keys(host, reader);
    host.dhchap = read_dhchap(reader);
    if (host.dhchap && reader.lacks("nqn")) {
      report_.error(reader.at("dhchap"), reader.path_of("dhchap"),
                    "is of NVMe, and there is no nqn; add it, or remove this.");
    }
    read_iqn(host, reader);
    config().hosts.emplace(name, std::move(host));
  }

  void read_nqn(Host& host, SectionReader& reader) {
    const auto nqn = reader.parsed("nqn", parse_nqn);
    if (!nqn) return;
    host.nqn = nqn->value;
    if (const std::string lower = uuid_nqn_in_lower_case(nqn->value); lower != nqn->value) {
      report_.warning(nqn->at, reader.path_of("nqn"),
                      fmt::format("capital letters count, and Linux hosts send the UUID in small "
                                  "ones; write {} if the host's /etc/nvme/hostnqn does.",
                                  lower));
    }
    const auto [other, fresh] = host_of_nqn_.emplace(nqn->value, host.name);
    if (!fresh) {
      report_.error(nqn->at, reader.path_of("nqn"),
                    fmt::format("is the NQN of host {} already; give each host its own.",
                                in_quotes(other->second)));
    }
  }

  void read_tls_keys(Host& host, SectionReader& reader) {
    if (auto keys = reader.secrets("tls_psk")) host.tls_psk = std::move(*keys);
    if (auto keys = reader.secrets("tls_psk_old")) host.tls_psk_old = std::move(*keys);
    host.tls_psk_old_until = reader.parsed("tls_psk_old_until", parse_time);
    if (reader.has("tls_psk") && reader.lacks("nqn")) {
      report_.error(reader.at("tls_psk"), reader.path_of("tls_psk"),
                    "is of NVMe/TCP, and there is no nqn; add it, or remove this.");
    }
    if (reader.has("tls_psk_old") && reader.lacks("tls_psk")) {
      report_.error(reader.at("tls_psk_old"), reader.path_of("tls_psk_old"),
                    "needs tls_psk, the keys that take its place; add it.");
    }
    if (reader.has("tls_psk_old") && reader.lacks("tls_psk_old_until")) {
      report_.error(reader.at("tls_psk_old"), reader.path_of("tls_psk_old"),
                    "needs tls_psk_old_until, the time at which it ends; add it.");
    }
    if (reader.has("tls_psk_old_until") && reader.lacks("tls_psk_old")) {
      report_.error(reader.at("tls_psk_old_until"), reader.path_of("tls_psk_old_until"),
                    "needs tls_psk_old, the keys that end then; add it, or remove this.");
    }
  }

  void read_iqn(Host& host, SectionReader& reader) {
    host.chap = read_chap(reader, "chap", "hosts.*.chap");
    if (auto networks = reader.networks("networks")) host.networks = std::move(*networks);
    for (const string_view key : {"chap", "networks"}) {
      if (reader.has(key) && reader.lacks("iqn")) {
        report_.error(reader.at(key), reader.path_of(key),
                      "is of iSCSI, and there is no iqn; add it, or remove this.");
      }
    }
    // Else one would believe that it holds for both.
    if (reader.has("networks") && reader.has("iqn") && reader.has("nqn")) {
      report_.error(reader.at("networks"), reader.path_of("networks"),
                    "is checked by iSCSI alone, and this host has an nqn too; give the nqn an "
                    "entry of its own.");
    }
    const auto iqn = reader.parsed("iqn", parse_iscsi_name);
    if (!iqn) return;
    host.iqn = iqn->value;
    const auto [other, fresh] = host_of_iqn_.emplace(iqn->value, host.name);
    if (!fresh) {
      report_.error(iqn->at, reader.path_of("iqn"),
                    fmt::format("is the iqn of host {} already; give each host its own.",
                                in_quotes(other->second)));
    }
  }

  void read_subsystem(const std::string& nqn, SectionReader& reader) {
    reader.check_keys();
    Subsystem subsystem;
    subsystem.nqn = nqn;
    subsystem.at = reader.at();
    subsystem.listeners = read_listeners(reader);
    read_access(subsystem, reader);
    read_controller(subsystem, reader);
    subsystem.namespaces = read_exports(namespace_map, reader);
    config().subsystems.emplace(nqn, std::move(subsystem));
  }

  void read_controller(Subsystem& subsystem, SectionReader& reader) {
    constexpr std::size_t serial_bytes = 20;  // NVMe Base 2.0, Identify Controller: SN
    constexpr std::size_t model_bytes = 40;   // MN
    const auto serial =
        reader.parsed("serial", [](string_view text) { return parse_ascii(text, serial_bytes); });
    if (serial) {
      subsystem.serial = serial->value;
      const auto [other, fresh] = subsystem_of_serial_.emplace(serial->value, subsystem.nqn);
      if (!fresh) {
        report_.error(serial->at, reader.path_of("serial"),
                      fmt::format("is the serial of {} already; give each subsystem its own.",
                                  printable(other->second)));
      }
    }
    assign(subsystem.model,
           reader.parsed("model", [](string_view text) { return parse_ascii(text, model_bytes); }));
    if (const auto range = reader.range("cntlid_range")) {
      subsystem.cntlid_min = static_cast<std::uint16_t>(range->first);
      subsystem.cntlid_max = static_cast<std::uint16_t>(range->second);
    }
    assign(subsystem.max_io_queues, reader.integer("max_io_queues"));
    assign(subsystem.max_queue_depth, reader.integer("max_queue_depth"));
    const auto mdts = reader.size("mdts");
    if (mdts && (mdts->value.value & (mdts->value.value - 1)) != 0) {
      report_.error(mdts->at, reader.path_of("mdts"),
                    "is not a power of two; write 128KiB, 256KiB, 512KiB, 1MiB ...");
    }
    assign(subsystem.mdts, mdts);
  }

  void read_target(const std::string& name, SectionReader& reader) {
    reader.check_keys();
    Target target;
    target.at = reader.at();
    const auto iqn = parse_iscsi_name(name);
    if (iqn) target.iqn = iqn.value();
    const auto alias =
        reader.parsed("alias", [](string_view text) { return parse_ascii(text, max_alias_bytes); });
    if (alias) target.alias = alias->value;
    target.listeners = read_listeners(reader);
    read_access(target, reader);
    target.chap = read_chap(reader, "chap", "targets.*.chap");
    target.luns = read_exports(lun_map, reader);
    if (!iqn) return;
    const auto [other, fresh] = config().targets.emplace(target.iqn, target);
    if (!fresh) {
      report_.error(reader.at(), reader.path(),
                    fmt::format("is the target of line {} already, because capital letters do not "
                                "count; remove one.",
                                other->second.at.line));
    }
  }

  void read_iscsi() {
    if (!top_.has("iscsi")) return;
    SectionReader reader = top_.below("iscsi", "iscsi");
    reader.check_keys();
    config().iscsi.discovery_chap = read_chap(reader, "discovery_chap", "iscsi.discovery_chap");
    assign(config().iscsi.max_sessions, reader.integer("max_sessions"));
  }

  void read_metrics() {
    SectionReader reader = top_.below("metrics", "metrics");
    if (!top_.has("metrics")) return;
    reader.check_keys();
    Metrics& metrics = config().metrics.emplace();
    metrics.at = reader.at();
    metrics.address.value = parse_address("127.0.0.1").value();
    assign(metrics.address, reader.parsed("address", parse_address));
    if (const auto port = reader.integer("port")) {
      metrics.port = {static_cast<std::uint16_t>(port->value), port->at};
    }
    if (auto stages = reader.names("stages")) metrics.stages = std::move(*stages);
    metrics.status_page = metrics.address.value.is_loopback();
    assign(metrics.status_page, reader.boolean("status_page"));
  }

  void read_control_section() {
    SectionReader reader = top_.below("control", "control");
    config().control = read_control(reader);
  }

  void read_scrub() {
    SectionReader reader = top_.below("scrub", "scrub");
    reader.check_keys();
    assign(config().scrub.rate, reader.rate("rate"));
  }

  void read_log() {
    SectionReader reader = top_.below("log", "log");
    reader.check_keys();
    const auto level = reader.choice("level");
    if (!level) return;
    config().log_level = level->value == "error"   ? LogLevel::error
                         : level->value == "warn"  ? LogLevel::warn
                         : level->value == "debug" ? LogLevel::debug
                                                   : LogLevel::info;
  }

  Report& report_;
  SectionReader top_;
  Draft draft_;
  std::map<std::string, std::string> host_of_nqn_;
  std::map<std::string, std::string> host_of_iqn_;
  std::map<std::string, std::string> subsystem_of_serial_;
};

}  // namespace

Draft build(const Node& root, Report& report) { return Builder(root, report).build(); }

}  // namespace config
