#include "tests/bench/cache/recovery_bench.h"

#include <fmt/format.h>

#include <array>
#include <ctime>
#include <future>
#include <memory>
#include <vector>

#include "engine/cache/recovery_workers.h"
#include "engine/media/open_pmem.h"
#include "tests/bench/cache/bench_cache.h"

namespace engine {
namespace {

constexpr std::uint32_t volumes = 2;
constexpr std::uint64_t keys_of_volume = 400'000;  // of 4 KiB, in ksets of 32
constexpr std::uint64_t blocks_of_volume = 524'288;
constexpr int rounds = 7;

struct Counter final : CompletionSink {
  void complete(CommitRecord& /*record*/) override { ++completed; }
  std::uint64_t completed = 0;
};

// Random writes, of which some cover each other.
void write_volume(CacheDevice& device, VolumeCache& volume, std::uint64_t seed) {
  constexpr std::size_t depth = 32;
  const auto actor = CacheActor::make(device).value();
  Counter counter;
  std::vector<std::unique_ptr<CommitRecord>> records;
  for (std::size_t at = 0; at < depth; ++at) {
    records.push_back(std::make_unique<CommitRecord>(counter));
  }
  SeededRandom random(seed);
  const std::vector<std::byte> data(block_bytes, std::byte{1});
  for (std::uint64_t done = 0; done < keys_of_volume; done += depth) {
    for (const auto& record : records) {
      CHECK(volume.write(*actor, *record, {{random.below(blocks_of_volume) * 8}, {8}}, data));
    }
    (void)actor->end_turn();
  }
  CHECK(counter.completed >= keys_of_volume);
}

std::unique_ptr<PmemRegion> written_device() {
  auto region = std::move(make_anonymous_pmem(4_GiB).value());
  FormatOptions options;
  system_random(options.uuid.bytes);
  CHECK(format_cache(*region, options));
  const SystemClock clock;
  IndexMemory memory(1_GiB);
  const auto device = std::move(CacheDevice::open(*region).value());
  auto writer = DurableWriter::make(*region).value();
  for (std::uint32_t slot = 0; slot < volumes; ++slot) {
    Uuid uuid;
    system_random(uuid.bytes);
    CHECK(device->volumes().attach(
        writer, {.volume = uuid,
                 .backing = uuid,
                 .size = {blocks_of_volume * block_bytes},
                 .binding = {.attach_epoch = 1, .block_size = {}, .name = "bench"}}));
    const auto volume = std::move(recover_volume(*device, slot, memory, clock, writer).value());
    write_volume(*device, *volume.cache, slot + 1);
  }
  return region;
}

// Millions of keys.
struct RecoveryRate {
  double each_second = 0;
  double each_cpu_second = 0;  // what other processes do to the machine counts less
};

double cpu_ns() {
  timespec now{};
  CHECK(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now) == 0);
  return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

// Of the first `count` volumes, each a job of its own.
RecoveryRate recovery_rate(PmemRegion& region, std::uint32_t count, std::size_t threads) {
  const SystemClock clock;
  IndexMemory memory(1_GiB);
  const auto device = std::move(
      CacheDevice::open(region, {.access = CacheDevice::Access::inspect, .expected = {}}).value());
  std::array<std::unique_ptr<VolumeCache>, volumes> recovered;
  std::array<std::promise<void>, volumes> ended;
  RecoveryWorkers workers(threads);
  const double begin = now_ns();
  const double cpu_begin = cpu_ns();
  for (std::uint32_t slot = 0; slot < count; ++slot) {
    workers.begin(1, [&, slot] {
      auto read = read_volume(*device, slot, memory, clock, workers);
      CHECK(read && !read.value().report.damaged());
      CHECK(read.value().report.keys == keys_of_volume);
      recovered[slot] = std::move(read.value().cache);
      ended[slot].set_value();
    });
  }
  for (std::uint32_t slot = 0; slot < count; ++slot) ended[slot].get_future().get();
  const auto keys = static_cast<double>(count * keys_of_volume);
  return {.each_second = keys / (now_ns() - begin) * 1e3,
          .each_cpu_second = keys / (cpu_ns() - cpu_begin) * 1e3};
}

}  // namespace

void measure_recovery() {
  const auto region = written_device();
  constexpr std::array<const char*, 4> names{"one volume,  1 worker", "one volume,  2 workers",
                                             "two volumes, 1 worker", "two volumes, 2 workers"};
  std::array<std::vector<double>, 4> rates;
  std::array<std::vector<double>, 4> cpu_rates;
  std::array<std::vector<double>, 4> ratios;  // to the first of the pair, in the same round
  for (int round = 0; round < rounds; ++round) {
    RecoveryRate alone;
    for (std::uint32_t at = 0; at < names.size(); ++at) {
      const RecoveryRate now = recovery_rate(*region, 1 + at / 2, 1 + at % 2);
      if (at % 2 == 0) alone = now;
      rates[at].push_back(now.each_second);
      cpu_rates[at].push_back(now.each_cpu_second);
      ratios[at].push_back(now.each_second / alone.each_second);
    }
  }
  fmt::print("\nrecovery, {} keys of 4 KiB a volume in ksets of 32; medians of {} rounds\n",
             keys_of_volume, rounds);
  for (std::size_t at = 0; at < names.size(); ++at) {
    fmt::print("  {:23}: {:5.1f} M keys/s, {:5.1f} each second of CPU", names[at],
               median(rates[at]), median(cpu_rates[at]));
    if (at % 2 == 1) fmt::print("; {:4.2f} times 1 worker", median(ratios[at]));
    fmt::print("\n");
  }
}

}  // namespace engine
