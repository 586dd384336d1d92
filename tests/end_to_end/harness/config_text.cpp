#include "tests/end_to_end/harness/config_text.h"

#include <fmt/format.h>

#include <iterator>
#include <sstream>

namespace end_to_end {
namespace {

class Writer {
 public:
  template <class... Args>
  void line(fmt::format_string<Args...> format, Args&&... arguments) {
    fmt::format_to(std::back_inserter(text_), format, std::forward<Args>(arguments)...);
    text_ += '\n';
  }
  [[nodiscard]] std::string take() { return std::move(text_); }

 private:
  std::string text_;
};

void write_options(Writer& out, const std::string& lines) {
  std::istringstream options(lines);
  for (std::string option; std::getline(options, option);) out.line("    {}", option);
}

// What a subsystem and a target have in common.
void write_common(Writer& out, const std::string& name, const auto& entry) {
  out.line("  {}:", name);
  out.line("    listeners: {}", entry.listeners);
  if (entry.hosts.empty()) {
    out.line("    allow_any_host: true");
  } else {
    out.line("    hosts: {}", entry.hosts);
  }
  write_options(out, entry.options);
}

void write(Writer& out, const SubsystemText& subsystem) {
  write_common(out, subsystem.nqn, subsystem);
  if (!subsystem.namespaces.empty()) out.line("    namespaces:");
  for (const NamespaceText& space : subsystem.namespaces) {
    out.line("      {}: {{volume: {}{}}}", space.nsid, space.volume,
             space.hosts.empty() ? "" : ", hosts: " + space.hosts);
  }
}

void write(Writer& out, const TargetText& target) {
  write_common(out, target.iqn, target);
  if (!target.luns.empty()) out.line("    luns:");
  for (const LunText& lun : target.luns) {
    out.line("      {}: {{volume: {}{}}}", lun.lun, lun.volume,
             lun.hosts.empty() ? "" : ", hosts: " + lun.hosts);
  }
}

void write(Writer& out, const HostText& host) {
  out.line("  {}:", host.name);
  if (!host.nqn.empty()) out.line("    nqn: {}", host.nqn);
  if (!host.iqn.empty()) out.line("    iqn: {}", host.iqn);
  if (!host.chap.empty()) out.line("    chap: {{{}}}", host.chap);
  write_options(out, host.options);
}

}  // namespace

std::string ConfigText::yaml() const {
  Writer out;
  out.line("apiVersion: forebay/v1");
  out.line("node: {}", node);
  out.line("reactors: {{count: {}}}", reactors);
  out.line("memory: {}", memory);
  out.line("listeners:");
  for (const ListenerText& listener : listeners) {
    out.line("  {}: {{protocol: {}, address: \"{}\", port: {}{}}}", listener.name,
             listener.protocol, listener.address, listener.port,
             listener.options.empty() ? "" : ", " + listener.options);
  }
  if (!caches.empty()) out.line("cache_devices:");
  for (const CacheText& cache : caches) out.line("  {}: {{path: {}}}", cache.name, cache.path);
  if (!pools.empty()) out.line("pools:");
  for (const PoolText& pool : pools) {
    if (!pool.members.empty()) {
      out.line("  {}: {{kind: device, layout: {}, members: {}{}}}", pool.name, pool.layout,
               pool.members, pool.options.empty() ? "" : ", " + pool.options);
    } else if (pool.directory.empty()) {
      out.line("  {}: {{kind: memory}}", pool.name);
    } else {
      out.line("  {}: {{kind: file, directory: {}{}}}", pool.name, pool.directory,
               pool.options.empty() ? "" : ", " + pool.options);
    }
  }
  if (!volumes.empty()) out.line("volumes:");
  for (const VolumeText& volume : volumes) {
    out.line("  {}: {{{}pool: {}, size: {}, block_size: {}{}{}{}{}}}", volume.name,
             volume.was.empty() ? "" : "was: " + volume.was + ", ", volume.pool, volume.size,
             volume.block_size, volume.allow_format ? ", allow_format: true" : "",
             volume.cache.empty() ? "" : ", cache: {" + volume.cache + "}",
             volume.qos.empty() ? "" : ", qos: {" + volume.qos + "}",
             volume.overload.empty() ? "" : ", overload: {" + volume.overload + "}");
  }
  if (!hosts.empty()) out.line("hosts:");
  for (const HostText& host : hosts) write(out, host);
  if (!subsystems.empty()) out.line("subsystems:");
  for (const SubsystemText& subsystem : subsystems) write(out, subsystem);
  if (!targets.empty()) out.line("targets:");
  for (const TargetText& target : targets) write(out, target);
  if (metrics_port != 0) out.line("metrics: {{address: 127.0.0.1, port: {}}}", metrics_port);
  out.line("control: {{socket: {}}}", control_socket);
  out.line("log: {{level: {}}}", log_level);
  return out.take();
}

client::Endpoint ConfigText::endpoint(std::size_t index) const {
  const ListenerText& listener = listeners.at(index);
  return {.host = listener.address == "*" ? "127.0.0.1" : listener.address, .port = listener.port};
}

}  // namespace end_to_end
