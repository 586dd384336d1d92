// ScrubRun: one pass over a volume, piece by piece, at a bounded rate.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/volume/engine.h"
#include "engine/volume/scrub.h"
#include "target/block/block_volume.h"
#include "target/reactor/reactor.h"

namespace target {

struct ScrubResult {
  enum class End : std::uint8_t { whole, cancelled, failed };
  End end = End::whole;
  std::string why{};                             // it failed
  std::vector<engine::ScrubFinding> findings{};  // the first of them
  std::uint64_t findings_total = 0;
  std::uint64_t bad_blocks = 0;
  engine::ByteCount in_cache;  // that was checked there
  engine::ByteCount compared;  // with the backing
};

// Works on one reactor beside its connections, as one more of them: while hosts use the volume, at
// a quarter of its rate. What is known to be lost is passed by.
class ScrubRun : public std::enable_shared_from_this<ScrubRun> {
 public:
  static constexpr std::uint64_t least_rate = 1ULL << 20;  // bytes a second
  static constexpr std::uint64_t most_rate = 16ULL << 30;
  static constexpr std::size_t most_findings = 64;

  // On the reactor's thread.
  using Ended = std::function<void(const ScrubResult& result)>;
  // Holds the volume; the reactor outlives it. The size is the volume's of now.
  ScrubRun(block::BlockVolume& volume, Reactor& reactor, engine::LostRanges lost,
           std::uint64_t bytes_per_second, Ended ended);

  // Any thread. Once.
  void start();
  // Any thread. It ends soon, unless it has.
  void cancel();
  // From now on. Any thread.
  void set_rate(std::uint64_t bytes_per_second) {
    rate_.store(bytes_per_second, std::memory_order_relaxed);
  }
  [[nodiscard]] std::uint64_t done_bytes() const {
    return done_bytes_.load(std::memory_order_relaxed);
  }
  [[nodiscard]] std::uint64_t total_bytes() const { return total_bytes_; }

 private:
  void go_on();
  void submit();
  // False: that has ended it.
  [[nodiscard]] bool account();
  void pass_by_what_is_lost();
  void look_at_hosts();
  [[nodiscard]] std::uint64_t blocks_to_lost() const;
  void end(ScrubResult::End how, std::string why = {});

  block::BlockVolume& volume_;
  const engine::HoldCount::Hold hold_{volume_.holds().take()};
  Reactor& reactor_;
  const engine::LostRanges lost_;
  std::atomic<std::uint64_t> rate_;
  const Ended ended_;
  const std::uint32_t block_bytes_;
  const std::uint64_t blocks_;
  const std::uint64_t total_bytes_;
  std::atomic<std::uint64_t> done_bytes_{0};
  std::atomic<bool> cancelled_{false};

  // The reactor's thread.
  std::shared_ptr<ScrubRun> self_;  // while it runs
  Timer timer_;
  engine::ScrubIo io_;
  engine::IoStatus status_ = engine::IoStatus::ok;
  bool submitting_ = false;
  bool is_under_way_ = false;
  std::uint64_t at_ = 0;  // block
  engine::Instant ready_at_{};
  engine::Instant looked_at_{};
  std::uint64_t host_commands_ = 0;
  bool hosts_are_busy_ = false;
  std::uint64_t unreadable_in_a_row_ = 0;  // bytes
  ScrubResult result_;
};

}  // namespace target
