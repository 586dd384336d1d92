// CrashJudge: what a crash run knows of its volumes, counts, and finds wrong.
#pragma once

#include <array>
#include <string>

#include "tests/crash/crash_command.h"
#include "tests/crash/crash_run.h"

namespace engine::test {

struct Violated {};  // the end of a run

class CrashJudge {
 public:
  // `suite`: whose test OneSeed repeats the run.
  CrashJudge(const CrashOptions& options, CrashCounts& counts, const char* suite)
      : options_(options), counts_(counts), suite_(suite), first_total_(counts.total()) {}

  [[nodiscard]] const CrashOptions& options() const { return options_; }
  [[nodiscard]] CrashCounts& counts() { return counts_; }
  [[nodiscard]] VolumeModel& model(std::uint32_t slot) { return models_[slot]; }
  [[nodiscard]] bool enough() const {
    return counts_.total() - first_total_ >= options_.states ||
           counts_.total() >= options_.most_states;
  }
  void count(CrashKind kind) { counts_.count(kind); }
  [[noreturn]] void violate(const std::string& what);

  // The next of its volume's, in this order.
  void append(CrashCommand& command);
  // In order; and what is read then is a prefix of the order.
  void acknowledge(const CrashCommand& command, CrashWorld& world,
                   const VolumeModel::State& backing);
  // How long a prefix of its order the volume is, over that backing; with all that was
  // acknowledged.
  std::size_t prefix(CrashWorld& world, std::uint32_t slot, const VolumeModel::State& backing);

 private:
  const CrashOptions options_;
  CrashCounts& counts_;
  const char* const suite_;
  const std::uint64_t first_total_;
  std::array<VolumeModel, world_volumes> models_{VolumeModel{world_base, world_sectors},
                                                 VolumeModel{world_base, world_sectors}};
};

}  // namespace engine::test
