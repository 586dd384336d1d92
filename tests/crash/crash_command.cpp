#include "tests/crash/crash_command.h"

#include <algorithm>
#include <optional>

#include "tests/crash/crash_world.h"

namespace engine::test {
namespace {

SectorRange some_range(SeededRandom& random) {
  const std::uint64_t dice = random.below(20);
  const std::uint64_t most = dice == 0 ? 300 : dice < 4 ? 48 : 8;
  const std::uint64_t count = 1 + random.below(most);
  // Half of them at few places, so that they meet.
  const std::uint64_t room = world_sectors - count + 1;
  const std::uint64_t at =
      random.chance(1, 2) ? random.below(room) : std::min(room - 1, 180 + random.below(16));
  return {{world_base.value + at}, {count}};
}

std::optional<SectorRange> first_hole(VolumeCache& volume, SectorRange range) {
  std::optional<SectorRange> hole;
  std::vector<std::byte> bytes(range.count.value * sector_size);
  volume.read(range, bytes, ExtentIndex::Heat::keep, [&hole](const CacheGap& gap) {
    if (!hole && gap.kind == CacheGap::Kind::hole) hole = gap.range;
  });
  return hole;
}

// As a read that misses goes: what is published, written back and evicted before its fill commits
// overtakes it. Nobody else's miss is open, for the backing answers at once.
Result<bool, CacheRefusal> submit_fill(VolumeCache& volume, CacheActor& actor,
                                       CrashCommand& command, const VolumeModel::State& backing) {
  const auto hole = first_hole(volume, command.model.ranges.front());
  if (!hole) return false;
  volume.misses().begin(*hole, command.miss);
  CHECK(command.miss.reads());
  const SectorRange range = command.miss.range();
  command.data = data_of(
      range, [&backing](std::uint64_t sector) { return backing[sector - world_base.value]; });
  CHECK(volume.misses().take_joined(command.miss) == nullptr);
  const auto taken = volume.fill(actor, command, range, command.data, &command.miss.overtaken());
  if (taken) return true;
  volume.misses().end(command.miss);
  return taken.error();
}

}  // namespace

std::vector<std::byte> data_of(SectorRange range, FunctionRef<Writer(std::uint64_t)> written_by) {
  std::vector<std::byte> data(range.count.value * sector_size);
  for (std::uint64_t at = 0; at < range.count.value; ++at) {
    const std::uint64_t sector = range.begin.value + at;
    fill_sector(std::span(data).subspan(at * sector_size, sector_size), written_by(sector), sector);
  }
  return data;
}

std::unique_ptr<CrashCommand> some_command(SeededRandom& random, CompletionSink& sink,
                                           Writer writer, bool churns) {
  using Kind = CrashCommand::Kind;
  const auto slot = static_cast<std::uint32_t>(random.below(world_volumes));
  const SectorRange range = some_range(random);
  const std::uint64_t dice = churns ? 2 : random.below(10);
  auto command = std::make_unique<CrashCommand>(sink, slot);
  command->kind = dice < 2 ? Kind::fill : dice == 2 ? Kind::zeroes : Kind::write;
  command->model = {.writer = writer, .ranges = {range}, .zeroes = command->kind == Kind::zeroes};
  // Many keys: a list of ranges.
  const bool is_list = command->kind == Kind::zeroes && (churns || random.chance(1, 2));
  const std::uint64_t more = churns ? 60 : is_list ? 8 + random.below(100) : 0;
  for (std::uint64_t left = more; left > 0; --left) {
    const std::uint64_t count = 1 + random.below(4);
    command->model.ranges.push_back(
        {{world_base.value + random.below(world_sectors - 4)}, {count}});
  }
  if (command->kind == Kind::zeroes && writer % 2 == 0) {
    command->space = VolumeCache::ZeroedSpace::given_back;
  }
  if (command->kind == Kind::write) {
    command->data = data_of(range, [writer](std::uint64_t) { return writer; });
  }
  return command;
}

Result<bool, CacheRefusal> submit(VolumeCache& volume, CacheActor& actor, CrashCommand& command,
                                  const VolumeModel::State& backing) {
  const SectorRange range = command.model.ranges.front();
  if (command.kind == CrashCommand::Kind::fill) return submit_fill(volume, actor, command, backing);
  const auto taken = command.kind == CrashCommand::Kind::zeroes
                         ? volume.write_zeroes(actor, command, command.model.ranges, command.space)
                         : volume.write(actor, command, range, command.data);
  if (!taken) return taken.error();
  return true;
}

void finish(VolumeCache& volume, CrashCommand& command) {
  if (command.kind == CrashCommand::Kind::fill) volume.misses().end(command.miss);
}

}  // namespace engine::test
