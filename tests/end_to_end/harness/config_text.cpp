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

void write(Writer& out, const SubsystemText& subsystem) {
  out.line("  {}:", subsystem.nqn);
  out.line("    listeners: {}", subsystem.listeners);
  if (subsystem.hosts.empty()) {
    out.line("    allow_any_host: true");
  } else {
    out.line("    hosts: {}", subsystem.hosts);
  }
  std::istringstream options(subsystem.options);
  for (std::string option; std::getline(options, option);) out.line("    {}", option);
  if (!subsystem.namespaces.empty()) out.line("    namespaces:");
  for (const NamespaceText& space : subsystem.namespaces) {
    out.line("      {}: {{volume: {}{}}}", space.nsid, space.volume,
             space.hosts.empty() ? "" : ", hosts: " + space.hosts);
  }
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
    out.line("  {}: {{protocol: nvme-tcp, address: \"{}\", port: {}{}}}", listener.name,
             listener.address, listener.port,
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
    out.line("  {}: {{pool: {}, size: {}, block_size: {}{}}}", volume.name, volume.pool,
             volume.size, volume.block_size,
             volume.cache.empty() ? "" : ", cache: {" + volume.cache + "}");
  }
  if (!hosts.empty()) out.line("hosts:");
  for (const HostText& host : hosts) out.line("  {}: {{nqn: {}}}", host.name, host.nqn);
  if (!subsystems.empty()) out.line("subsystems:");
  for (const SubsystemText& subsystem : subsystems) write(out, subsystem);
  out.line("control: {{socket: {}}}", control_socket);
  out.line("log: {{level: {}}}", log_level);
  return out.take();
}

client::Endpoint ConfigText::endpoint(std::size_t index) const {
  const ListenerText& listener = listeners.at(index);
  return {.host = listener.address == "*" ? "127.0.0.1" : listener.address, .port = listener.port};
}

}  // namespace end_to_end
