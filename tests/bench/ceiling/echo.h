// The bare echo: requests and responses of NVMe/TCP's sizes over loopback between two spinning
// threads that do nothing else. No target on this machine can be faster; what Forebay reaches is
// told as a part of it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace bench {

struct EchoShape {
  std::uint32_t request_bytes = 72;
  std::uint32_t response_bytes = 24;
};

// A read: a 72-byte capsule, then C2HData (24 bytes and the data) and a response capsule (24
// bytes).
[[nodiscard]] constexpr EchoShape read_shape(std::uint32_t bytes) { return {72, 24 + bytes + 24}; }
// A write with its data in the capsule.
[[nodiscard]] constexpr EchoShape write_shape(std::uint32_t bytes) { return {72 + bytes, 24}; }

struct EchoPlan {
  EchoShape shape;
  std::uint32_t depth = 1;
  double seconds = 1;
  double warmup_seconds = 0.1;
  unsigned server_cpu = 0;
  unsigned client_cpu = 1;
};

struct EchoFigures {
  double per_second = 0;
  double p50_us = 0;  // depth 1 only: of one round trip
  double p99_us = 0;
};

// Runs both sides in this process. nullopt and `error` when a socket call fails.
[[nodiscard]] std::optional<EchoFigures> run_echo(const EchoPlan& plan, std::string& error);

}  // namespace bench
