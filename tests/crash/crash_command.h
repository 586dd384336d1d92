// CrashCommand: a command of a crash workload, and where it is in the order of its volume's log.
#pragma once

#include <array>
#include <memory>
#include <vector>

#include "engine/cache/cache_actor.h"
#include "engine/cache/miss_table.h"
#include "engine/cache/volume_cache.h"
#include "engine/foundation/function_ref.h"
#include "engine/foundation/random.h"
#include "tests/crash/volume_model.h"

namespace engine::test {

struct CrashCommand final : CommitRecord {
  enum class Kind : std::uint8_t {
    write,
    zeroes,
    fill,  // changes nothing that can be read: it has no place in the order
  };
  CrashCommand(CompletionSink& sink, std::uint32_t of) : CommitRecord(sink), slot(of) {}

  [[nodiscard]] bool is_ordered() const { return kind != Kind::fill; }

  std::uint32_t slot;
  Kind kind = Kind::write;
  VolumeCache::ZeroedSpace space = VolumeCache::ZeroedSpace::kept;  // of zeroes
  MissPart miss;  // a fill's, in the volume's table until it is through
  ModelCommand model;
  std::vector<std::byte> data;
  std::size_t index = 0;
};

[[nodiscard]] std::vector<std::byte> data_of(SectorRange range,
                                             FunctionRef<Writer(std::uint64_t)> written_by);
// Any, at places where they meet. `churns`: nothing but long lists of ranges to zero.
[[nodiscard]] std::unique_ptr<CrashCommand> some_command(SeededRandom& random, CompletionSink& sink,
                                                         Writer writer, bool churns);
// A fill is of the first hole of its range, with what the volume's `backing` has now. False: there
// is none.
[[nodiscard]] Result<bool, CacheRefusal> submit(VolumeCache& volume, CacheActor& actor,
                                                CrashCommand& command,
                                                const VolumeModel::State& backing);
// It has completed.
void finish(VolumeCache& volume, CrashCommand& command);

}  // namespace engine::test
