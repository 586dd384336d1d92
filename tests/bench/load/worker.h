// One thread of load: its connections, its part of the namespace, its figures.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/bench/load/connection.h"
#include "tests/bench/load/histogram.h"
#include "tests/bench/load/options.h"
#include "tests/bench/load/verify_map.h"
#include "tests/bench/load/workload.h"

namespace bench {

// Set by a signal: every worker stops submitting, drains and ends.
extern std::atomic<bool> stop_requested;

struct Figures {
  Histogram read_latency;
  Histogram write_latency;
  std::uint64_t reads = 0;
  std::uint64_t writes = 0;
  std::uint64_t io_errors = 0;      // answered with an error status
  std::uint64_t verify_errors = 0;  // read something wrong
  std::uint64_t verified_blocks = 0;
  std::uint64_t unknown_blocks = 0;
  std::uint64_t elapsed_ns = 0;       // of the measured time
  std::vector<std::string> messages;  // the first few of what went wrong
  bool connection_lost = false;
};

struct WorkerPlan {
  std::vector<ConnectionSettings> connections;
  Region region;            // where it works
  std::uint64_t count = 0;  // I/Os; 0: by duration
  std::uint64_t rate = 0;   // I/Os a second
  std::uint64_t seed = 1;
  std::uint64_t run = 0;  // identity of the run, for stamps
  std::optional<unsigned> cpu;
};

// Made by the main thread, run() on its own thread; figures() after run() has returned.
class Worker {
 public:
  // `pattern` holds at least one unit and outlives the worker.
  Worker(WorkerPlan plan, const LoadOptions& options, std::span<const std::byte> pattern);
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;
  ~Worker();

  void run();
  [[nodiscard]] const Figures& figures() const { return figures_; }
  // Finished I/Os so far; any thread may look.
  [[nodiscard]] std::uint64_t progress() const { return progress_.load(std::memory_order_relaxed); }

 private:
  enum class Phase { running, draining, reading_back, done };
  struct Stream {
    std::unique_ptr<LoadConnection> connection;
    Workload workload;
    bool watching_output = false;
  };

  void pin() const;
  // One round over every connection that has something to do; false when one was lost.
  [[nodiscard]] bool turn();
  [[nodiscard]] bool serve(Stream& stream);
  void finish(Stream& stream, const Done& done);
  void finish_read(Stream& stream, const Request& request, const Done& done);
  // Submits as much as depth, rate and phase allow.
  void top_up(Stream& stream);
  [[nodiscard]] bool may_submit() const;
  [[nodiscard]] bool prepare(Stream& stream, std::uint16_t slot);
  [[nodiscard]] bool prepare_read_back(Stream& stream, std::uint16_t slot);
  [[nodiscard]] bool prepare_verified(Stream& stream, std::uint16_t slot, Operation operation);
  void advance_phase();
  void watch(Stream& stream);
  void wait(std::uint64_t at_most_ns);
  [[nodiscard]] std::uint64_t idle_wait_ns() const;
  void complain(std::string message);
  [[nodiscard]] std::uint32_t in_flight() const;

  const LoadOptions options_;
  WorkerPlan plan_;
  std::vector<Stream> streams_;
  std::optional<VerifyMap> map_;
  std::vector<Done> done_;
  Figures figures_;
  std::atomic<std::uint64_t> progress_{0};

  int epoll_ = -1;
  std::vector<std::uint32_t> ready_;  // indexes of streams
  Phase phase_ = Phase::running;
  std::uint64_t now_ns_ = 0;
  std::uint64_t measure_from_ns_ = 0;
  std::uint64_t measure_until_ns_ = 0;
  std::uint64_t last_done_ns_ = 0;
  std::uint64_t submitted_ = 0;
  std::uint64_t due_ns_ = 0;  // when the next I/O of a rate is due
  std::uint64_t interval_ns_ = 0;
  std::uint64_t read_back_next_ = 0;
  bool starved_ = false;  // a connection had room but no unit that it may write
};

}  // namespace bench
