#include "target/reactor/log_queue.h"

#include <fmt/format.h>

#include <utility>

namespace target {

namespace {

// A line's share of the bound: its text and what keeps it.
std::size_t weight(const LogLine& line) { return line.text.size() + sizeof(LogLine); }

}  // namespace

LogQueue::LogQueue(Sink sink, std::size_t most_bytes)
    : sink_(std::move(sink)), most_bytes_(most_bytes) {}

void LogQueue::push(LogLine line) {
  const std::lock_guard lock(mutex_);
  bytes_ += weight(line);
  lines_.push_back(std::move(line));
  while (bytes_ > most_bytes_ && lines_.size() > 1) {
    bytes_ -= weight(lines_.front());
    lines_.pop_front();
    ++lost_;
  }
  changed_.notify_all();
}

void LogQueue::run() {
  std::unique_lock lock(mutex_);
  writer_ = std::this_thread::get_id();
  for (;;) {
    changed_.wait(lock, [this] { return stopping_ || !lines_.empty(); });
    if (lines_.empty()) return;
    LogLine line = std::move(lines_.front());
    lines_.pop_front();
    bytes_ -= weight(line);
    const std::uint64_t lost = std::exchange(lost_, 0);
    writing_ = true;
    lock.unlock();
    if (lost != 0) {
      sink_({LogLevel::warn, line.time,
             fmt::format("log lines lost={}: they came faster than they could be written", lost)});
    }
    sink_(line);
    lock.lock();
    writing_ = false;
    changed_.notify_all();
  }
}

void LogQueue::stop() {
  const std::lock_guard lock(mutex_);
  stopping_ = true;
  changed_.notify_all();
}

bool LogQueue::flush(engine::Duration patience) {
  std::unique_lock lock(mutex_);
  if (std::this_thread::get_id() == writer_) return false;
  return changed_.wait_for(lock, patience, [this] { return lines_.empty() && !writing_; });
}

}  // namespace target
