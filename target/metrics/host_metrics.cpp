// Metrics of hosts and of their connections.
#include <string>

#include "target/metrics/families.h"
#include "target/metrics/snapshot.h"

namespace target::metrics {
namespace {

struct Protocol {
  const char* name;
  const ProtocolFigures& figures;
};

template <class F>
void for_each_protocol(const Snapshot& snapshot, F&& visit) {
  visit(Protocol{"nvme-tcp", snapshot.nvme});
  visit(Protocol{"iscsi", snapshot.iscsi});
}

void add_each_host(Families::Family family, const Snapshot& snapshot,
                   std::uint64_t HostCounts::*figure) {
  for_each_protocol(snapshot, [&](const Protocol& protocol) {
    for (const auto& [host, counts] : protocol.figures.hosts.all()) {
      family.add({{"host", host}, {"protocol", protocol.name}}, counts.*figure);
    }
  });
}

void add_each_protocol(Families::Family family, const Snapshot& snapshot,
                       std::uint64_t ProtocolFigures::*figure) {
  for_each_protocol(snapshot, [&](const Protocol& protocol) {
    family.add({{"protocol", protocol.name}}, protocol.figures.*figure);
  });
}

void add_host_work(Families& families, const Snapshot& snapshot) {
  add_each_host(families.gauge("host_sessions", "NVMe controllers or iSCSI sessions now."),
                snapshot, &HostCounts::sessions);
  add_each_host(families.gauge("host_connections", "TCP connections in them."), snapshot,
                &HostCounts::connections);
  add_each_host(families.counter("host_connects_total", "Sessions that the host has begun."),
                snapshot, &HostCounts::connects);
  add_each_host(families.counter("host_reconnects_total", "Of them, in the place of one it lost."),
                snapshot, &HostCounts::reconnects);
  add_each_host(families.counter("host_digest_errors_total", "PDUs of it with a wrong digest."),
                snapshot, &HostCounts::digest_errors);
  add_each_host(families.counter("host_authentication_failures_total",
                                 "Logins by this name that did not prove it."),
                snapshot, &HostCounts::authentication_failures);
  add_each_host(families.counter("host_keep_alive_expiries_total",
                                 "Sessions ended because the host was silent."),
                snapshot, &HostCounts::keep_alive_expiries);
  add_each_host(families.counter("host_reads_total", "Reads that succeeded."), snapshot,
                &HostCounts::reads);
  add_each_host(families.counter("host_writes_total", "Writes that succeeded."), snapshot,
                &HostCounts::writes);
  add_each_host(families.counter("host_read_bytes_total", "Bytes read by the host."), snapshot,
                &HostCounts::read_bytes);
  add_each_host(families.counter("host_written_bytes_total", "Bytes written by the host."),
                snapshot, &HostCounts::written_bytes);
  add_each_host(families.counter("host_media_errors_total", "Commands that met bad media."),
                snapshot, &HostCounts::media_errors);
}

void add_logins(Families& families, const Snapshot& snapshot) {
  add_each_protocol(families.counter("logins_total", "Connects and logins that were accepted."),
                    snapshot, &ProtocolFigures::logins);
  add_each_protocol(families.counter("logins_refused_total", "Those that were refused."), snapshot,
                    &ProtocolFigures::refused_logins);
  add_each_protocol(families.counter("authentication_failures_total",
                                     "Those of hosts that did not prove who they are."),
                    snapshot, &ProtocolFigures::failed_authentications);
}

void add_listeners(Families& families, const Snapshot& snapshot) {
  auto up = families.gauge("listener_up", "Whether it is listening.");
  for (const ListenerFigures& listener : snapshot.listeners) {
    up.add({{"listener", listener.name}, {"protocol", listener.protocol}}, listener.up);
  }
  auto connections = families.gauge("listener_connections", "Open connections.");
  for (const ListenerFigures& listener : snapshot.listeners) {
    connections.add({{"listener", listener.name}, {"protocol", listener.protocol}},
                    listener.connections);
  }
}

void add_connections(Families& families, const Snapshot& snapshot) {
  const ConnectionFigures& all = snapshot.connections;
  const std::uint64_t open = all.opened > all.closed ? all.opened - all.closed : 0;
  families.gauge("connections", "Open connections of all listeners.").add({}, open);
  families.counter("connections_opened_total", "Connections that were accepted.")
      .add({}, all.opened);
  auto ended = families.counter("connections_ended_total", "Connections that ended, by why.");
  for (std::size_t i = 0; i < end_reason_count; ++i) {
    ended.add({{"reason", text(static_cast<EndReason>(i))}}, all.ended[i]);
  }
  families.counter("tls_handshakes_total", "TLS handshakes that were completed.")
      .add({}, snapshot.tls.handshakes);
  auto failures = families.counter("tls_failures_total", "Peers without TLS, or not any more.");
  for (std::size_t i = 0; i < tls::tls_fault_count; ++i) {
    failures.add({{"reason", tls::label(static_cast<tls::TlsFault>(i))}}, snapshot.tls.failures[i]);
  }
  families
      .counter("tls_kernel_connections_total", "Connections whose TLS records the kernel carries.")
      .add({}, snapshot.tls.kernel_connections);
  families.counter("tls_key_updates_total", "Changes of keys that hosts began.")
      .add({}, snapshot.tls.key_updates);
  families.counter("network_receive_bytes_total", "Bytes from hosts.").add({}, all.bytes_received);
  families.counter("network_transmit_bytes_total", "Bytes to hosts.").add({}, all.bytes_sent);
  families.counter("header_digest_errors_total", "PDUs with a wrong header digest.")
      .add({}, all.header_digest_errors);
  families.counter("data_digest_errors_total", "PDUs with a wrong data digest.")
      .add({}, all.data_digest_errors);
  families.counter("protocol_errors_total", "Connections whose host broke the protocol.")
      .add({}, all.protocol_errors);
  families.counter("connection_timeouts_total", "Connections whose host owed something for long.")
      .add({}, all.timeouts);
  families.counter("buffer_waits_total", "Commands that had to wait for a buffer.")
      .add({}, all.buffer_waits);
  families.counter("hang_refusals_total", "Commands sent back because their volume hangs.")
      .add({}, all.hang_refusals);
  families.counter("pins_copied_total", "Replies copied out of the cache for slow hosts.")
      .add({}, all.pins_copied);
}

}  // namespace

void add_hosts(Families& families, const Snapshot& snapshot) {
  add_host_work(families, snapshot);
  add_logins(families, snapshot);
  add_listeners(families, snapshot);
  add_connections(families, snapshot);
}

}  // namespace target::metrics
