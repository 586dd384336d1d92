#include "target/metrics/collection.h"

#include <prometheus/text_serializer.h>

#include "target/metrics/families.h"

namespace target::metrics {

ConnectionFigures figures_of(const CountersByProtocol& counters) {
  using Counters = ConnectionCounters;
  ConnectionFigures copy;
  // In this order: what is closed between the two only looks as if it were still open.
  copy.closed = counters.sum(&Counters::closed);
  copy.opened = counters.sum(&Counters::opened);
  copy.bytes_received = counters.sum(&Counters::bytes_received);
  copy.bytes_sent = counters.sum(&Counters::bytes_sent);
  copy.header_digest_errors = counters.sum(&Counters::header_digest_errors);
  copy.data_digest_errors = counters.sum(&Counters::data_digest_errors);
  copy.protocol_errors = counters.sum(&Counters::protocol_errors);
  copy.timeouts = counters.sum(&Counters::timeouts);
  copy.buffer_waits = counters.sum(&Counters::buffer_waits);
  copy.hang_refusals = counters.sum(&Counters::hang_refusals);
  copy.pins_copied = counters.sum(&Counters::pins_copied);
  for (const auto* of : {&counters.nvme_tcp, &counters.iscsi}) {
    for (std::size_t i = 0; i < end_reason_count; ++i) {
      copy.ended[i] += of->ended[i].load(std::memory_order_relaxed);
    }
  }
  return copy;
}

TlsFigures figures_of(const tls::TlsCounters& counters) {
  TlsFigures copy;
  copy.handshakes = counters.handshakes.load(std::memory_order_relaxed);
  copy.kernel_connections = counters.kernel_connections.load(std::memory_order_relaxed);
  copy.key_updates = counters.key_updates.load(std::memory_order_relaxed);
  for (std::size_t i = 0; i < tls::tls_fault_count; ++i) {
    copy.failures[i] = counters.failures[i].load(std::memory_order_relaxed);
  }
  return copy;
}

std::vector<prometheus::MetricFamily> Collection::Collect() const {
  Families families;
  add_volumes(families, snapshot_);
  add_caches(families, snapshot_);
  add_pools(families, snapshot_);
  add_hosts(families, snapshot_);
  add_reactors(families, snapshot_);
  add_daemon(families, snapshot_);
  add_process(families);
  return families.take();
}

std::string Collection::text() const { return prometheus::TextSerializer().Serialize(Collect()); }

}  // namespace target::metrics
