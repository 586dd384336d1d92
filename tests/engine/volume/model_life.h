// ModelLife: one life of two cached volumes, from an opening to a crash or a clean stop, over
// simulated media, turned step by step, and every answer held against the model.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/volume/cached_volume.h"
#include "engine/volume/volume_upkeep.h"
#include "tests/engine/volume/block_model.h"
#include "tests/sim/sim_backing.h"
#include "tests/sim/sim_clock.h"
#include "tests/sim/sim_lane.h"
#include "tests/sim/sim_pmem.h"
#include "tests/sim/sim_pmem_pages.h"

namespace engine::test {

inline constexpr std::size_t model_volumes = 2;
inline constexpr std::size_t host_lanes = 2;
using BlockModels = std::array<BlockModel, model_volumes>;

enum class ModelMedia : std::uint8_t { lines, pages };

// What there is between two lives: the cache device, and each volume's disk.
struct Remains {
  ModelMedia media = ModelMedia::lines;
  std::vector<std::byte> cache;
  std::array<std::vector<std::byte>, model_volumes> disks;
};

// A cache device with both volumes attached to it, of which nothing was written yet, `segments` of
// 16 KiB long; blank disks.
[[nodiscard]] Remains new_remains(ModelMedia media, std::uint32_t segments, bool payload_crc,
                                  std::uint64_t sectors);

// Power fails, or the process is killed (which loses nothing that was stored), at the nth persist
// point from now on.
struct PlannedCrash {
  std::uint64_t at = 1;
  std::uint64_t seed = 1;
  bool kill = false;
};

// The real engine from CachedVolume down, without its threads: two lanes of hosts, and one that
// does what CacheKeeper's thread does. From the moment of a crash on its commands do not count any
// more; all the same it must be possible to bring it to its end.
class ModelLife {
 public:
  struct Options {
    std::array<bool, model_volumes> write_through{};
    std::array<std::uint32_t, model_volumes> fewest_segments{};  // of data: guaranteed
    std::array<std::uint32_t, model_volumes> most_segments{};
    std::uint64_t seed = 1;
  };
  // Recovers, and looks at what there is. All outlive it.
  ModelLife(const Remains& from, const Options& options, BlockModels& models,
            std::optional<PlannedCrash> crash = std::nullopt);
  ModelLife(const ModelLife&) = delete;
  ModelLife& operator=(const ModelLife&) = delete;
  ~ModelLife();

  // Empty: all is as the model says.
  [[nodiscard]] const std::string& problem() const { return problem_; }

  struct Command {
    VolumeIo::Kind kind = VolumeIo::Kind::read;
    std::size_t volume = 0;
    SectorRange range;
    bool may_deallocate = false;
    Writer writer = 0;  // of a write
  };
  // A range that does not lie inside the volume is to be refused.
  void submit(std::size_t lane, const Command& command);
  [[nodiscard]] std::size_t under_way() const { return under_way_[0] + under_way_[1]; }
  [[nodiscard]] std::size_t under_way_of(std::size_t volume) const { return under_way_[volume]; }

  // One turn; true: something has happened, or will in the next.
  bool turn_host(std::size_t lane);
  bool turn_keeper();
  void tick(Duration by);
  // Whatever can happen has happened, and a long time has passed.
  void later(Duration by);

  // The disk of a volume; what goes wrong with it is forgiven for the rest of this life.
  [[nodiscard]] SimBacking& trouble_backing(std::size_t volume) {
    volumes_[volume].had_trouble = true;
    return *volumes_[volume].backing;
  }
  // All disks work again, and what they kept back has ended.
  void end_troubles();
  void grow(std::size_t volume, std::uint64_t sectors);

  // The volume is removed while others are served, and is added again. No trouble may be left.
  void come_back(std::size_t volume);

  void plan(const PlannedCrash& crash);
  [[nodiscard]] bool has_crashed() const { return crashed_.has_value(); }
  // What the crash has left.
  [[nodiscard]] Remains take_remains() { return std::move(*crashed_); }

  // Every command ends. No trouble may be left.
  void end_all();
  // The same, and each volume reads as the model says, and everything that counts agrees.
  void check_all();
  // The same, and everything dirty goes to the disks, which are the volumes then.
  void write_back_all();
  // The same but for the dirt; ends well. What is durable then.
  [[nodiscard]] Remains stop();

 private:
  struct HostCommand : VolumeIo {
    ModelLife* life = nullptr;
    Command what;
    BlockModel::Command in_model = 0;
    std::vector<std::byte> buffer;
    bool is_inside = true;
    bool has_ended = false;
  };
  struct Served {
    std::unique_ptr<BackedVolume> backed;
    SimBacking* backing = nullptr;
    std::unique_ptr<CachedVolume> face;
    std::unique_ptr<VolumeCache> cache;
    std::unique_ptr<CacheFront> front;
    bool had_trouble = false;
  };

  void open_device(const Remains& from);
  void serve(std::size_t volume);
  void reach_persist_point();
  [[nodiscard]] Remains remains(const PlannedCrash& crash);

  void ended(HostCommand& command, IoStatus status);
  [[nodiscard]] bool is_forgiven(const HostCommand& command) const;
  void note_problem(const std::string& what);
  void check_written_through(const HostCommand& command);

  void run_until_quiet();
  [[nodiscard]] BlockModel::State state_of(std::size_t volume) const;
  [[nodiscard]] bool is_dirty(std::size_t volume) const;
  void check_invariants();
  [[nodiscard]] bool stops() const { return has_crashed() || !problem_.empty(); }

  const Options options_;
  BlockModels& models_;
  std::string problem_;
  std::optional<Remains> crashed_;
  std::optional<PlannedCrash> planned_;

  MemoryBudget budget_{8_MiB};
  target::SimClock clock_;
  OpenCache cache_;
  SimPmem* lines_ = nullptr;  // one of the two
  SimPmemPages* pages_ = nullptr;
  std::unique_ptr<DurableWriter> writer_;
  std::array<Served, model_volumes> volumes_;
  std::deque<HostCommand> commands_;
  std::array<std::size_t, model_volumes> under_way_{};
  std::array<std::unique_ptr<SimLane>, host_lanes> lanes_;
  std::unique_ptr<SimLane> keeper_lane_;
  std::unique_ptr<CacheActor> actor_;
  std::array<std::unique_ptr<VolumeUpkeep>, model_volumes> upkeeps_;
};

}  // namespace engine::test
