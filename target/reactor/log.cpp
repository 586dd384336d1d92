#include "target/reactor/log.h"

#include <fmt/format.h>
#include <pthread.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/sinks/systemd_sink.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "engine/foundation/check.h"
#include "target/reactor/log_queue.h"

namespace target {

namespace {

std::atomic<LogLevel> lowest_level{LogLevel::info};

// Guards capture_function.
std::mutex capture_mutex;
std::function<void(LogLevel, std::string_view)> capture_function;
std::atomic<bool> captured{false};

spdlog::level::level_enum spdlog_level(LogLevel level) {
  switch (level) {
    case LogLevel::debug:
      return spdlog::level::debug;
    case LogLevel::info:
      return spdlog::level::info;
    case LogLevel::warn:
      return spdlog::level::warn;
    case LogLevel::error:
      return spdlog::level::err;
  }
  return spdlog::level::info;
}

// systemd names the journal's socket in JOURNAL_STREAM as device:inode (systemd.exec(5)); a shell
// started from a service inherits the variable, so it must really be our stderr.
bool stderr_is_journal() {
  const char* named = std::getenv("JOURNAL_STREAM");
  struct stat file {};
  if (named == nullptr || ::fstat(STDERR_FILENO, &file) != 0) return false;
  return fmt::format("{}:{}", file.st_dev, file.st_ino) == named;
}

std::shared_ptr<spdlog::logger> make_logger(LogSink sink) {
  spdlog::sink_ptr output;
  const bool journal = sink == LogSink::automatic && stderr_is_journal();
  if (journal) {
    output = std::make_shared<spdlog::sinks::systemd_sink_mt>("forebayd");
  } else {
    output = std::make_shared<spdlog::sinks::stderr_sink_mt>();
  }
  auto logger = std::make_shared<spdlog::logger>("forebay", std::move(output));
  logger->set_level(spdlog::level::trace);
  if (!journal) logger->set_pattern("%Y-%m-%dT%H:%M:%S.%e%z %l %v");
  return logger;
}

// Until open_log(): straight to stderr.
spdlog::logger& plain_logger() {
  static const std::shared_ptr<spdlog::logger> instance = make_logger(LogSink::standard_error);
  return *instance;
}

// Since open_log(). Never destroyed: its thread may hang in a stuck sink when the process ends.
std::atomic<LogQueue*> queue{nullptr};

// What a stuck sink may delay the end of the process by.
constexpr engine::Duration flush_patience = std::chrono::seconds(2);

void flush_at_exit() { flush_log(); }
void flush_before_abort() noexcept { flush_log(); }

// With every signal blocked: they are for the main thread.
void start_thread(LogQueue& serves) {
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, &before);
  std::thread thread([&serves] {
    pthread_setname_np(pthread_self(), "log");
    serves.run();
  });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  thread.detach();
}

// Text in a line may come from a host (names, addresses): it must not look like another line or
// move the terminal's cursor.
void make_harmless(fmt::memory_buffer& line) {
  for (char& c : line) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  }
}

}  // namespace

void open_log(LogSink sink, LogLevel lowest) {
  lowest_level.store(lowest, std::memory_order_relaxed);
  CHECK(queue.load() == nullptr);
  auto* made = new LogQueue([logger = make_logger(sink)](const LogLine& line) {
    logger->log(line.time, spdlog::source_loc{}, spdlog_level(line.level), line.text);
  });
  start_thread(*made);
  queue.store(made, std::memory_order_release);
  std::atexit(flush_at_exit);
  engine::before_abort(flush_before_abort);
}

void flush_log() {
  if (LogQueue* const lines = queue.load(std::memory_order_acquire)) {
    (void)lines->flush(flush_patience);
  }
}

void capture_log(std::function<void(LogLevel, std::string_view)> take) {
  const std::lock_guard lock(capture_mutex);
  captured.store(static_cast<bool>(take), std::memory_order_relaxed);
  capture_function = std::move(take);
}

void set_log_level(LogLevel lowest) { lowest_level.store(lowest, std::memory_order_relaxed); }

bool log_enabled(LogLevel level) { return level >= lowest_level.load(std::memory_order_relaxed); }

void write_log(LogLevel level, fmt::string_view format, fmt::format_args arguments) {
  fmt::memory_buffer line;
  fmt::vformat_to(fmt::appender(line), format, arguments);
  make_harmless(line);
  const std::string_view text(line.data(), line.size());
  if (captured.load(std::memory_order_relaxed)) {
    const std::lock_guard lock(capture_mutex);
    if (capture_function) {
      capture_function(level, text);
      return;
    }
  }
  if (LogQueue* const lines = queue.load(std::memory_order_acquire)) {
    lines->push({level, std::chrono::system_clock::now(), std::string(text)});
  } else {
    plain_logger().log(spdlog_level(level), text);
  }
}

bool LogLimit::allows(engine::Instant now) {
  if (!started_ || now - begin_ >= interval_) {
    started_ = true;
    begin_ = now;
    written_ = 0;
  }
  if (written_ >= burst_) {
    ++held_back_;
    return false;
  }
  ++written_;
  reported_ = held_back_;
  held_back_ = 0;
  return true;
}

}  // namespace target
