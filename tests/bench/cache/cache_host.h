// CacheHost: one thread that writes to a volume's cache, so and so many blocks a turn.
#pragma once

#include <immintrin.h>

#include <atomic>
#include <memory>
#include <vector>

#include "tests/bench/cache/bench_cache.h"

namespace engine {

// A turn is begun when everything of the one before is durable and visible, whichever thread has
// committed it. Of one thread, but for complete().
class alignas(64) CacheHost final : private CompletionSink {
 public:
  // Blocks of 4 KiB, anywhere in the first `volume_size` of the volume.
  CacheHost(Cache& cache, VolumeCache& volume, ByteCount volume_size, std::size_t depth,
            std::uint64_t seed)
      : volume_(volume),
        blocks_(volume_size.value / block_bytes),
        actor_(must(CacheActor::make(*cache.device))),
        seed_(seed),
        random_(seed),
        ranges_(depth) {
    for (std::size_t at = 0; at < depth; ++at) {
      records_.push_back(std::make_unique<CommitRecord>(static_cast<CompletionSink&>(*this)));
    }
  }

  void turn(Source& source) {
    for (SectorRange& range : ranges_) {
      range = {{random_.below(blocks_) * sectors}, {sectors}};
    }
    for (std::size_t at = 0; at < ranges_.size(); ++at) {
      must_take(volume_.write(*actor_, *records_[at], ranges_[at], source.next()));
    }
    taken_ += ranges_.size();
    ending = this;
    bool more = actor_->end_turn();
    // Another thread has the commit lock, and ours with it.
    while (more || done_here_ + done_elsewhere_.load(std::memory_order_acquire) != taken_) {
      _mm_pause();
      more = actor_->end_turn();
    }
    ending = nullptr;
  }

  // Nanoseconds for each write: the median of `chunk` writes, timed together.
  double write(Source& source, std::uint64_t count,
               std::uint64_t chunk = bench::Pace::usual_chunk) {
    bench::Pace pace(chunk);
    for (std::uint64_t turns = count / ranges_.size(); turns > 0; --turns) {
      turn(source);
      pace.count(ranges_.size());
    }
    return pace.median_ns();
  }
  // Nanoseconds for each read hit: the first `count` blocks that were written, as they came.
  double read(std::uint64_t count) {
    Source buffers(Source::hot_blocks);
    std::uint64_t gaps = 0;
    const auto on_gap = [&gaps](const CacheGap&) { ++gaps; };
    SeededRandom random(seed_);
    count -= count % ranges_.size();
    bench::Pace pace;
    for (std::uint64_t at = 0; at < count; ++at) {
      const SectorRange range{{random.below(blocks_) * sectors}, {sectors}};
      volume_.read(range, buffers.next(), ExtentIndex::Heat::warm, on_gap);
      pace.count(1);
    }
    CHECK(gaps == 0);
    return pace.median_ns();
  }

 private:
  static constexpr std::uint64_t sectors = block_bytes / 512;

  static void must_take(const Result<void, CacheRefusal>& taken) {
    if (!taken) give_up("the cache refuses a write: " + std::to_string(int(taken.error())));
  }
  void complete(CommitRecord& record) override {
    CHECK(record.outcome() == CommitOutcome::committed);
    if (ending == this) {
      ++done_here_;
    } else {
      done_elsewhere_.fetch_add(1, std::memory_order_release);
    }
  }

  static inline thread_local const CacheHost* ending = nullptr;  // whose turn this thread ends

  VolumeCache& volume_;
  const std::uint64_t blocks_;
  const std::unique_ptr<CacheActor> actor_;
  const std::uint64_t seed_;
  SeededRandom random_;
  std::vector<SectorRange> ranges_;
  std::vector<std::unique_ptr<CommitRecord>> records_;
  std::uint64_t taken_ = 0;
  std::uint64_t done_here_ = 0;
  std::atomic<std::uint64_t> done_elsewhere_{0};
};

}  // namespace engine
