// Counters of what the tasks of a nexus, or of a logical unit, did.
#pragma once

#include <atomic>
#include <cstdint>

namespace target::scsi {

struct TaskCounts {
  std::uint64_t read_commands = 0;
  std::uint64_t write_commands = 0;
  std::uint64_t other_commands = 0;
  std::uint64_t bytes_read = 0;     // by hosts
  std::uint64_t bytes_written = 0;  // by hosts
  std::uint64_t media_errors = 0;
  std::uint64_t check_conditions = 0;
  std::uint64_t busy = 0;     // answered BUSY or TASK SET FULL
  std::uint64_t aborted = 0;  // ended without an answer

  TaskCounts& operator+=(const TaskCounts& other) {
    read_commands += other.read_commands;
    write_commands += other.write_commands;
    other_commands += other.other_commands;
    bytes_read += other.bytes_read;
    bytes_written += other.bytes_written;
    media_errors += other.media_errors;
    check_conditions += other.check_conditions;
    busy += other.busy;
    aborted += other.aborted;
    return *this;
  }
};

// Relaxed; written by one reactor, read by any thread.
struct TaskCounters {
  std::atomic<std::uint64_t> read_commands{0};
  std::atomic<std::uint64_t> write_commands{0};
  std::atomic<std::uint64_t> other_commands{0};
  std::atomic<std::uint64_t> bytes_read{0};
  std::atomic<std::uint64_t> bytes_written{0};
  std::atomic<std::uint64_t> media_errors{0};
  std::atomic<std::uint64_t> check_conditions{0};
  std::atomic<std::uint64_t> busy{0};
  std::atomic<std::uint64_t> aborted{0};

  // Of the thread that writes: no other one does, so no read-modify-write is needed.
  static void add(std::atomic<std::uint64_t>& counter, std::uint64_t amount = 1) {
    counter.store(counter.load(std::memory_order_relaxed) + amount, std::memory_order_relaxed);
  }
  [[nodiscard]] TaskCounts counts() const {
    constexpr auto relaxed = std::memory_order_relaxed;
    return {.read_commands = read_commands.load(relaxed),
            .write_commands = write_commands.load(relaxed),
            .other_commands = other_commands.load(relaxed),
            .bytes_read = bytes_read.load(relaxed),
            .bytes_written = bytes_written.load(relaxed),
            .media_errors = media_errors.load(relaxed),
            .check_conditions = check_conditions.load(relaxed),
            .busy = busy.load(relaxed),
            .aborted = aborted.load(relaxed)};
  }
};

}  // namespace target::scsi
