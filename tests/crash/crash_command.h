// CrashCommand: a command of a crash workload, and where it is in the order of its volume's log.
#pragma once

#include <array>
#include <memory>
#include <vector>

#include "engine/cache/cache_actor.h"
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
  // Of its first range.
  void fill_data(FunctionRef<Writer(Sector)> writer);

  std::uint32_t slot;
  Kind kind = Kind::write;
  VolumeCache::ZeroedSpace space = VolumeCache::ZeroedSpace::kept;  // of zeroes
  ModelCommand model;
  std::vector<std::byte> data;
  std::size_t index = 0;
};

// Any, at places where they meet. `backing`: what a volume's has, for fills. `churns`: nothing but
// long lists of ranges to zero.
[[nodiscard]] std::unique_ptr<CrashCommand> some_command(
    SeededRandom& random, CompletionSink& sink, Writer writer, bool churns,
    FunctionRef<const VolumeModel::State&(std::uint32_t)> backing);
// `overtaken`: of a fill that can be, see VolumeCache::fill().
[[nodiscard]] Result<void, CacheRefusal> submit(VolumeCache& volume, CacheActor& actor,
                                                CrashCommand& command,
                                                const std::atomic<bool>* overtaken = nullptr);

}  // namespace engine::test
