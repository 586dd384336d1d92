// What the daemon tells systemd (sd_notify), and hears of its watchdog. Nothing happens where there
// is none.
#pragma once

#include <chrono>
#include <string>

namespace target::service_manager {

// Serving: units ordered after this one may start.
void ready(const std::string& status_line);
// Another configuration is being taken over: until ready().
void reloading();
void stopping();
void status(const std::string& status_line);
void alive();  // feeds the watchdog
// How often alive() must come, already halved; zero when no watchdog is set.
[[nodiscard]] std::chrono::milliseconds watchdog_period();

}  // namespace target::service_manager
