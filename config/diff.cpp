#include "config/diff.h"

#include <fmt/format.h>

#include <optional>
#include <span>
#include <utility>

#include "config/keys.h"
#include "config/report.h"
#include "config/values.h"

namespace config {
namespace {

// A key's value as it would be written, and where it stands.
struct Written {
  std::string text{};
  Position at{};
};

template <class Entry>
struct Comparison {
  std::string_view key;
  Written (*of)(const Entry&);
};

Written written(std::string text, Position at = {}) { return {std::move(text), at}; }
Written written(const Located<std::string>& value) { return {value.value, value.at}; }
Written written(const Located<engine::ByteCount>& size) { return {size_text(size.value), size.at}; }
Written written(engine::ByteCount size) { return {size_text(size), {}}; }
Written written(std::chrono::milliseconds duration) { return {duration_text(duration), {}}; }
Written written(bool value) { return {value ? "true" : "false", {}}; }
Written written(std::uint32_t number) { return {fmt::format("{}", number), {}}; }
Written written(const std::vector<Located<std::string>>& names) {
  std::string all;
  for (const auto& name : names) all += (all.empty() ? "" : ", ") + name.value;
  return {"[" + all + "]", names.empty() ? Position{} : names.front().at};
}
Written written(const std::vector<Located<IpEndpoint>>& endpoints) {
  if (endpoints.empty()) return {};
  std::string all;
  for (const auto& one : endpoints) all += (all.empty() ? "" : ", ") + one.value.text;
  return {"[" + all + "]", endpoints.front().at};
}
Written written(const Located<engine::Uuid>& uuid) { return {uuid.value.text(), uuid.at}; }
Written written(const Located<SecretRef>& secret) {
  const bool is_file = secret.value.source == SecretRef::Source::file;
  return {(is_file ? "file:" : "credential:") + secret.value.name, secret.at};
}
Written written(const std::vector<Located<SecretRef>>& secrets) {
  std::string all;
  for (const auto& secret : secrets) all += (all.empty() ? "" : ", ") + written(secret).text;
  return {all.empty() ? all : "[" + all + "]", secrets.empty() ? Position{} : secrets.front().at};
}
Written written(const Located<std::chrono::sys_seconds>& time) {
  return {time_text(time.value), time.at};
}
Written written(const std::vector<std::string>& words) {
  return {fmt::format("[{}]", fmt::join(words, ", ")), {}};
}
template <class T>
Written written(const std::optional<T>& value) {
  return value ? written(*value) : Written{};
}
// One of the words that the key may have; the enumerators are in their order.
template <class Enum>
Written chosen(std::string_view section, std::string_view key, Enum value, Position at = {}) {
  const auto choices = key_of(section_of(section), key).choices;
  return {std::string(choices[static_cast<std::size_t>(value)]), at};
}
Written percent(std::uint32_t value, Position at = {}) { return {fmt::format("{}%", value), at}; }
// 0: there is none.
Written limit(std::uint64_t per_second) {
  return per_second == 0 ? Written{} : Written{fmt::format("{}", per_second), {}};
}
Written limit(engine::ByteCount per_second) {
  return per_second.value == 0 ? Written{} : Written{rate_text(per_second), {}};
}

bool has_previous(const Host& host) { return host.dhchap && host.dhchap->previous; }

// Of a host, target or Iscsi, whose CHAP `of` finds.
#define CHAP_KEYS(Entry, prefix, member)                                                           \
  {prefix ".user", [](const Entry& e) { return e.member ? written(e.member->user) : Written{}; }}, \
      {prefix ".secret",                                                                           \
       [](const Entry& e) { return e.member ? written(e.member->secret) : Written{}; }},           \
      {prefix ".mutual_user",                                                                      \
       [](const Entry& e) { return e.member ? written(e.member->mutual_user) : Written{}; }},      \
  {                                                                                                \
    prefix ".mutual_secret",                                                                       \
        [](const Entry& e) { return e.member ? written(e.member->mutual_secret) : Written{}; }     \
  }

// clang-format off
constexpr Comparison<Config> settings_comparisons[] = {
    {"node", [](const Config& c) { return written(c.node); }},
    {"reactors.count", [](const Config& c) { return written(fmt::format("{}", c.reactors.count), c.reactors.at); }},
    {"reactors.cpus", [](const Config& c) { return written(c.reactors.cpus.empty() ? "" : fmt::format("{}", fmt::join(c.reactors.cpus, ",")), c.reactors.at); }},
    {"memory", [](const Config& c) { return written(c.memory); }},
    CHAP_KEYS(Config, "iscsi.discovery_chap", iscsi.discovery_chap),
    {"iscsi.max_sessions", [](const Config& c) { return written(c.iscsi.max_sessions); }},
    {"metrics.address", [](const Config& c) { return c.metrics ? written(c.metrics->address.value.text, c.metrics->address.at) : Written{}; }},
    {"metrics.port", [](const Config& c) { return c.metrics ? written(fmt::format("{}", c.metrics->port.value), c.metrics->port.at) : Written{}; }},
    {"metrics.stages", [](const Config& c) { return c.metrics && !c.metrics->stages.empty() ? written(c.metrics->stages) : Written{}; }},
    {"metrics.status_page", [](const Config& c) { return c.metrics ? written(c.metrics->status_page) : Written{}; }},
    {"control.socket", [](const Config& c) { return written(c.control.socket); }},
    {"control.group", [](const Config& c) { return written(c.control.group); }},
    {"control.listen", [](const Config& c) { return written(c.control.listen); }},
    {"control.tls", [](const Config& c) { return c.control.listen.empty() ? Written{} : written(c.control.has_tls ? "required" : "none"); }},
    {"control.certificate", [](const Config& c) { return written(c.control.certificate); }},
    {"control.key", [](const Config& c) { return written(c.control.key); }},
    {"scrub.rate", [](const Config& c) { return limit(c.scrub.rate.value); }},
    {"log.level", [](const Config& c) { return chosen("log", "level", c.log_level); }},
};

constexpr Comparison<Listener> listener_comparisons[] = {
    {"protocol", [](const Listener& l) { return chosen("listeners.*", "protocol", l.protocol); }},
    {"address", [](const Listener& l) { return written(l.address.value.text, l.address.at); }},
    {"port", [](const Listener& l) { return written(fmt::format("{}", l.port.value), l.port.at); }},
    {"group", [](const Listener& l) { return written(l.group); }},
    {"max_connections", [](const Listener& l) { return written(l.max_connections); }},
    {"idle_timeout", [](const Listener& l) { return written(l.idle_timeout); }},
    {"discovery", [](const Listener& l) { return chosen("listeners.*", "discovery", l.discovery); }},
    {"c2h_success", [](const Listener& l) { return written(l.nvme_tcp.c2h_success); }},
    {"digests", [](const Listener& l) { return chosen("listeners.*", "digests", l.nvme_tcp.digests); }},
    {"in_capsule_data", [](const Listener& l) { return written(l.nvme_tcp.in_capsule_data); }},
    {"max_r2t", [](const Listener& l) { return written(l.nvme_tcp.max_r2t); }},
    {"max_h2c_data", [](const Listener& l) { return written(l.nvme_tcp.max_h2c_data); }},
    {"icreq_timeout", [](const Listener& l) { return written(l.nvme_tcp.icreq_timeout); }},
    {"connect_timeout", [](const Listener& l) { return written(l.nvme_tcp.connect_timeout); }},
    {"tls", [](const Listener& l) { return chosen("listeners.*", "tls", l.nvme_tcp.tls); }},
    {"tls_suites", [](const Listener& l) { return written(l.nvme_tcp.tls_suites); }},
    {"tls_groups", [](const Listener& l) { return written(l.nvme_tcp.tls_groups); }},
    {"tls_kernel", [](const Listener& l) { return written(l.nvme_tcp.tls_kernel); }},
    {"auth_timeout", [](const Listener& l) { return written(l.nvme_tcp.auth_timeout); }},
    {"portal_group", [](const Listener& l) { return written(std::uint32_t{l.portal_group}); }},
    {"iscsi.header_digest", [](const Listener& l) { return chosen("listeners.*.iscsi", "header_digest", l.iscsi.header_digest); }},
    {"iscsi.data_digest", [](const Listener& l) { return chosen("listeners.*.iscsi", "data_digest", l.iscsi.data_digest); }},
    {"iscsi.initial_r2t", [](const Listener& l) { return written(l.iscsi.initial_r2t); }},
    {"iscsi.immediate_data", [](const Listener& l) { return written(l.iscsi.immediate_data); }},
    {"iscsi.first_burst", [](const Listener& l) { return written(l.iscsi.first_burst); }},
    {"iscsi.max_burst", [](const Listener& l) { return written(l.iscsi.max_burst); }},
    {"iscsi.max_recv_data_segment", [](const Listener& l) { return written(l.iscsi.max_recv_data_segment); }},
    {"iscsi.max_outstanding_r2t", [](const Listener& l) { return written(l.iscsi.max_outstanding_r2t); }},
    {"iscsi.queue_depth", [](const Listener& l) { return written(l.iscsi.queue_depth); }},
    {"iscsi.login_timeout", [](const Listener& l) { return written(l.iscsi.login_timeout); }},
    {"iscsi.nop_interval", [](const Listener& l) { return written(l.iscsi.nop_interval); }},
    {"iscsi.nop_timeout", [](const Listener& l) { return written(l.iscsi.nop_timeout); }},
};

constexpr Comparison<CacheDevice> cache_device_comparisons[] = {
    {"path", [](const CacheDevice& d) { return written(d.path); }},
    {"uuid", [](const CacheDevice& d) { return written(d.uuid); }},
    {"require", [](const CacheDevice& d) { return chosen("cache_devices.*", "require", d.require.value, d.require.at); }},
    {"payload_crc", [](const CacheDevice& d) { return d.payload_crc ? written(d.payload_crc->value ? "true" : "false", d.payload_crc->at) : Written{}; }},
};

constexpr Comparison<Pool> pool_comparisons[] = {
    {"kind", [](const Pool& p) { return chosen("pools.*", "kind", p.kind); }},
    {"directory", [](const Pool& p) { return written(p.directory); }},
    {"uuid", [](const Pool& p) { return written(p.uuid); }},
    {"provisioning", [](const Pool& p) { return chosen("pools.*", "provisioning", p.provisioning.value, p.provisioning.at); }},
    {"reserve", [](const Pool& p) { return written(p.reserve); }},
    {"warn_at", [](const Pool& p) { return p.warn_at ? percent(p.warn_at->value, p.warn_at->at) : Written{}; }},
    {"queue_depth", [](const Pool& p) { return p.queue_depth ? written(fmt::format("{}", p.queue_depth->value), p.queue_depth->at) : Written{}; }},
    {"layout", [](const Pool& p) { return chosen("pools.*", "layout", p.layout.value, p.layout.at); }},
    {"chunk_size", [](const Pool& p) { return written(p.chunk_size); }},
    {"members", [](const Pool& p) { return written(p.members); }},
};

#define CACHE_KEY(key, expression) \
  {"cache." key, [](const Volume& v) { return v.cache ? (expression) : Written{}; }}
constexpr Comparison<Volume> volume_comparisons[] = {
    {"was", [](const Volume& v) { return v.was.value.empty() ? Written{} : written(v.was); }},
    {"pool", [](const Volume& v) { return written(v.pool); }},
    {"size", [](const Volume& v) { return written(v.size); }},
    {"block_size", [](const Volume& v) { return written(fmt::format("{}", v.block_size.value.bytes), v.block_size.at); }},
    {"atomic", [](const Volume& v) { return chosen("volumes.*", "atomic", v.atomic.value, v.atomic.at); }},
    {"allow_format", [](const Volume& v) { return written(v.allow_format); }},
    {"qos.read_iops", [](const Volume& v) { return limit(v.qos.read_iops); }},
    {"qos.write_iops", [](const Volume& v) { return limit(v.qos.write_iops); }},
    {"qos.iops", [](const Volume& v) { return limit(v.qos.iops); }},
    {"qos.read_bandwidth", [](const Volume& v) { return limit(v.qos.read_bandwidth); }},
    {"qos.write_bandwidth", [](const Volume& v) { return limit(v.qos.write_bandwidth); }},
    {"qos.bandwidth", [](const Volume& v) { return limit(v.qos.bandwidth); }},
    {"qos.burst", [](const Volume& v) { return written(v.qos.burst); }},
    {"overload.hold", [](const Volume& v) { return written(v.overload.hold); }},
    {"overload.retries", [](const Volume& v) { return written(v.overload.retries); }},
    {"overload.inaccessible_after", [](const Volume& v) { return written(v.overload.inaccessible_after); }},
    {"overload.recovery", [](const Volume& v) { return written(v.overload.recovery); }},
    CACHE_KEY("device", written(v.cache->device)),
    CACHE_KEY("mode", chosen("volumes.*.cache", "mode", v.cache->mode, v.cache->at)),
    CACHE_KEY("guaranteed", written(v.cache->guaranteed)),
    CACHE_KEY("maximum", written(v.cache->maximum)),
    CACHE_KEY("dirty_low", percent(v.cache->dirty_low_percent, v.cache->at)),
    CACHE_KEY("dirty_high", percent(v.cache->dirty_high_percent, v.cache->at)),
    CACHE_KEY("max_dirty_age", written(v.cache->max_dirty_age)),
    CACHE_KEY("ordered", chosen("volumes.*.cache", "ordered", v.cache->ordered, v.cache->at)),
};
#undef CACHE_KEY

constexpr Comparison<Host> host_comparisons[] = {
    {"nqn", [](const Host& h) { return written(h.nqn); }},
    {"iqn", [](const Host& h) { return written(h.iqn); }},
    {"tls_psk", [](const Host& h) { return written(h.tls_psk); }},
    {"tls_psk_old", [](const Host& h) { return written(h.tls_psk_old); }},
    {"tls_psk_old_until", [](const Host& h) { return written(h.tls_psk_old_until); }},
    CHAP_KEYS(Host, "chap", chap),
    {"dhchap.key", [](const Host& h) { return h.dhchap ? written(h.dhchap->keys.key) : Written{}; }},
    {"dhchap.controller_key", [](const Host& h) { return h.dhchap ? written(h.dhchap->keys.controller_key) : Written{}; }},
    {"dhchap.hash", [](const Host& h) { return h.dhchap && !h.dhchap->hashes.empty() ? written(h.dhchap->hashes) : Written{}; }},
    {"dhchap.dhgroup", [](const Host& h) { return h.dhchap && !h.dhchap->groups.empty() ? written(h.dhchap->groups) : Written{}; }},
    {"dhchap.required", [](const Host& h) { return h.dhchap ? written(h.dhchap->required) : Written{}; }},
    {"dhchap.discovery", [](const Host& h) { return h.dhchap ? written(h.dhchap->discovery) : Written{}; }},
    {"dhchap.concat", [](const Host& h) { return h.dhchap ? chosen("hosts.*.dhchap", "concat", h.dhchap->concat) : Written{}; }},
    {"dhchap.previous.key", [](const Host& h) { return has_previous(h) ? written(h.dhchap->previous->keys.key) : Written{}; }},
    {"dhchap.previous.controller_key", [](const Host& h) { return has_previous(h) ? written(h.dhchap->previous->keys.controller_key) : Written{}; }},
    {"dhchap.previous.until", [](const Host& h) { return has_previous(h) ? written(h.dhchap->previous->until) : Written{}; }},
    {"networks", [](const Host& h) {
       std::string all;
       for (const auto& network : h.networks) all += (all.empty() ? "" : ", ") + network.text;
       return written(all.empty() ? all : "[" + all + "]");
     }},
};

template <class Owner>
Written hosts_of(const Owner& owner) {
  return owner.allow_any_host ? Written{} : written(owner.hosts);
}
template <class Owner>
Written allow_any_host_of(const Owner& owner) {
  return written(owner.allow_any_host ? "true" : "", owner.allow_any_host_at);
}

constexpr Comparison<Subsystem> subsystem_comparisons[] = {
    {"listeners", [](const Subsystem& s) { return written(s.listeners); }},
    {"hosts", hosts_of<Subsystem>},
    {"allow_any_host", allow_any_host_of<Subsystem>},
    {"serial", [](const Subsystem& s) { return written(s.serial.value_or("")); }},
    {"model", [](const Subsystem& s) { return written(s.model); }},
    {"cntlid_range", [](const Subsystem& s) { return written(fmt::format("[{}, {}]", s.cntlid_min, s.cntlid_max)); }},
    {"max_io_queues", [](const Subsystem& s) { return written(s.max_io_queues); }},
    {"max_queue_depth", [](const Subsystem& s) { return written(s.max_queue_depth); }},
    {"mdts", [](const Subsystem& s) { return written(s.mdts); }},
};

constexpr Comparison<Target> target_comparisons[] = {
    {"alias", [](const Target& t) { return written(t.alias.value_or("")); }},
    {"listeners", [](const Target& t) { return written(t.listeners); }},
    {"hosts", hosts_of<Target>},
    {"allow_any_host", allow_any_host_of<Target>},
    CHAP_KEYS(Target, "chap", chap),
};

constexpr Comparison<Export> export_comparisons[] = {
    {"volume", [](const Export& e) { return written(e.volume); }},
    {"hosts", [](const Export& e) { return written(e.hosts); }},
};
// clang-format on
#undef CHAP_KEYS

template <class Entry>
std::vector<KeyChange> changes_of(std::span<const Comparison<Entry>> keys, const Entry& before,
                                  const Entry& after, Position entry) {
  std::vector<KeyChange> changes;
  for (const auto& key : keys) {
    Written was = key.of(before);
    Written is = key.of(after);
    if (was.text == is.text) continue;
    changes.push_back({.key = std::string(key.key),
                       .before = std::move(was.text),
                       .after = std::move(is.text),
                       .at = is.at.line != 0 ? is.at : entry});
  }
  return changes;
}

template <class Entry>
std::vector<std::string> names_of(std::span<const Comparison<Entry>> keys) {
  std::vector<std::string> names;
  for (const auto& key : keys) names.emplace_back(key.key);
  return names;
}

Subject subject_of(Part part, const std::string& owner, const std::string& name) {
  return {.part = part, .name = owner.empty() ? name : owner};
}
Subject subject_of(Part part, const std::string& owner, std::uint32_t number) {
  return {.part = part, .name = owner, .number = number};
}

class Difference {
 public:
  [[nodiscard]] std::vector<Change> take() && { return std::move(changes_); }

  void add(Subject subject, Position at, std::variant<Added, Removed, Changed> what) {
    std::string path = path_of(subject);
    changes_.push_back({.subject = std::move(subject),
                        .path = std::move(path),
                        .at = at,
                        .what = std::move(what)});
  }

  // `owner`: of namespaces and LUNs. Calls `both` with each entry that there is before and after,
  // and has not found it different by itself.
  template <class Map, class Entry>
  void compare(Part part, const std::string& owner, const Map& before, const Map& after,
               std::span<const Comparison<Entry>> keys) {
    for (const auto& [name, entry] : before) {
      if (!after.contains(name)) add(subject_of(part, owner, name), entry.at, Removed{});
    }
    for (const auto& [name, entry] : after) {
      const auto old = before.find(name);
      if (old == before.end()) {
        add(subject_of(part, owner, name), entry.at, Added{});
        continue;
      }
      auto changed = changes_of(keys, old->second, entry, entry.at);
      if (changed.empty()) continue;
      add(subject_of(part, owner, name), entry.at, Changed{std::move(changed)});
    }
  }

 private:
  std::vector<Change> changes_;
};

// Of a subsystem or target that is new, or gone, each export is a change of its own too.
template <class Owners, class Exports>
void compare_exports(Difference& difference, Part part, const Owners& before, const Owners& after,
                     Exports exports) {
  const std::decay_t<decltype(before.begin()->second.*exports)> none;
  for (const auto& [name, owner] : before) {
    const auto now = after.find(name);
    difference.compare(part, name, owner.*exports, now == after.end() ? none : now->second.*exports,
                       std::span<const Comparison<Export>>(export_comparisons));
  }
  for (const auto& [name, owner] : after) {
    if (before.contains(name)) continue;
    difference.compare(part, name, none, owner.*exports,
                       std::span<const Comparison<Export>>(export_comparisons));
  }
}

}  // namespace

std::string path_of(const Subject& subject) {
  const auto number = [&] { return fmt::format("{}", subject.number); };
  switch (subject.part) {
    case Part::settings:
      return {};
    case Part::listener:
      return join_path("listeners", subject.name);
    case Part::cache_device:
      return join_path("cache_devices", subject.name);
    case Part::pool:
      return join_path("pools", subject.name);
    case Part::volume:
      return join_path("volumes", subject.name);
    case Part::host:
      return join_path("hosts", subject.name);
    case Part::subsystem:
      return join_path("subsystems", subject.name);
    case Part::space:
      return join_path(join_path("subsystems", subject.name), "namespaces." + number());
    case Part::target:
      return join_path("targets", subject.name);
    case Part::lun:
      return join_path(join_path("targets", subject.name), "luns." + number());
  }
  return {};
}

std::vector<Change> diff(const Config& before, const Config& after) {
  Difference difference;
  auto settings = changes_of(std::span<const Comparison<Config>>(settings_comparisons), before,
                             after, Position{});
  if (!settings.empty()) difference.add({}, {}, Changed{std::move(settings)});
  const std::string none;
  difference.compare(Part::listener, none, before.listeners, after.listeners,
                     std::span<const Comparison<Listener>>(listener_comparisons));
  difference.compare(Part::cache_device, none, before.cache_devices, after.cache_devices,
                     std::span<const Comparison<CacheDevice>>(cache_device_comparisons));
  difference.compare(Part::pool, none, before.pools, after.pools,
                     std::span<const Comparison<Pool>>(pool_comparisons));
  difference.compare(Part::volume, none, before.volumes, after.volumes,
                     std::span<const Comparison<Volume>>(volume_comparisons));
  difference.compare(Part::host, none, before.hosts, after.hosts,
                     std::span<const Comparison<Host>>(host_comparisons));
  difference.compare(Part::subsystem, none, before.subsystems, after.subsystems,
                     std::span<const Comparison<Subsystem>>(subsystem_comparisons));
  compare_exports(difference, Part::space, before.subsystems, after.subsystems,
                  &Subsystem::namespaces);
  difference.compare(Part::target, none, before.targets, after.targets,
                     std::span<const Comparison<Target>>(target_comparisons));
  compare_exports(difference, Part::lun, before.targets, after.targets, &Target::luns);
  return std::move(difference).take();
}

std::vector<std::string> compared_keys(Part part) {
  switch (part) {
    case Part::settings:
      return names_of<Config>(settings_comparisons);
    case Part::listener:
      return names_of<Listener>(listener_comparisons);
    case Part::cache_device:
      return names_of<CacheDevice>(cache_device_comparisons);
    case Part::pool:
      return names_of<Pool>(pool_comparisons);
    case Part::volume:
      return names_of<Volume>(volume_comparisons);
    case Part::host:
      return names_of<Host>(host_comparisons);
    case Part::subsystem:
      return names_of<Subsystem>(subsystem_comparisons);
    case Part::target:
      return names_of<Target>(target_comparisons);
    case Part::space:
    case Part::lun:
      return names_of<Export>(export_comparisons);
  }
  return {};
}

}  // namespace config
