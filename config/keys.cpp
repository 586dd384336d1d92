#include "config/keys.h"

#include <algorithm>
#include <array>

#include "engine/foundation/check.h"

namespace config {
namespace {

using std::string_view;

constexpr std::uint64_t kib = 1ULL << 10;
constexpr std::uint64_t mib = 1ULL << 20;
constexpr std::uint64_t tib = 1ULL << 40;
constexpr std::uint64_t second = 1000;
constexpr std::uint64_t hour = 3600 * second;

constexpr auto optional = Need::optional;
constexpr auto required = Need::required;

constexpr std::array<string_view, 2> protocols{"nvme-tcp", "iscsi"};
constexpr std::array<string_view, 3> discoveries{"also", "only", "none"};
constexpr std::array<string_view, 3> tls_policies{"none", "permitted", "required"};
constexpr std::array<string_view, 3> digests{"permitted", "required", "refused"};
constexpr std::array<string_view, 3> pool_kinds{"file", "device", "memory"};
constexpr std::array<string_view, 3> layouts{"single", "linear", "stripe"};
constexpr std::array<string_view, 2> provisionings{"thick", "thin"};
constexpr std::array<string_view, 3> granularities{"byte", "cache-line", "page"};
constexpr std::array<string_view, 5> cache_modes{"write-back", "write-through", "write-around",
                                                 "pass-through", "read-only"};
constexpr std::array<string_view, 2> orders{"batch", "journal"};
constexpr std::array<string_view, 2> atomicities{"offered", "required"};
constexpr std::array<string_view, 2> block_sizes{"512", "4096"};
constexpr std::array<string_view, 2> control_tls{"required", "none"};
constexpr std::array<string_view, 4> log_levels{"error", "warn", "info", "debug"};

// clang-format off
constexpr Key top_keys[] = {
    {"apiVersion", Kind::text, required, 0, 0, {}, "apiVersion: forebay/v1"},
    {"node", Kind::name, required, 0, 0, {}, "node: store1"},
    {"reactors", Kind::section},
    {"memory", Kind::size, optional, 64 * mib, 16 * tib},
    {"listeners", Kind::named},
    {"cache_devices", Kind::named},
    {"pools", Kind::named},
    {"volumes", Kind::named},
    {"hosts", Kind::named},
    {"subsystems", Kind::named},
    {"targets", Kind::named},
    {"iscsi", Kind::section},
    {"metrics", Kind::section},
    {"control", Kind::section},
    {"scrub", Kind::section},
    {"log", Kind::section},
};

constexpr Key reactor_keys[] = {
    {"count", Kind::integer, optional, 1, 256},
    {"cpus", Kind::cpus},
};

constexpr Key listener_keys[] = {
    {"protocol", Kind::choice, required, 0, 0, protocols, "protocol: nvme-tcp"},
    {"address", Kind::address, required, 0, 0, {}, "address: 192.0.2.1"},
    {"port", Kind::integer, optional, 1, 65535},
    {"group", Kind::name},
    {"max_connections", Kind::integer, optional, 1, 65535},
    {"idle_timeout", Kind::duration, optional, second, 24 * hour},
    {"discovery", Kind::choice, optional, 0, 0, discoveries},
    {"c2h_success", Kind::boolean},
    {"digests", Kind::choice, optional, 0, 0, digests},
    {"in_capsule_data", Kind::size, optional, 4 * kib, 64 * kib},
    {"max_r2t", Kind::integer, optional, 1, 8},
    {"max_h2c_data", Kind::size, optional, 4 * kib, mib},
    {"icreq_timeout", Kind::duration, optional, 100, hour},
    {"connect_timeout", Kind::duration, optional, 100, hour},
    {"auth_timeout", Kind::duration, optional, 100, hour},
    {"portal_group", Kind::integer, optional, 1, 65535},
    {"iscsi", Kind::section},
    {"tls", Kind::choice, optional, 0, 0, tls_policies},
    {"tls_suites", Kind::names},
    {"tls_groups", Kind::names},
    {"tls_kernel", Kind::boolean},
};

constexpr Key listener_iscsi_keys[] = {
    {"header_digest", Kind::choice, optional, 0, 0, digests},
    {"data_digest", Kind::choice, optional, 0, 0, digests},
    {"initial_r2t", Kind::boolean},
    {"immediate_data", Kind::boolean},
    {"first_burst", Kind::size, optional, 4 * kib, 64 * kib, {}, {},
     "What comes unasked must find room, however short memory is."},
    {"max_burst", Kind::size, optional, 4 * kib, 2 * mib},
    {"max_recv_data_segment", Kind::size, optional, 4 * kib, 2 * mib},
    {"max_outstanding_r2t", Kind::integer, optional, 1, 8},
    {"queue_depth", Kind::integer, optional, 1, 1024},
    {"login_timeout", Kind::duration, optional, 100, hour},
    {"nop_interval", Kind::duration, optional, second, 24 * hour},
    {"nop_timeout", Kind::duration, optional, second, hour},
};

constexpr Key cache_device_keys[] = {
    {"path", Kind::text, required, 0, 0, {}, "path: /dev/dax0.0, or a file"},
    {"uuid", Kind::text},
    {"require", Kind::choice, optional, 0, 0, granularities},
    {"payload_crc", Kind::boolean},
};

constexpr Key pool_keys[] = {
    {"kind", Kind::choice, required, 0, 0, pool_kinds, "kind: file"},
    {"directory", Kind::text},
    {"uuid", Kind::text},
    {"provisioning", Kind::choice, optional, 0, 0, provisionings},
    {"reserve", Kind::size, optional, mib, 1024 * tib},
    {"warn_at", Kind::percent, optional, 1, 100},
    {"queue_depth", Kind::integer, optional, 1, 4096},
    {"layout", Kind::choice, optional, 0, 0, layouts},
    {"chunk_size", Kind::size, optional, 4 * kib, 16 * mib},
    {"members", Kind::paths, optional, 1, 64},
};

constexpr Key volume_keys[] = {
    {"was", Kind::name},
    {"pool", Kind::name, required, 0, 0, {}, "pool: NAME"},
    {"size", Kind::size, required, mib, 1024 * tib, {}, "size: 100GiB"},
    {"block_size", Kind::integer, optional, 512, 4096, block_sizes},
    {"atomic", Kind::choice, optional, 0, 0, atomicities},
    {"allow_format", Kind::boolean},
    {"cache", Kind::section},
    {"qos", Kind::section},
    {"overload", Kind::section},
};

constexpr Key volume_qos_keys[] = {
    {"read_iops", Kind::integer, optional, 10, 10'000'000},
    {"write_iops", Kind::integer, optional, 10, 10'000'000},
    {"iops", Kind::integer, optional, 10, 10'000'000},
    {"read_bandwidth", Kind::rate, optional, mib, tib / 16},
    {"write_bandwidth", Kind::rate, optional, mib, tib / 16},
    {"bandwidth", Kind::rate, optional, mib, tib / 16},
    {"burst", Kind::duration, optional, 100, hour},
};

constexpr Key volume_overload_keys[] = {
    {"hold", Kind::duration, optional, 100, hour / 6},
    {"retries", Kind::integer, optional, 0, 4, {}, {}, "A Linux host gives up after five."},
    {"inaccessible_after", Kind::duration, optional, 100, hour / 6},
    {"recovery", Kind::duration, optional, 0, hour / 6},
};

constexpr Key volume_cache_keys[] = {
    {"device", Kind::name, required, 0, 0, {}, "device: NAME"},
    {"mode", Kind::choice, optional, 0, 0, cache_modes},
    {"guaranteed", Kind::size, optional, mib, 128 * tib},
    {"maximum", Kind::size, optional, mib, 128 * tib},
    {"dirty_low", Kind::percent, optional, 1, 100},
    {"dirty_high", Kind::percent, optional, 1, 100},
    {"max_dirty_age", Kind::duration, optional, second, 24 * hour},
    {"ordered", Kind::choice, optional, 0, 0, orders},
};

constexpr Key host_keys[] = {
    {"nqn", Kind::nqn},
    {"iqn", Kind::iqn},
    {"chap", Kind::section},
    {"networks", Kind::networks},
    {"dhchap", Kind::section},
    {"tls_psk", Kind::secrets},
    {"tls_psk_old", Kind::secrets},
    {"tls_psk_old_until", Kind::time},
};

constexpr Key chap_keys[] = {
    {"user", Kind::text, required, 0, 0, {}, "user: NAME"},
    {"secret", Kind::secret, required, 0, 0, {}, "secret: file:/PATH, or credential:NAME"},
    {"mutual_user", Kind::text},
    {"mutual_secret", Kind::secret},
};

constexpr Key dhchap_keys[] = {
    {"key", Kind::secret, required, 0, 0, {}, "key: file:/PATH, or credential:NAME"},
    {"controller_key", Kind::secret},
    {"hash", Kind::names},
    {"dhgroup", Kind::names},
    {"required", Kind::boolean},
    {"discovery", Kind::boolean},
    {"concat", Kind::choice, optional, 0, 0, tls_policies},
    {"previous", Kind::section},
};

constexpr Key dhchap_previous_keys[] = {
    {"key", Kind::secret, required, 0, 0, {}, "key: file:/PATH, or credential:NAME"},
    {"controller_key", Kind::secret},
    {"until", Kind::text, required, 0, 0, {}, "until: \"2026-12-31T00:00:00Z\""},
};

constexpr Key subsystem_keys[] = {
    {"listeners", Kind::names, required, 0, 0, {}, "listeners: [NAME]"},
    {"hosts", Kind::names},
    {"allow_any_host", Kind::boolean},
    {"serial", Kind::text},
    {"model", Kind::text},
    {"cntlid_range", Kind::range, optional, 1, 0xffef},
    {"max_io_queues", Kind::integer, optional, 1, 128},
    {"max_queue_depth", Kind::integer, optional, 2, 1024},
    {"mdts", Kind::size, optional, 64 * kib, 2 * mib, {}, {},
     "With less, a Linux host cannot read the ANA log in one piece and does without ANA."},
    {"namespaces", Kind::named},
};

constexpr Key target_keys[] = {
    {"alias", Kind::text},
    {"listeners", Kind::names, required, 0, 0, {}, "listeners: [NAME]"},
    {"hosts", Kind::names},
    {"allow_any_host", Kind::boolean},
    {"chap", Kind::section},
    {"luns", Kind::named},
};

constexpr Key iscsi_keys[] = {
    {"discovery_chap", Kind::section},
    {"max_sessions", Kind::integer, optional, 1, 65535},
};

// Of namespaces and LUNs.
constexpr Key export_keys[] = {
    {"volume", Kind::name, required, 0, 0, {}, "volume: NAME"},
    {"hosts", Kind::names},
};

constexpr Key metrics_keys[] = {
    {"address", Kind::address},
    {"port", Kind::integer, optional, 1, 65535},
    {"stages", Kind::names},
    {"status_page", Kind::boolean},
};

constexpr Key control_keys[] = {
    {"socket", Kind::text},
    {"group", Kind::name},
    {"listen", Kind::endpoints, optional, 1, 16},
    {"tls", Kind::choice, optional, 0, 0, control_tls},
    {"certificate", Kind::secret},
    {"key", Kind::secret},
};

constexpr Key scrub_keys[] = {
    {"rate", Kind::rate, optional, mib, tib / 64},
};

constexpr Key log_keys[] = {
    {"level", Kind::choice, optional, 0, 0, log_levels},
};

constexpr Section sections[] = {
    {"", top_keys},
    {"reactors", reactor_keys},
    {"listeners.*", listener_keys},
    {"listeners.*.iscsi", listener_iscsi_keys},
    {"cache_devices.*", cache_device_keys},
    {"pools.*", pool_keys},
    {"volumes.*", volume_keys},
    {"volumes.*.cache", volume_cache_keys},
    {"volumes.*.overload", volume_overload_keys},
    {"volumes.*.qos", volume_qos_keys},
    {"hosts.*", host_keys},
    {"hosts.*.chap", chap_keys},
    {"hosts.*.dhchap", dhchap_keys},
    {"hosts.*.dhchap.previous", dhchap_previous_keys},
    {"subsystems.*", subsystem_keys},
    {"subsystems.*.namespaces.*", export_keys},
    {"targets.*", target_keys},
    {"targets.*.chap", chap_keys},
    {"targets.*.luns.*", export_keys},
    {"iscsi", iscsi_keys},
    {"iscsi.discovery_chap", chap_keys},
    {"metrics", metrics_keys},
    {"control", control_keys},
    {"scrub", scrub_keys},
    {"log", log_keys},
};
// clang-format on

}  // namespace

std::span<const Section> all_sections() { return sections; }

const Section& section_of(std::string_view pattern) {
  const auto* found = std::ranges::find(sections, pattern, &Section::pattern);
  CHECK(found != std::end(sections));
  return *found;
}

const Key& key_of(const Section& section, std::string_view name) {
  const auto found = std::ranges::find(section.keys, name, &Key::name);
  CHECK(found != section.keys.end());
  return *found;
}

}  // namespace config
