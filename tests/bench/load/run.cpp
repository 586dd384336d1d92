#include "tests/bench/load/run.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <thread>

#include "engine/foundation/random.h"
#include "tests/bench/load/session.h"

namespace bench {
namespace {

using SteadyClock = std::chrono::steady_clock;
using client::Error;
using client::ErrorKind;
using client::Result;

constexpr auto main_tick = std::chrono::milliseconds{20};
constexpr auto progress_every = std::chrono::seconds{1};
constexpr std::uint64_t largest_map_bytes = std::uint64_t{4} << 30;

Result<Region> choose_region(const LoadOptions& options, const client::NamespaceData& space) {
  std::uint64_t bytes = space.blocks * space.block_bytes;
  if (options.range_bytes != 0) bytes = std::min(bytes, options.range_bytes);
  const Region region{.first = 0, .units = bytes / options.block_bytes};
  if (region.units < options.threads) {
    return Error{ErrorKind::misuse, "the namespace (or --range) is too small for this block size"};
  }
  if (options.verify && region.units * VerifyMap::bytes_per_unit > largest_map_bytes) {
    return Error{ErrorKind::misuse, "too many blocks to remember for --verify: give a --range"};
  }
  return region;
}

// Deals connections out in turn. Verifying threads get a part of the namespace each, so that they
// share nothing.
std::vector<WorkerPlan> deal(const LoadOptions& options, std::vector<ConnectionSettings>& all,
                             const Region& whole) {
  std::uint64_t run = 0;
  engine::system_random(std::as_writable_bytes(std::span<std::uint64_t, 1>(&run, 1)));
  std::vector<WorkerPlan> plans(options.threads);
  for (std::size_t i = 0; i < all.size(); ++i) {
    plans[i % plans.size()].connections.push_back(all[i]);
  }
  for (std::size_t i = 0; i < plans.size(); ++i) {
    const std::uint64_t begin = whole.units * i / plans.size();
    const std::uint64_t end = whole.units * (i + 1) / plans.size();
    plans[i].region = options.verify ? Region{whole.first + begin, end - begin} : whole;
    plans[i].count =
        options.count == 0 ? 0 : std::max<std::uint64_t>(1, options.count / plans.size());
    plans[i].rate = options.rate == 0 ? 0 : std::max<std::uint64_t>(1, options.rate / plans.size());
    plans[i].seed = options.seed + i * 1000003;
    plans[i].run = run;
    if (!options.cpus.empty()) plans[i].cpu = options.cpus[i % options.cpus.size()];
  }
  return plans;
}

class ProgressLine {
 public:
  explicit ProgressLine(bool shown) : shown_(shown) {}
  ~ProgressLine() {
    if (drawn_) std::fputs("\r\x1b[K", stderr);
  }
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;

  void show(SteadyClock::time_point now, std::uint64_t done, std::uint32_t block_bytes) {
    if (!shown_ || now - last_ < progress_every) return;
    const double seconds = std::chrono::duration<double>(now - last_).count();
    const double rate = static_cast<double>(done - last_done_) / seconds;
    fmt::print(stderr, "\r\x1b[K{:6.0f} s  {:>10.0f} IOPS  {:>8.1f} MiB/s",
               std::chrono::duration<double>(now - start_).count(), rate,
               rate * block_bytes / (1 << 20));
    std::fflush(stderr);
    drawn_ = true;
    last_ = now;
    last_done_ = done;
  }

 private:
  bool shown_;
  bool drawn_ = false;
  SteadyClock::time_point start_ = SteadyClock::now();
  SteadyClock::time_point last_ = start_;
  std::uint64_t last_done_ = 0;
};

Result<Figures> stay_idle(const LoadOptions& options, Session& session) {
  const auto start = SteadyClock::now();
  const auto end = start + std::chrono::duration<double>(options.duration_s);
  Figures figures;
  for (auto now = start; now < end && !stop_requested; now = SteadyClock::now()) {
    auto alive = session.keep_alive(now);
    if (!alive) {
      figures.connection_lost = true;
      figures.messages.push_back("keep-alive: " + alive.error().describe());
      break;
    }
    std::this_thread::sleep_for(main_tick);
  }
  return figures;
}

}  // namespace

Result<double> run_setups(const LoadOptions& options) {
  TRY(const auto took, Session::set_up_and_part(options));
  return options.setups / std::chrono::duration<double>(took).count();
}

Result<Figures> run_load(const LoadOptions& options) {
  TRY(auto session, Session::open(options));
  if (options.idle) {
    auto figures = stay_idle(options, *session);
    session->close();
    return figures;
  }
  TRY(const Region region, choose_region(options, session->space()));
  std::vector<std::byte> pattern(options.block_bytes);
  engine::SeededRandom(options.seed).fill(pattern);

  std::vector<std::unique_ptr<Worker>> workers;
  for (WorkerPlan& plan : deal(options, session->connections(), region)) {
    workers.push_back(std::make_unique<Worker>(std::move(plan), options, pattern));
  }
  std::atomic<std::size_t> running{workers.size()};
  std::vector<std::thread> threads;
  for (const auto& worker : workers) {
    threads.emplace_back([&running, &worker] {
      worker->run();
      if (worker->figures().connection_lost) stop_requested = true;
      running.fetch_sub(1);
      running.notify_all();
    });
  }

  // This thread only looks on: progress, and the keep-alives that an I/O queue cannot send.
  ProgressLine progress(!options.quiet && ::isatty(STDERR_FILENO) != 0);
  std::string lost;
  while (running.load() != 0) {
    std::this_thread::sleep_for(main_tick);
    const auto now = SteadyClock::now();
    std::uint64_t done = 0;
    for (const auto& worker : workers) done += worker->progress();
    progress.show(now, done, options.block_bytes);
    if (!lost.empty()) continue;
    auto alive = session->keep_alive(now);
    if (!alive) {
      lost = "keep-alive: " + alive.error().describe();
      stop_requested = true;
    }
  }
  for (std::thread& thread : threads) thread.join();

  Figures figures = merge(workers);
  if (!lost.empty()) {
    figures.connection_lost = true;
    figures.messages.push_back(lost);
  }
  workers.clear();
  if (!figures.connection_lost) session->close();
  return figures;
}

}  // namespace bench
