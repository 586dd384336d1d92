// JoinedVolume, JoinedHost: a volume as the daemon has it, and one reactor's thread that uses it.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "engine/media/uring_lane.h"
#include "engine/pool/file_pool.h"
#include "engine/volume/engine.h"
#include "tests/bench/cache/bench_cache.h"

namespace engine {

// An Engine with one volume: its image in a new pool on the disk, its cache in `file`, empty.
// Nothing is written back meanwhile.
class JoinedVolume {
 public:
  JoinedVolume(const BenchPlan& plan, const CacheFile& file, bool crc)
      : pool_(plan.disk + "/forebay-cache-bench-pool-" + std::to_string(getpid())) {
    (void)format_anew(*file.open(), crc);
    std::filesystem::create_directory(pool_);
    must(init_file_pool(pool_));
    engine_ = Engine::open(
        {{.name = "bulk", .kind = PoolSpec::Kind::file, .directory = pool_, .uuid = {}}},
        {{.name = "bench",
          .pool = "bulk",
          .size = plan.volume_bytes(),
          .block_size = {block_bytes},
          .cache = VolumeCacheSpec{.device = "pmem0",
                                   .dirty_low_percent = 99,
                                   .dirty_high_percent = 100,
                                   .max_dirty_age = std::chrono::hours(1)}}},
        {.caches = {{.name = "pmem0", .path = file.path()}}, .memory = &budget_});
    volume_ = engine_->find("bench");
    if (volume_->state() != VolumeState::online) give_up(volume_->condition().reason);
  }
  // Its lanes are gone.
  ~JoinedVolume() {
    CHECK(engine_->stop(std::chrono::seconds(60)));
    engine_.reset();
    std::filesystem::remove_all(pool_);
  }
  JoinedVolume(const JoinedVolume&) = delete;
  JoinedVolume& operator=(const JoinedVolume&) = delete;

  [[nodiscard]] Volume& volume() { return *volume_; }
  [[nodiscard]] MemoryBudget& budget() { return budget_; }

 private:
  const std::string pool_;
  MemoryBudget budget_{64_MiB};
  std::unique_ptr<Engine> engine_;
  Volume* volume_ = nullptr;
};

// Keeps `depth` commands of 4 KiB under way, a turn at a time, as a reactor does that polls.
class JoinedHost {
 public:
  JoinedHost(JoinedVolume& joined, std::size_t depth, std::uint64_t seed)
      : volume_(joined.volume()),
        lane_(must(UringLane::create(joined.budget()))),
        random_(seed),
        commands_(depth) {
    for (Command& command : commands_) {
      command.blocks = {1};
      command.open = &open_;
      command.done = [](VolumeIo& io, IoStatus status) noexcept {
        CHECK(status == IoStatus::ok);
        --*static_cast<Command&>(io).open;
      };
    }
  }
  ~JoinedHost() {
    while (!lane_->guests_are_quiet() || lane_->has_tasks()) run_lane();
  }

  // Blocks that come again with the same seed: what was written can be read.
  void turn(VolumeIo::Kind kind, Source& source) {
    open_ = commands_.size();
    for (Command& command : commands_) {
      command.kind = kind;
      command.lba = {random_.below(volume_.size().value)};
      command.data = source.next();
      volume_.submit(*lane_, command);
    }
    do {
      run_lane();
    } while (open_ != 0);
  }
  // Nanoseconds for each command: the median of `chunk` commands, timed together.
  double run(VolumeIo::Kind kind, Source& source, std::uint64_t count,
             std::uint64_t chunk = bench::Pace::usual_chunk) {
    bench::Pace pace(chunk);
    for (std::uint64_t turns = count / commands_.size(); turns > 0; --turns) {
      turn(kind, source);
      pace.count(commands_.size());
    }
    return pace.median_ns();
  }

 private:
  struct Command : VolumeIo {
    std::size_t* open = nullptr;
  };
  void run_lane() {
    lane_->finish_turn();
    (void)lane_->reap();
  }

  Volume& volume_;
  std::unique_ptr<UringLane> lane_;
  SeededRandom random_;
  std::vector<Command> commands_;
  std::size_t open_ = 0;
};

}  // namespace engine
