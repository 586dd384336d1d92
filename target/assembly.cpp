#include "target/assembly.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <string_view>
#include <utility>

#include "config/transfer_memory.h"
#include "target/scsi/unit_limits.h"

namespace target {
namespace {

// config knows nothing of buffers, and must reckon with the same.
static_assert(config::largest_scsi_transfer == scsi::largest_transfer);

// Of nvmf::ListenerOptions or iscsi::ListenerOptions.
template <class Family>
Family family_of(const config::IpAddress& address) {
  switch (address.family) {
    case config::IpAddress::Family::any:
      return Family::any;
    case config::IpAddress::Family::ipv4:
      return Family::ipv4;
    case config::IpAddress::Family::ipv6:
      return Family::ipv6;
  }
  return Family::any;
}

nvmf::ListenerOptions::Discovery discovery_of(config::Discovery discovery) {
  switch (discovery) {
    case config::Discovery::also:
      return nvmf::ListenerOptions::Discovery::also;
    case config::Discovery::only:
      return nvmf::ListenerOptions::Discovery::only;
    case config::Discovery::none:
      return nvmf::ListenerOptions::Discovery::none;
  }
  return nvmf::ListenerOptions::Discovery::also;
}

nvmf::ListenerOptions::Tls tls_of(config::Tls tls) {
  switch (tls) {
    case config::Tls::none:
      return nvmf::ListenerOptions::Tls::none;
    case config::Tls::permitted:
      return nvmf::ListenerOptions::Tls::permitted;
    case config::Tls::required:
      return nvmf::ListenerOptions::Tls::required;
  }
  return nvmf::ListenerOptions::Tls::none;
}

// nvmf's or iscsi's.
template <class DigestPolicy>
DigestPolicy digests_of(config::Digests digests) {
  switch (digests) {
    case config::Digests::permitted:
      return DigestPolicy::permitted;
    case config::Digests::required:
      return DigestPolicy::required;
    case config::Digests::refused:
      return DigestPolicy::refused;
  }
  return DigestPolicy::permitted;
}

engine::PoolSpec::Kind kind_of(config::Pool::Kind kind) {
  switch (kind) {
    case config::Pool::Kind::file:
      return engine::PoolSpec::Kind::file;
    case config::Pool::Kind::device:
      return engine::PoolSpec::Kind::device;
    case config::Pool::Kind::memory:
      return engine::PoolSpec::Kind::memory;
  }
  return engine::PoolSpec::Kind::memory;
}

engine::format::MemberLayout layout_of(config::Pool::Layout layout) {
  switch (layout) {
    case config::Pool::Layout::single:
      return engine::format::MemberLayout::single;
    case config::Pool::Layout::linear:
      return engine::format::MemberLayout::linear;
    case config::Pool::Layout::stripe:
      return engine::format::MemberLayout::stripe;
  }
  return engine::format::MemberLayout::single;
}

engine::PmemGranularity granularity_of(config::Require require) {
  switch (require) {
    case config::Require::byte:
      return engine::PmemGranularity::byte;
    case config::Require::cache_line:
      return engine::PmemGranularity::cache_line;
    case config::Require::page:
      return engine::PmemGranularity::page;
  }
  return engine::PmemGranularity::page;
}

engine::CacheMode mode_of(config::VolumeCache::Mode mode) {
  switch (mode) {
    case config::VolumeCache::Mode::write_back:
      return engine::CacheMode::write_back;
    case config::VolumeCache::Mode::write_through:
      return engine::CacheMode::write_through;
    case config::VolumeCache::Mode::write_around:
      return engine::CacheMode::write_around;
    case config::VolumeCache::Mode::pass_through:
      return engine::CacheMode::pass_through;
    case config::VolumeCache::Mode::read_only:
      return engine::CacheMode::read_only;
  }
  return engine::CacheMode::write_back;
}

template <class T>
std::optional<T> value_of(const std::optional<config::Located<T>>& located) {
  return located ? std::optional(located->value) : std::nullopt;
}

engine::VolumeCacheSpec volume_cache_spec(const config::VolumeCache& cache) {
  return {.device = cache.device.value,
          .mode = mode_of(cache.mode),
          .guaranteed = value_of(cache.guaranteed).value_or(engine::ByteCount{}),
          .maximum = value_of(cache.maximum).value_or(engine::ByteCount{}),
          .dirty_low_percent = cache.dirty_low_percent,
          .dirty_high_percent = cache.dirty_high_percent,
          .max_dirty_age = cache.max_dirty_age,
          .ordered = cache.ordered == config::VolumeCache::Ordered::journal
                         ? engine::WriteBackOrder::journal
                         : engine::WriteBackOrder::batch};
}

// Without the zone ("%eth0"): the discovery log tells addresses that other machines can use.
std::string address_text(const config::IpAddress& address) {
  if (address.is_wildcard()) return {};
  return address.text.substr(0, address.text.find('%'));
}

// A PSK's hash is that of the suite that it is used with.
std::vector<protocol::auth::DhchapHash> concatenation_hashes(const config::NvmeTcpOptions& tcp) {
  using protocol::auth::DhchapHash;
  std::vector<DhchapHash> hashes;
  if (tcp.tls == config::Tls::none) return hashes;
  const auto has = [&tcp](protocol::tls::Hash hash) {
    return std::ranges::count(tcp.tls_suites, std::string_view(protocol::tls::suite_of(hash))) != 0;
  };
  if (has(protocol::tls::Hash::sha256)) hashes.push_back(DhchapHash::sha256);
  if (has(protocol::tls::Hash::sha384)) hashes.push_back(DhchapHash::sha384);
  return hashes;
}

nvmf::ListenerOptions nvmf_listener(const config::Listener& listener) {
  return {.name = listener.name,
          .family = family_of<nvmf::ListenerOptions::Family>(listener.address.value),
          .address = address_text(listener.address.value),
          .port = listener.port.value,
          .discovery = discovery_of(listener.discovery),
          .tls = tls_of(listener.nvme_tcp.tls),
          .in_capsule_data = listener.nvme_tcp.in_capsule_data,
          .concatenation_hashes = concatenation_hashes(listener.nvme_tcp),
          .authentication_timeout = listener.nvme_tcp.auth_timeout};
}

// What a protocol knows these hosts by.
std::vector<std::string> identities_of(const config::Config& config,
                                       const std::vector<config::Located<std::string>>& names,
                                       std::string config::Host::*identity) {
  std::vector<std::string> identities;
  identities.reserve(names.size());
  for (const auto& name : names) identities.push_back(config.hosts.at(name.value).*identity);
  return identities;
}

std::optional<std::vector<std::string>> identities_of(const config::Config& config,
                                                      const config::Export& exported,
                                                      std::string config::Host::*identity) {
  if (!exported.hosts) return std::nullopt;
  return identities_of(config, *exported.hosts, identity);
}

nvmf::NamespaceOptions namespace_options(const config::Config& config, const config::Export& space,
                                         const BlockVolumes& volumes) {
  return {.nsid = space.number,
          .volume = volumes.at(space.volume.value).get(),
          .hosts = identities_of(config, space, &config::Host::nqn)};
}

nvmf::SubsystemOptions subsystem_options(const config::Config& config,
                                         const config::Subsystem& subsystem,
                                         const BlockVolumes& volumes) {
  nvmf::SubsystemOptions options;
  options.nqn = subsystem.nqn;
  options.serial = subsystem.serial.value_or("");
  options.model = subsystem.model;
  options.hosts = {.allow_any = subsystem.allow_any_host,
                   .nqns = identities_of(config, subsystem.hosts, &config::Host::nqn)};
  for (const auto& listener : subsystem.listeners) options.listeners.push_back(listener.value);
  options.cntlid_min = subsystem.cntlid_min;
  options.cntlid_max = subsystem.cntlid_max;
  options.max_io_queues = static_cast<std::uint16_t>(subsystem.max_io_queues);
  options.max_queue_entries = subsystem.max_queue_depth;
  options.max_transfer = subsystem.mdts;
  for (const auto& [nsid, space] : subsystem.namespaces) {
    options.namespaces.push_back(namespace_options(config, space, volumes));
  }
  return options;
}

// Those of `all` that are named, in that order; if none is, all but `weak`.
template <std::size_t N, class Id>
std::vector<Id> ids_of(const std::array<Id, N>& all,
                       const std::vector<config::Located<std::string>>& names,
                       std::optional<Id> weak = std::nullopt) {
  std::vector<Id> ids;
  for (const auto& name : names) {
    ids.push_back(*std::ranges::find(all, name.value, [](Id id) { return name_of(id); }));
  }
  if (!names.empty()) return ids;
  std::ranges::copy_if(all, std::back_inserter(ids), [weak](Id id) { return id != weak; });
  return ids;
}

protocol::auth::DhchapKeys dhchap_keys(const config::DhchapKeys& keys, const Secrets& secrets) {
  protocol::auth::DhchapKeys made{.host = secrets.dhchap_of(keys.key.value)};
  if (keys.controller_key) made.controller = secrets.dhchap_of(keys.controller_key->value);
  return made;
}

nvmf::ConcatenationPolicy concatenation_of(config::Concat policy) {
  switch (policy) {
    case config::Concat::none:
      return nvmf::ConcatenationPolicy::none;
    case config::Concat::permitted:
      return nvmf::ConcatenationPolicy::permitted;
    case config::Concat::required:
      return nvmf::ConcatenationPolicy::required;
  }
  return nvmf::ConcatenationPolicy::none;
}

nvmf::HostKeys host_keys(const config::Host& host, const Secrets& secrets) {
  namespace auth = protocol::auth;
  const config::Dhchap& wanted = *host.dhchap;
  nvmf::HostKeys keys;
  keys.nqn = host.nqn;
  keys.required = wanted.required;
  keys.required_at_discovery = wanted.discovery;
  keys.concatenation = concatenation_of(wanted.concat);
  keys.credentials.keys = dhchap_keys(wanted.keys, secrets);
  if (wanted.previous) {
    keys.credentials.previous = dhchap_keys(wanted.previous->keys, secrets);
    keys.credentials.previous_until = wanted.previous->until.value.time_since_epoch();
  }
  keys.credentials.hashes = ids_of(auth::dhchap_hashes, wanted.hashes);
  // Without Diffie-Hellman an eavesdropper can try keys at home.
  keys.credentials.groups =
      ids_of(auth::dh_groups, wanted.groups, std::optional(auth::DhGroup::null));
  return keys;
}

iscsi::ListenerOptions iscsi_listener(const config::Listener& listener) {
  return {.name = listener.name,
          .family = family_of<iscsi::ListenerOptions::Family>(listener.address.value),
          .address = address_text(listener.address.value),
          .port = listener.port.value,
          .portal_group = listener.portal_group};
}

std::optional<iscsi::ChapOptions> chap_options(const std::optional<config::Chap>& chap,
                                               const Secrets& secrets) {
  if (!chap) return std::nullopt;
  iscsi::ChapOptions options{
      .initiator = {.user = chap->user.value, .secret = secrets.of(chap->secret.value)},
      .mutual = std::nullopt};
  if (chap->mutual_secret) {
    options.mutual = iscsi::ChapAccount{.user = chap->mutual_user->value,
                                        .secret = secrets.of(chap->mutual_secret->value)};
  }
  return options;
}

iscsi::InitiatorOptions initiator_options(const config::Host& host, const Secrets& secrets) {
  iscsi::InitiatorOptions options{
      .name = host.iqn, .chap = chap_options(host.chap, secrets), .networks = {}};
  for (const auto& network : host.networks) options.networks.push_back(network.text);
  return options;
}

iscsi::NodeOptions node_options(const config::Config& config, const config::Target& target,
                                const BlockVolumes& volumes, const Secrets& secrets) {
  iscsi::NodeOptions options;
  options.name = target.iqn;
  options.alias = target.alias.value_or("");
  options.initiators = {.allow_any = target.allow_any_host,
                        .names = identities_of(config, target.hosts, &config::Host::iqn)};
  for (const auto& listener : target.listeners) options.listeners.push_back(listener.value);
  options.chap = chap_options(target.chap, secrets);
  for (const auto& [lun, exported] : target.luns) {
    options.luns.push_back({.lun = static_cast<std::uint16_t>(lun),
                            .volume = volumes.at(exported.volume.value).get(),
                            .initiators = identities_of(config, exported, &config::Host::iqn)});
  }
  return options;
}

}  // namespace

std::vector<engine::CacheSpec> cache_specs(const config::Config& config) {
  std::vector<engine::CacheSpec> specs;
  for (const auto& [name, device] : config.cache_devices) {
    specs.push_back({.name = name,
                     .path = device.path.value,
                     .uuid = value_of(device.uuid),
                     .required = granularity_of(device.require.value),
                     .payload_crc = value_of(device.payload_crc)});
  }
  return specs;
}

std::vector<engine::PoolSpec> pool_specs(const config::Config& config) {
  std::vector<engine::PoolSpec> specs;
  for (const auto& [name, pool] : config.pools) {
    engine::PoolSpec spec{
        .name = name,
        .kind = kind_of(pool.kind),
        .directory = pool.directory.value,
        .uuid = value_of(pool.uuid),
        .provisioning = pool.provisioning.value == config::Pool::Provisioning::thin
                            ? engine::Provisioning::thin
                            : engine::Provisioning::thick,
        .reserve = pool.reserve.value,
        .warn_at = value_of(pool.warn_at),
        .queue_depth = pool.queue_depth ? pool.queue_depth->value : 0};
    for (const auto& member : pool.members) spec.members.push_back(member.value);
    if (pool.kind == config::Pool::Kind::device) spec.layout = layout_of(pool.layout.value);
    spec.chunk = value_of(pool.chunk_size);
    specs.push_back(std::move(spec));
  }
  return specs;
}

std::vector<engine::VolumeSpec> volume_specs(const config::Config& config) {
  std::vector<engine::VolumeSpec> specs;
  for (const auto& [name, volume] : config.volumes) {
    engine::VolumeSpec spec{
        .name = name,
        .pool = volume.pool.value,
        .size = volume.size.value,
        .block_size = volume.block_size.value,
        .was = volume.was.value,
        .needs_atomic_writes = volume.atomic.value == config::Volume::Atomic::required};
    if (volume.cache) spec.cache = volume_cache_spec(*volume.cache);
    specs.push_back(std::move(spec));
  }
  return specs;
}

block::VolumeLimits volume_limits(const config::VolumeQos& qos) {
  return {.read_commands = qos.read_iops,
          .write_commands = qos.write_iops,
          .commands = qos.iops,
          .read_bytes = qos.read_bandwidth.value,
          .write_bytes = qos.write_bandwidth.value,
          .bytes = qos.bandwidth.value,
          .burst = qos.burst};
}

block::OverloadTimes overload_times(const config::VolumeOverload& overload) {
  return {.hold = overload.hold,
          .retries = overload.retries,
          .inaccessible_after = overload.inaccessible_after,
          .recovery = overload.recovery};
}

std::unique_ptr<block::BlockVolume> block_volume(engine::Volume& volume,
                                                 const config::Config& config,
                                                 engine::Instant now) {
  auto made = std::make_unique<block::BlockVolume>(volume, config.reactors.count);
  const auto wish = config.volumes.find(volume.identity().name);
  if (wish == config.volumes.end()) return made;
  made->limiter().set_limits(volume_limits(wish->second.qos), now);
  made->set_overload_times(overload_times(wish->second.overload));
  made->allow_format(wish->second.allow_format);
  return made;
}

BlockVolumes block_volumes(engine::Engine& engine, const config::Config& config,
                           engine::Instant now) {
  BlockVolumes volumes;
  for (engine::Volume* volume : engine.volumes()) {
    volumes.emplace(volume->identity().name, block_volume(*volume, config, now));
  }
  return volumes;
}

nvmf::TargetOptions nvmf_options(const config::Config& config, const BlockVolumes& volumes,
                                 const Secrets& secrets) {
  nvmf::TargetOptions options;
  options.discovery_nqn = nvmf::make_discovery_nqn(config.node);
  for (const auto& [name, listener] : config.listeners) {
    if (listener.protocol == config::Protocol::nvme_tcp) {
      options.listeners.push_back(nvmf_listener(listener));
    }
  }
  for (const auto& [nqn, subsystem] : config.subsystems) {
    options.subsystems.push_back(subsystem_options(config, subsystem, volumes));
  }
  for (const auto& [name, host] : config.hosts) {
    if (host.dhchap) options.host_keys.push_back(host_keys(host, secrets));
  }
  return options;
}

nvmf::ConnectionOptions nvmf_connection_options(const config::Listener& listener) {
  const config::NvmeTcpOptions& tcp = listener.nvme_tcp;
  nvmf::ConnectionOptions options;
  options.listener = listener.name;
  options.digests = digests_of<nvmf::DigestPolicy>(tcp.digests);
  options.c2h_success = tcp.c2h_success;
  options.in_capsule_bytes = static_cast<std::uint32_t>(tcp.in_capsule_data.value);
  options.max_r2t = tcp.max_r2t;
  options.max_h2c_data_bytes = static_cast<std::uint32_t>(tcp.max_h2c_data.value);
  options.icreq_timeout = tcp.icreq_timeout;
  options.connect_timeout = tcp.connect_timeout;
  options.limits.stall_timeout = listener.idle_timeout;
  return options;
}

std::string tls_key_name(const config::SecretRef& ref) {
  return ref.name.substr(ref.name.rfind('/') + 1);
}

std::shared_ptr<const tls::KeyRing> tls_key_ring(const config::Config& config,
                                                 const Secrets& secrets) {
  std::vector<tls::HostKeys> hosts;
  for (const auto& [name, host] : config.hosts) {
    if (host.tls_psk.empty()) continue;
    tls::HostKeys& keys = hosts.emplace_back(tls::HostKeys{.host_nqn = host.nqn, .keys = {}});
    const auto add = [&](const config::Located<config::SecretRef>& ref,
                         std::optional<tls::WallTime> until) {
      const auto psk = protocol::tls::parse_key_text(secrets.of(ref.value));
      keys.keys.push_back({.name = tls_key_name(ref.value),
                           .psk = std::get<protocol::tls::ConfiguredPsk>(psk),
                           .until = until});
    };
    for (const auto& ref : host.tls_psk) add(ref, std::nullopt);
    for (const auto& ref : host.tls_psk_old) add(ref, host.tls_psk_old_until->value);
  }
  return std::make_shared<const tls::KeyRing>(hosts);
}

std::shared_ptr<tls::Door> tls_door(const config::Listener& listener, const tls::KeyStore& keys,
                                    tls::TlsCounters& counters, HostObserver observe) {
  const config::NvmeTcpOptions& tcp = listener.nvme_tcp;
  if (tcp.tls == config::Tls::none) return nullptr;
  protocol::tls::HandshakeOptions options{.suites = {}, .groups = tcp.tls_groups};
  for (const auto hash : {protocol::tls::Hash::sha256, protocol::tls::Hash::sha384}) {
    if (std::ranges::count(tcp.tls_suites, std::string_view(protocol::tls::suite_of(hash))) != 0) {
      options.suites.push_back(hash);
    }
  }
  return std::make_shared<tls::Door>(
      listener.name,
      tcp.tls == config::Tls::required ? tls::Policy::required : tls::Policy::permitted,
      std::move(options), keys, counters, std::move(observe), tcp.tls_kernel);
}

iscsi::TargetOptions iscsi_options(const config::Config& config, const BlockVolumes& volumes,
                                   const Secrets& secrets) {
  iscsi::TargetOptions options;
  for (const auto& [name, listener] : config.listeners) {
    if (listener.protocol == config::Protocol::iscsi) {
      options.listeners.push_back(iscsi_listener(listener));
    }
  }
  for (const auto& [name, host] : config.hosts) {
    if (!host.iqn.empty()) options.initiators.push_back(initiator_options(host, secrets));
  }
  for (const auto& [name, target] : config.targets) {
    options.nodes.push_back(node_options(config, target, volumes, secrets));
  }
  options.discovery_chap = chap_options(config.iscsi.discovery_chap, secrets);
  options.max_sessions = config.iscsi.max_sessions;
  return options;
}

iscsi::ConnectionOptions iscsi_connection_options(const config::Listener& listener) {
  const config::IscsiOptions& wanted = listener.iscsi;
  iscsi::ConnectionOptions options;
  options.listener = listener.name;
  options.header_digest = digests_of<iscsi::DigestPolicy>(wanted.header_digest);
  options.data_digest = digests_of<iscsi::DigestPolicy>(wanted.data_digest);
  options.initial_r2t = wanted.initial_r2t;
  options.immediate_data = wanted.immediate_data;
  options.first_burst_bytes = static_cast<std::uint32_t>(wanted.first_burst.value);
  options.max_burst_bytes = static_cast<std::uint32_t>(wanted.max_burst.value);
  options.max_outstanding_r2t = wanted.max_outstanding_r2t;
  options.max_receive_bytes = static_cast<std::uint32_t>(wanted.max_recv_data_segment.value);
  options.queue_depth = wanted.queue_depth;
  options.login_timeout = wanted.login_timeout;
  options.nop_interval = wanted.nop_interval;
  options.nop_timeout = wanted.nop_timeout;
  options.stall_timeout = listener.idle_timeout;
  return options;
}

}  // namespace target
