#include <fcntl.h>
#include <unistd.h>

#include <condition_variable>
#include <mutex>

#include "engine/cache/page_committer.h"
#include "tests/bench/cache/bench_cache.h"
#include "tests/bench/cache/cache_bench.h"

namespace engine {
namespace {

constexpr ByteCount file_bytes = 256_MiB;
constexpr ByteCount volume_bytes = 64_MiB;
constexpr std::uint64_t volume_blocks = volume_bytes.value / block_bytes;

double us_since(double begin_ns) { return (now_ns() - begin_ns) / 1000; }

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
void bare_writes(const std::string& path, std::size_t depth, std::uint64_t commands,
                 Samples& samples) {
  const int fd = open(path.c_str(), O_RDWR | O_CLOEXEC);
  CHECK(fd >= 0);
  std::vector<std::byte> data(block_bytes, std::byte{1});
  SeededRandom random(3);
  const double begin = now_ns();
  for (std::uint64_t done = 0; done < commands; done += depth) {
    const double from = now_ns();
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
  double begin = 0;
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
                  std::uint64_t commands, Samples& samples) {
  const auto actor = CacheActor::make(committer);
  Host host(depth);
  const std::vector<std::byte> data(block_bytes, std::byte{1});
  SeededRandom random(3);
  const std::uint64_t syncs = committer.device().region().counts().fences;
  const double begin = now_ns();
  std::uint64_t taken = 0;
  std::uint64_t completed = 0;
  for (auto idle = host.wait();; idle = host.wait()) {
    for (Command* const command : idle) {
      if (command->sequence() == 0) continue;  // never submitted
      ++completed;
      samples.command_us.push_back(us_since(command->begin));
    }
    if (completed == commands) break;
    for (Command* const command : idle) {
      if (taken == commands) break;
      ++taken;
      command->begin = now_ns();
      CHECK(volume.write(*actor, *command, {{random.below(volume_blocks) * 8}, {8}}, data));
    }
    (void)actor->end_turn();
  }
  samples.total_us += us_since(begin);
  samples.syncs += committer.device().region().counts().fences - syncs;
}

void measure_cache(const std::string& path, std::size_t depth, std::uint64_t commands,
                   Samples& samples) {
  const auto region = must(open_pmem_region(path, {}));
  CHECK(region->guarantee().granularity == PmemGranularity::page);
  Cache cache(*region, false, volume_bytes);
  PageCommitter committer(*cache.device);
  committer.start();
  cache_writes(committer, cache.volume(), depth, commands, samples);
}

void tell_all(const std::string& name, std::size_t depth, std::uint64_t commands,
              Samples& samples) {
  const std::string what = name + " depth " + std::to_string(depth);
  tell(what + " writes/s", static_cast<double>(commands) * 1e6 / samples.total_us);
  tell(what + " p50 us", median(std::move(samples.command_us)));
  tell(what + " syncs a write", static_cast<double>(samples.syncs) / static_cast<double>(commands));
}

}  // namespace

void measure_pages(const BenchPlan& plan) {
  const TemporaryFile bare(plan.disk + "/forebay-page-bench-bare");
  const TemporaryFile cache(plan.disk + "/forebay-page-bench-cache");
  must(create_pmem_file(bare.path, file_bytes));
  must(create_pmem_file(cache.path, file_bytes));
  for (int repeat = 0; repeat < plan.repeats; ++repeat) {
    for (const std::size_t depth : {std::size_t{1}, std::size_t{32}}) {
      const std::uint64_t commands = depth == 1 ? plan.page_writes / 16 : plan.page_writes;
      Samples of_bare;
      bare_writes(bare.path, depth, commands, of_bare);
      tell_all("pages bare", depth, commands, of_bare);
      Samples of_cache;
      measure_cache(cache.path, depth, commands, of_cache);
      tell_all("pages cache", depth, commands, of_cache);
    }
  }
}

}  // namespace engine
