#include "tests/crash/crash_command.h"

#include <algorithm>

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

}  // namespace

std::unique_ptr<CrashCommand> some_command(
    SeededRandom& random, CompletionSink& sink, Writer writer, bool churns,
    FunctionRef<const VolumeModel::State&(std::uint32_t)> backing) {
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
  if (command->kind == Kind::zeroes) {
    if (writer % 2 == 0) command->space = VolumeCache::ZeroedSpace::given_back;
    return command;
  }
  command->fill_data([&](Sector sector) {
    return command->kind == Kind::fill ? backing(slot)[sector.value - world_base.value] : writer;
  });
  return command;
}

void CrashCommand::fill_data(FunctionRef<Writer(Sector)> writer) {
  const SectorRange range = model.ranges.front();
  data.resize(range.count.value * sector_size);
  for (std::uint64_t at = 0; at < range.count.value; ++at) {
    const Sector sector{range.begin.value + at};
    fill_sector(std::span(data).subspan(at * sector_size, sector_size), writer(sector),
                sector.value);
  }
}

Result<void, CacheRefusal> submit(VolumeCache& volume, CacheActor& actor, CrashCommand& command,
                                  const std::atomic<bool>* overtaken) {
  const SectorRange range = command.model.ranges.front();
  switch (command.kind) {
    case CrashCommand::Kind::write:
      return volume.write(actor, command, range, command.data);
    case CrashCommand::Kind::zeroes:
      return volume.write_zeroes(actor, command, command.model.ranges, command.space);
    case CrashCommand::Kind::fill:
      break;
  }
  return volume.fill(actor, command, range, command.data, overtaken);
}

}  // namespace engine::test
