#include "target/service_manager.h"

#include <fmt/format.h>
#include <systemd/sd-daemon.h>

#include <algorithm>
#include <cstdint>
#include <ctime>

namespace target::service_manager {

void ready(const std::string& status_line) {
  sd_notify(0, fmt::format("READY=1\nSTATUS={}", status_line).c_str());
}
void reloading() {
  std::timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  const auto us = static_cast<std::uint64_t>(now.tv_sec) * 1'000'000 +
                  static_cast<std::uint64_t>(now.tv_nsec) / 1'000;
  sd_notify(0, fmt::format("RELOADING=1\nMONOTONIC_USEC={}", us).c_str());
}
void stopping() { sd_notify(0, "STOPPING=1\nSTATUS=finishing what was accepted"); }
void status(const std::string& status_line) {
  sd_notify(0, fmt::format("STATUS={}", status_line).c_str());
}
void alive() { sd_notify(0, "WATCHDOG=1"); }

std::chrono::milliseconds watchdog_period() {
  std::uint64_t microseconds = 0;
  if (sd_watchdog_enabled(0, &microseconds) <= 0) return std::chrono::milliseconds(0);
  return std::chrono::milliseconds(std::max<std::uint64_t>(1, microseconds / 2'000));
}

}  // namespace target::service_manager
