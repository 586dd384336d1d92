// ConnectionCounters: what connections count, by their protocol.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include "target/net/end_reason.h"

namespace target {

// What its connections speak.
enum class WireProtocol : std::uint8_t { nvme_tcp, iscsi };

// Of all connections that speak one protocol; relaxed, any thread.
struct ConnectionCounters {
  std::atomic<std::uint64_t> opened{0};
  std::atomic<std::uint64_t> closed{0};
  std::atomic<std::uint64_t> bytes_received{0};
  std::atomic<std::uint64_t> bytes_sent{0};
  std::atomic<std::uint64_t> header_digest_errors{0};
  std::atomic<std::uint64_t> data_digest_errors{0};
  // Connections that were ended because of one; header digest errors included.
  std::atomic<std::uint64_t> protocol_errors{0};
  std::atomic<std::uint64_t> host_terminations{0};
  std::atomic<std::uint64_t> timeouts{0};
  std::atomic<std::uint64_t> buffer_waits{0};   // commands that had to wait for a transfer buffer
  std::atomic<std::uint64_t> pins_copied{0};    // replies that lay in the cache for too long
  std::atomic<std::uint64_t> hang_refusals{0};  // sent back because their volume hangs
  // By EndReason: why connections ended.
  std::array<std::atomic<std::uint64_t>, end_reason_count> ended{};
};

// Of all connections of one daemon.
struct CountersByProtocol {
  ConnectionCounters nvme_tcp;
  ConnectionCounters iscsi;

  [[nodiscard]] ConnectionCounters& of(WireProtocol protocol) {
    return protocol == WireProtocol::iscsi ? iscsi : nvme_tcp;
  }
  [[nodiscard]] const ConnectionCounters& of(WireProtocol protocol) const {
    return protocol == WireProtocol::iscsi ? iscsi : nvme_tcp;
  }
  // Of both: sum(&ConnectionCounters::opened).
  [[nodiscard]] std::uint64_t sum(std::atomic<std::uint64_t> ConnectionCounters::*counter) const {
    return (nvme_tcp.*counter).load(std::memory_order_relaxed) +
           (iscsi.*counter).load(std::memory_order_relaxed);
  }
};

}  // namespace target
