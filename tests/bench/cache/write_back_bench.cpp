#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <numeric>

#include "engine/cache/write_back.h"
#include "engine/media/file_device.h"
#include "engine/media/uring_lane.h"
#include "engine/pool/file_journal.h"
#include "engine/pool/file_marker.h"
#include "tests/bench/cache/bench_cache.h"
#include "tests/bench/cache/cache_bench.h"

namespace engine {
namespace {

constexpr std::uint64_t window_bytes = 32U << 20;

struct Disk {
  Disk(const std::string& directory, ByteCount bytes)
      : pool(std::move(open_pool_directory(directory).value())), size(bytes) {
    const std::string path = directory + "/" + image;
    const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || posix_fallocate(fd, 0, static_cast<off_t>(size.value)) != 0) {
      give_up(path + " cannot be made");
    }
    ::close(fd);
    const IoSource source = IoSource::new_file(IoSource::new_backing());
    device =
        std::make_unique<FileDevice>(std::move(OpenFile::open(path, size).value()), size, source);
    Uuid volume;
    volume.bytes.fill(std::byte{1});
    marker = std::move(FileMarker::open(*pool, image, volume, source).value());
    journal = std::move(FileJournal::open(*pool, image, source).value());
    fd_ = ::open(path.c_str(), O_RDWR | O_DIRECT | O_CLOEXEC);
    if (fd_ < 0) give_up(directory + " takes no direct I/O: name a directory on a disk");
  }
  ~Disk() {
    ::close(fd_);
    CHECK(pool->remove(image) && pool->remove(marker_name(image)) &&
          pool->remove(journal_name(image)));
  }

  // 1 MiB at a time, one at a time, and a flush at the end: MB/s. Out of memory as long as all that
  // is written, or of a part of it again and again.
  [[nodiscard]] double plain(std::span<const std::byte> source) const {
    constexpr std::size_t chunk = 1U << 20;
    const double begin = now_ns();
    for (std::uint64_t at = 0; at < size.value; at += chunk) {
      const auto bytes = source.subspan(at % source.size(), chunk);
      CHECK(pwrite(fd_, bytes.data(), chunk, static_cast<off_t>(at)) ==
            static_cast<ssize_t>(chunk));
    }
    CHECK(fdatasync(fd_) == 0);
    return static_cast<double>(size.value) / (now_ns() - begin) * 1e3;
  }

  static constexpr const char* image = "forebay-write-back-bench.raw";
  std::unique_ptr<PoolDirectory> pool;
  const ByteCount size;
  std::unique_ptr<FileDevice> device;
  std::unique_ptr<FileMarker> marker;
  std::unique_ptr<FileJournal> journal;

 private:
  int fd_ = -1;
};

struct Pattern {
  const char* name;
  std::size_t write_bytes;
  bool shuffled;  // inside windows that are smaller than a batch
};

struct Ignore final : CompletionSink {
  void complete(CommitRecord& /*record*/) override {}
};

// The whole volume once.
void fill(Cache& cache, const Pattern& pattern, ByteCount size) {
  const auto actor = CacheActor::make(*cache.device).value();
  Ignore sink;
  CommitRecord record(sink);
  std::vector<std::byte> data(pattern.write_bytes);
  SeededRandom random(11);
  random.fill(data);
  std::vector<std::uint64_t> order(window_bytes / pattern.write_bytes);
  std::iota(order.begin(), order.end(), std::uint64_t{0});
  for (std::uint64_t window = 0; window < size.value; window += window_bytes) {
    if (pattern.shuffled) std::shuffle(order.begin(), order.end(), random);
    for (const std::uint64_t at : order) {
      const std::uint64_t begin = window + at * pattern.write_bytes;
      CHECK(cache.volume().write(*actor, record, {{begin / 512}, {data.size() / 512}}, data));
      CHECK(!actor->end_turn());
    }
  }
}

struct WriteBackRate {
  double megabytes = 0;  // a second
  double cpu_ms = 0;     // of all threads, the kernel's part too
};

// `journal`: null, or each batch goes there first.
WriteBackRate write_back(Cache& cache, Disk& disk, BackingJournal* journal = nullptr) {
  MemoryBudget budget(64_MiB);
  const auto lane = std::move(UringLane::create(budget).value());
  BatchBounds bounds;
  if (journal != nullptr) bounds.most_bytes = BatchJournal::most_data;
  WriteBack write_back(cache.volume(), *disk.device, *disk.marker, *lane, *cache.writer,
                       cache.clock, {}, bounds, journal);
  const double begin = now_ns();
  const double cpu_begin = cpu_ms();
  write_back.set_draining(true);
  const auto has_ended = [&] {
    return cache.volume().commit().is_backing_current() && write_back.is_quiet();
  };
  while (!has_ended()) {
    lane->finish_turn();
    if (lane->reap() != 0 || lane->has_tasks() || has_ended()) continue;
    pollfd wake{.fd = lane->wake_descriptor(), .events = POLLIN, .revents = 0};
    if (poll(&wake, 1, 1000) > 0) lane->clear_wake();
    CHECK(write_back.status().error.empty());
  }
  return {.megabytes = static_cast<double>(disk.size.value) / (now_ns() - begin) * 1e3,
          .cpu_ms = cpu_ms() - cpu_begin};
}

}  // namespace

void measure_write_back(const BenchPlan& plan) {
  constexpr Pattern patterns[] = {{"128 KiB in order", 128U << 10, false},
                                  {"4 KiB in order", 4096, false},
                                  {"4 KiB shuffled", 4096, true}};
  const CacheFile file(plan.memory, ByteCount{plan.written_back.value * 5 / 4} + 16_MiB);
  const auto region = file.open();
  Disk disk(plan.disk, plan.written_back);
  const auto memory = region->view({0}, disk.size).value();
  (void)disk.plain(memory);  // the file's blocks are written once before anything is measured
  for (int repeat = 0; repeat < plan.repeats; ++repeat) {
    for (const bool crc : {false, true}) {
      tell("plain writer out of the CPU's cache MB/s", disk.plain(memory.first(1U << 20)));
      tell("plain writer MB/s", disk.plain(memory));
      for (const Pattern& pattern : patterns) {
        Cache cache(*region, crc, disk.size);
        fill(cache, pattern, disk.size);
        const WriteBackRate rate = write_back(cache, disk);
        const std::string name = std::string(crc ? "crc " : "plain ") + pattern.name;
        tell(name + " MB/s", rate.megabytes);
        tell(name + " CPU ms", rate.cpu_ms);
      }
    }
    Cache cache(*region, true, disk.size);
    fill(cache, patterns[2], disk.size);
    const WriteBackRate rate = write_back(cache, disk, disk.journal.get());
    tell("crc 4 KiB shuffled, with a journal MB/s", rate.megabytes);
    tell("crc 4 KiB shuffled, with a journal CPU ms", rate.cpu_ms);
  }
}

}  // namespace engine
