#include "tests/bench/cache/page_bench.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <vector>

#include "engine/cache/format_cache.h"
#include "engine/cache/page_committer.h"
#include "engine/cache/recovery.h"
#include "engine/foundation/check.h"
#include "engine/foundation/random.h"
#include "engine/media/open_pmem.h"

namespace engine {
namespace {

constexpr std::size_t block_bytes = 4096;
constexpr ByteCount file_bytes = 256_MiB;
constexpr ByteCount volume_bytes = 64_MiB;
constexpr std::uint64_t volume_blocks = volume_bytes.value / block_bytes;
constexpr int rounds = 3;

constexpr std::uint64_t commands_of(std::size_t depth) { return depth == 1 ? 512 : 8192; }

using Clock = std::chrono::steady_clock;

double us_since(Clock::time_point begin) {
  return std::chrono::duration<double, std::micro>(Clock::now() - begin).count();
}

double median(std::vector<double>& values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::ranges::nth_element(values, middle);
  return *middle;
}

// Removed at the end.
struct TemporaryFile {
  explicit TemporaryFile(std::string at) : path(std::move(at)) { unlink(path.c_str()); }
  ~TemporaryFile() { unlink(path.c_str()); }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  const std::string path;
};

struct Samples {
  std::vector<double> command_us;  // from submission until it is durable
  double total_us = 0;
  std::uint64_t syncs = 0;
};

// `depth` random blocks of an allocated file, one fdatasync.
void bare_writes(const std::string& path, std::size_t depth, Samples& samples) {
  const int fd = open(path.c_str(), O_RDWR | O_CLOEXEC);
  CHECK(fd >= 0);
  std::vector<std::byte> data(block_bytes, std::byte{1});
  SeededRandom random(3);
  const auto begin = Clock::now();
  for (std::uint64_t done = 0; done < commands_of(depth); done += depth) {
    const auto from = Clock::now();
    for (std::size_t at = 0; at < depth; ++at) {
      const auto place = static_cast<off_t>(random.below(volume_blocks) * block_bytes);
      CHECK(pwrite(fd, data.data(), data.size(), place) == static_cast<ssize_t>(data.size()));
    }
    CHECK(fdatasync(fd) == 0);
    samples.command_us.insert(samples.command_us.end(), depth, us_since(from));
    ++samples.syncs;
  }
  samples.total_us += us_since(begin);
  close(fd);
}

struct Command final : CommitRecord {
  using CommitRecord::CommitRecord;
  Clock::time_point begin;
};

// Waits as a host does, in a thread that sleeps until its commands complete.
class Host final : public CompletionSink {
 public:
  explicit Host(std::size_t depth) {
    for (std::size_t at = 0; at < depth; ++at) {
      commands_.push_back(std::make_unique<Command>(*this));
      done_.push_back(commands_.back().get());
    }
  }
  void complete(CommitRecord& record) override {
    CHECK(record.outcome() == CommitOutcome::committed);
    const std::lock_guard lock(mutex_);
    done_.push_back(static_cast<Command*>(&record));
    some_.notify_one();
  }
  // Those that are not in flight, at least one.
  [[nodiscard]] std::vector<Command*> wait() {
    std::unique_lock lock(mutex_);
    some_.wait(lock, [this] { return !done_.empty(); });
    return std::exchange(done_, {});
  }

 private:
  std::vector<std::unique_ptr<Command>> commands_;
  std::mutex mutex_;
  std::condition_variable some_;
  std::vector<Command*> done_;
};

// Keeps `depth` commands in flight.
void cache_writes(PageCommitter& committer, VolumeCache& volume, std::size_t depth,
                  Samples& samples) {
  const auto actor = CacheActor::make(committer);
  Host host(depth);
  const std::vector<std::byte> data(block_bytes, std::byte{1});
  SeededRandom random(3);
  const std::uint64_t syncs = committer.device().region().counts().fences;
  const auto begin = Clock::now();
  std::uint64_t taken = 0;
  std::uint64_t completed = 0;
  for (auto idle = host.wait();; idle = host.wait()) {
    for (Command* const command : idle) {
      if (command->sequence() == 0) continue;  // never submitted
      ++completed;
      samples.command_us.push_back(us_since(command->begin));
    }
    if (completed == commands_of(depth)) break;
    for (Command* const command : idle) {
      if (taken == commands_of(depth)) break;
      ++taken;
      command->begin = Clock::now();
      CHECK(volume.write(*actor, *command, {{random.below(volume_blocks) * 8}, {8}}, data));
    }
    (void)actor->end_turn();
  }
  samples.total_us += us_since(begin);
  samples.syncs += committer.device().region().counts().fences - syncs;
}

void measure_cache(const std::string& path, std::size_t depth, Samples& samples) {
  const auto region = std::move(open_pmem_region(path, {}).value());
  CHECK(region->guarantee().granularity == PmemGranularity::page);
  FormatOptions options;
  system_random(options.uuid.bytes);
  CacheFindings findings;
  if (const auto there = read_superblocks(*region, findings)) {
    options.replace = Uuid{there.value().block.device_uuid};
  }
  CHECK(format_cache(*region, options));
  const auto device = std::move(CacheDevice::open(*region).value());
  auto writer = std::move(DurableWriter::make(*region).value());
  CHECK(device->volumes().attach(
      writer, {.volume = options.uuid,
               .backing = options.uuid,
               .size = volume_bytes,
               .binding = {.attach_epoch = 1, .block_size = {}, .name = "bench"}}));
  const SystemClock clock;
  IndexMemory memory(64_MiB);
  const auto recovered = recover_volume(*device, 0, memory, clock, writer);
  CHECK(recovered);
  PageCommitter committer(*device);
  committer.start();
  cache_writes(committer, *recovered.value().cache, depth, samples);
}

void print(const char* name, std::size_t depth, Samples& samples) {
  const auto commands = static_cast<double>(rounds * commands_of(depth));
  fmt::print("  {:22} depth {:2}: {:7.0f} writes/s, p50 {:6.0f} us, {:.2f} syncs a write\n", name,
             depth, commands * 1e6 / samples.total_us, median(samples.command_us),
             static_cast<double>(samples.syncs) / commands);
}

}  // namespace

void measure_pages(const std::string& directory) {
  const TemporaryFile bare(directory + "/forebay-page-bench-bare");
  const TemporaryFile cache(directory + "/forebay-page-bench-cache");
  CHECK(create_pmem_file(bare.path, file_bytes));
  CHECK(create_pmem_file(cache.path, file_bytes));
  fmt::print("\nan ordinary file (pages): writes of 4 KiB, {} rounds\n", rounds);
  for (const std::size_t depth : {std::size_t{1}, std::size_t{32}}) {
    Samples of_bare;
    Samples of_cache;
    for (int round = 0; round < rounds; ++round) {
      bare_writes(bare.path, depth, of_bare);
      measure_cache(cache.path, depth, of_cache);
    }
    print("pwrite + fdatasync,", depth, of_bare);
    print("cache,", depth, of_cache);
    fmt::print("  cache / bare, depth {}: {:.0f} % of the rate\n", depth,
               100 * of_bare.total_us / of_cache.total_us);
  }
}

}  // namespace engine
