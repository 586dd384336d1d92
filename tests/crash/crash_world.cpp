#include "tests/crash/crash_world.h"

#include <utility>

#include "engine/cache/format_cache.h"
#include "tests/sim/shuffled_tasks.h"

namespace engine::test {
namespace {

// On media of pages twice as much of everything, as ksets need more room.
constexpr std::uint32_t segment_bytes = 64U << 10;
constexpr std::uint32_t chunk_bytes = 8U << 10;

Uuid uuid_of(std::uint8_t number) {
  Uuid uuid;
  uuid.bytes.fill(std::byte{number});
  return uuid;
}

// Indexes come and go by the hundred thousand; their memory stays.
IndexMemory& index_memory() {
  static IndexMemory memory(64_MiB);
  return memory;
}

// As threads would, in whatever order they come to it.
Result<RecoveredVolume, CacheError> recover_beside_each_other(CacheDevice& device,
                                                              std::uint32_t slot,
                                                              const Clock& clock,
                                                              DurableWriter& writer) {
  ShuffledTasks tasks(device.next_ordinal(slot));
  TRY(auto volume, read_volume(device, slot, index_memory(), clock, tasks));
  TRY(finish_recovery(volume, writer));
  return volume;
}

ByteCount world_size(std::uint32_t segments, std::uint32_t bytes) {
  return {bytes + std::uint64_t{segments} * bytes + (12U << 10)};
}

void format_world(PmemRegion& pmem, bool crc) {
  const std::uint32_t scale = pmem.guarantee().granularity == PmemGranularity::page ? 2 : 1;
  FormatOptions options;
  options.layout = {.segment_bytes = scale * segment_bytes,
                    .chunk_bytes = scale * chunk_bytes,
                    .kset_alignment = 64,
                    .volume_slots = world_volumes,
                    .segment_slots = 64};
  options.uuid = uuid_of(0xd0);
  options.created_ms = 1;
  options.payload_crc = crc;
  CHECK(format_cache(pmem, options));
  const auto device = CacheDevice::open(pmem);
  CHECK(device);
  auto writer = DurableWriter::make(pmem);
  CHECK(writer);
  for (std::uint8_t slot = 0; slot < world_volumes; ++slot) {
    CHECK(device.value()->volumes().attach(
        writer.value(), {.volume = uuid_of(static_cast<std::uint8_t>(slot + 1)),
                         .backing = uuid_of(static_cast<std::uint8_t>(slot + 0x81)),
                         .size = 8_MiB,
                         .binding = {.attach_epoch = 1, .block_size = {512}, .name = "v"}}));
  }
}

}  // namespace

std::unique_ptr<SimPmem> make_world_pmem(bool crc, std::uint32_t segments) {
  auto pmem = std::make_unique<SimPmem>(world_size(segments, segment_bytes));
  format_world(*pmem, crc);
  return pmem;
}

std::unique_ptr<SimPmemPages> make_world_pages(bool crc, std::uint32_t segments) {
  auto pmem = std::make_unique<SimPmemPages>(world_size(segments, 2 * segment_bytes));
  format_world(*pmem, crc);
  return pmem;
}

CrashWorld::CrashWorld(PmemRegion& pmem) : damaged_(world_volumes, false) {
  auto device = CacheDevice::open(pmem);
  if (!device) {
    trouble_ = "the device does not open: " + device.error().text;
    return;
  }
  device_ = std::move(device.value());
  for (const CacheFinding& finding : device_->findings()) {
    if (finding.is_damage()) trouble_ += finding.text() + "; ";
  }
  writer_ = std::make_unique<DurableWriter>(DurableWriter::make(pmem).value());
  std::vector<VolumeCache*> all;
  for (std::uint32_t slot = 0; slot < world_volumes; ++slot) {
    auto recovered = recover_beside_each_other(*device_, slot, clock_, *writer_);
    if (!recovered) {
      trouble_ += recovered.error().text;
      device_.reset();
      return;
    }
    const RecoveryReport& report = recovered.value().report;
    damaged_[slot] = report.damaged();
    if (report.log_damage) trouble_ += report.log_damage->text() + "; ";
    if (report.key_damage) trouble_ += report.key_damage->text() + "; ";
    if (report.entry_damage) trouble_ += "a volume's entry is damaged; ";
    if (report.not_opened) {
      only_lacks_room_ = (trouble_.empty() || only_lacks_room_) &&
                         report.not_opened->kind == CacheError::Kind::no_free_segment;
      trouble_ += "not opened: " + report.not_opened->text + "; ";
    } else if (report.damaged()) {
      only_lacks_room_ = false;
    }
    volumes_.push_back(std::move(recovered.value().cache));
    all.push_back(volumes_.back().get());
  }
  const auto freed = free_unnamed_segments(*device_, *writer_, all);
  if (!freed) {
    trouble_ += freed.error().text;
    only_lacks_room_ = false;
  }
}

CrashWorld::~CrashWorld() = default;

VolumeModel::State CrashWorld::state(std::uint32_t slot, const VolumeModel::State& backing) {
  std::vector<std::byte> bytes(world_sectors * sector_size);
  std::vector<std::uint8_t> gap(world_sectors, 0);
  const auto on_gap = [&gap](const CacheGap& found) {
    for (std::uint64_t at = 0; at < found.range.count.value; ++at) {
      gap[found.range.begin.value - world_base.value + at] =
          found.kind == CacheGap::Kind::hole ? 1 : 2;
    }
  };
  volumes_[slot]->read({world_base, {world_sectors}}, bytes, ExtentIndex::Heat::keep, on_gap);
  VolumeModel::State state(world_sectors);
  for (std::uint64_t at = 0; at < world_sectors; ++at) {
    state[at] = gap[at] == 1   ? backing[at]
                : gap[at] == 2 ? lost
                               : writer_of(std::span(bytes).subspan(at * sector_size, sector_size),
                                           world_base.value + at);
  }
  return state;
}

}  // namespace engine::test
