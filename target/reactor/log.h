// The one way to write a log line. Structured as key=value text; the sink is chosen once by main.
#pragma once

#include <fmt/core.h>

#include <cstdint>
#include <functional>
#include <string_view>
#include <utility>

#include "engine/foundation/clock.h"

namespace target {

enum class LogLevel : std::uint8_t { debug, info, warn, error };

enum class LogSink : std::uint8_t {
  automatic,      // the journal if stderr is connected to it, stderr otherwise
  standard_error  // always stderr
};

// Before the first thread starts, once. From here on lines are written by a thread of their own:
// nobody waits for a sink that is slow or stuck, its oldest lines are lost and counted instead.
// Without it lines of `info` and above go straight to stderr.
void open_log(LogSink sink, LogLevel lowest);
// Waits, but not for ever, until everything has been written. exit() and a failed CHECK do it by
// themselves, _Exit() does not.
void flush_log();
// Takes every line instead of the sink, from any thread; an empty function gives them back. For
// tests.
void capture_log(std::function<void(LogLevel, std::string_view)> take);

// Any thread: what is below it is not written from now on.
void set_log_level(LogLevel lowest);
[[nodiscard]] bool log_enabled(LogLevel level);
// Any thread. One line; control characters in it are made harmless.
void write_log(LogLevel level, fmt::string_view format, fmt::format_args arguments);

template <class... Args>
void log_debug(fmt::format_string<Args...> format, Args&&... arguments) {
  if (!log_enabled(LogLevel::debug)) return;
  write_log(LogLevel::debug, format, fmt::make_format_args(arguments...));
}
template <class... Args>
void log_info(fmt::format_string<Args...> format, Args&&... arguments) {
  if (!log_enabled(LogLevel::info)) return;
  write_log(LogLevel::info, format, fmt::make_format_args(arguments...));
}
template <class... Args>
void log_warn(fmt::format_string<Args...> format, Args&&... arguments) {
  if (!log_enabled(LogLevel::warn)) return;
  write_log(LogLevel::warn, format, fmt::make_format_args(arguments...));
}
template <class... Args>
void log_error(fmt::format_string<Args...> format, Args&&... arguments) {
  write_log(LogLevel::error, format, fmt::make_format_args(arguments...));
}

// Lets `burst` lines of one kind through in each interval, so that a hostile or broken peer cannot
// fill the log. Not thread-safe.
class LogLimit {
 public:
  LogLimit(std::uint32_t burst, engine::Duration interval) : burst_(burst), interval_(interval) {}

  // True: write the line, and say that `suppressed()` others were not written.
  [[nodiscard]] bool allows(engine::Instant now);
  // Lines held back before the one just allowed.
  [[nodiscard]] std::uint64_t suppressed() const { return reported_; }

 private:
  const std::uint32_t burst_;
  const engine::Duration interval_;
  engine::Instant begin_{};
  bool started_ = false;
  std::uint32_t written_ = 0;
  std::uint64_t held_back_ = 0;
  std::uint64_t reported_ = 0;
};

}  // namespace target
