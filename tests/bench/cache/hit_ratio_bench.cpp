// Hit ratios of the read cache, beside plain FIFO and LRU of the same size in the same run: skewed
// random reads, with a scan of the whole volume through the second half of them. The cache is the
// real one (index, log, reclaim, admission) over memory; only the backing is missing.
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <list>
#include <memory>
#include <unordered_map>
#include <vector>

#include "engine/cache/admission_filter.h"
#include "engine/cache/format_cache.h"
#include "engine/cache/reclaim.h"
#include "engine/cache/recovery.h"
#include "engine/foundation/check.h"
#include "engine/foundation/random.h"
#include "engine/media/open_pmem.h"
#include "tests/bench/cache/tell.h"

namespace engine {
namespace {

constexpr std::size_t block_bytes = 4096;
constexpr std::uint64_t volume_blocks = 128 * 1024;  // 512 MiB
constexpr std::uint64_t reads = 2'000'000;
constexpr std::uint64_t warm_up = reads / 4;
constexpr std::uint64_t reads_a_scanned_block = 4;

// Blocks by popularity: the k-th most popular is asked for as often as 1 / k^skew.
class Zipf {
 public:
  explicit Zipf(double skew) : sums_(volume_blocks), blocks_(volume_blocks) {
    double sum = 0;
    for (std::uint64_t rank = 0; rank < volume_blocks; ++rank) {
      sum += 1 / std::pow(static_cast<double>(rank + 1), skew);
      sums_[rank] = sum;
      blocks_[rank] = rank;
    }
    SeededRandom random(7);
    for (std::uint64_t at = volume_blocks; at-- > 1;) {
      std::swap(blocks_[at], blocks_[random.below(at + 1)]);
    }
  }
  [[nodiscard]] std::uint64_t next(SeededRandom& random) const {
    const double at = static_cast<double>(random.below(std::uint64_t{1} << 52)) /
                      static_cast<double>(std::uint64_t{1} << 52) * sums_.back();
    const auto rank = std::ranges::upper_bound(sums_, at) - sums_.begin();
    return blocks_[static_cast<std::size_t>(rank)];
  }

 private:
  std::vector<double> sums_;
  std::vector<std::uint64_t> blocks_;
};

// FIFO, or LRU if hits come to the front.
class PlainCache {
 public:
  PlainCache(std::uint64_t capacity, bool lru) : capacity_(capacity), lru_(lru) {}
  [[nodiscard]] bool read(std::uint64_t block) {
    if (const auto at = places_.find(block); at != places_.end()) {
      if (lru_) order_.splice(order_.begin(), order_, at->second);
      return true;
    }
    if (order_.size() == capacity_) {
      places_.erase(order_.back());
      order_.pop_back();
    }
    order_.push_front(block);
    places_[block] = order_.begin();
    return false;
  }

 private:
  const std::uint64_t capacity_;
  const bool lru_;
  std::list<std::uint64_t> order_;
  std::unordered_map<std::uint64_t, std::list<std::uint64_t>::iterator> places_;
};

struct Ignore final : CompletionSink {
  void complete(CommitRecord& /*record*/) override {}
};

class RealCache {
 public:
  explicit RealCache(ByteCount size)
      : region_(std::move(make_anonymous_pmem(size).value())), memory_(256_MiB), record_(sink_) {
    FormatOptions options;
    options.layout.volume_slots = 1;
    options.uuid.bytes.fill(std::byte{1});
    CHECK(format_cache(*region_, options));
    device_ = std::move(CacheDevice::open(*region_).value());
    auto writer = DurableWriter::make(*region_).value();
    CHECK(device_->volumes().attach(
        writer, {.volume = options.uuid,
                 .backing = options.uuid,
                 .size = {volume_blocks * block_bytes},
                 .binding = {.attach_epoch = 1, .block_size = {}, .name = "b"}}));
    volume_ = std::move(recover_volume(*device_, 0, memory_, clock_, writer).value().cache);
    actor_ = CacheActor::make(*device_).value();
    reclaim_ = std::make_unique<Reclaim>(*volume_, Reclaim::DirtyTail::ours);
    filter_ = std::make_unique<AdmissionFilter>(size.value / block_bytes / 4);
  }
  [[nodiscard]] bool read(std::uint64_t block) {
    const SectorRange range{{block * 8}, {8}};
    bool hit = true;
    volume_->index().look_up(range, ExtentIndex::Heat::warm,
                             [&hit](const Piece& piece) { hit = hit && piece.value.has_value(); });
    if (hit) return true;
    if (!filter_->admits(range)) return false;
    (void)volume_->fill(*actor_, record_, range, data_);  // refused, it is read again later
    while (actor_->end_turn()) {
    }
    while (reclaim_->is_wanted()) {
      const Reclaim::Step done = reclaim_->step(*actor_);
      CHECK(done != Reclaim::Step::stopped);
      while (actor_->end_turn()) {
      }
      if (done == Reclaim::Step::idle) break;
    }
    return false;
  }

 private:
  std::unique_ptr<PmemRegion> region_;
  SystemClock clock_;
  IndexMemory memory_;
  std::unique_ptr<CacheDevice> device_;
  std::unique_ptr<VolumeCache> volume_;
  std::unique_ptr<CacheActor> actor_;
  std::unique_ptr<Reclaim> reclaim_;
  std::unique_ptr<AdmissionFilter> filter_;
  Ignore sink_;
  CommitRecord record_;
  std::vector<std::byte> data_ = std::vector<std::byte>(block_bytes);
};

// Hits of the skewed reads, in percent: without the scan, and beside it.
struct Ratios {
  double before = 0;
  double beside = 0;
};

template <class Cache>
Ratios measure(Cache& cache, const Zipf& zipf) {
  SeededRandom random(11);
  std::uint64_t hits[2] = {};
  std::uint64_t asked[2] = {};
  for (std::uint64_t at = 0; at < reads; ++at) {
    const bool scans = at >= reads / 2;
    const bool hit = cache.read(zipf.next(random));
    if (at >= warm_up) {
      ++asked[scans ? 1 : 0];
      hits[scans ? 1 : 0] += hit ? 1 : 0;
    }
    if (scans && at % reads_a_scanned_block == 0) {
      (void)cache.read(at / reads_a_scanned_block % volume_blocks);
    }
  }
  return {.before = 100 * static_cast<double>(hits[0]) / static_cast<double>(asked[0]),
          .beside = 100 * static_cast<double>(hits[1]) / static_cast<double>(asked[1])};
}

void tell_ratios(const std::string& name, const Ratios& ratios) {
  tell(name + " before the scan %", ratios.before);
  tell(name + " beside the scan %", ratios.beside);
}

// The plain ones have all of the device for blocks: no log, no tables, nothing free.
void run(ByteCount size, const char* name, double skew) {
  const Zipf zipf(skew);
  PlainCache fifo(size.value / block_bytes, false);
  PlainCache lru(size.value / block_bytes, true);
  RealCache real(size);
  const std::string what =
      std::string("zipf(") + name + ") " + std::to_string(size.value >> 20) + " MiB ";
  tell_ratios(what + "fifo", measure(fifo, zipf));
  tell_ratios(what + "lru", measure(lru, zipf));
  tell_ratios(what + "forebay", measure(real, zipf));
}

}  // namespace
}  // namespace engine

// forebay-hit-ratio-bench [MiB of the cache]...: 32, 64 and 128 if there is none
int main(int argc, char** argv) {
  std::vector<engine::ByteCount> sizes;
  for (int at = 1; at < argc; ++at) sizes.push_back({std::strtoull(argv[at], nullptr, 10) << 20});
  if (sizes.empty()) sizes = {engine::ByteCount{32U << 20}, {64U << 20}, {128U << 20}};
  for (const engine::ByteCount size : sizes) {
    engine::run(size, "0.9", 0.9);
    engine::run(size, "1.1", 1.1);
  }
  return 0;
}
