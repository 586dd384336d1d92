// Changes superblocks, table entries, chunk headers and bare bytes of a cache device, seals what
// has a checksum, and opens it: a typed refusal or a device whose invariants hold; never a crash,
// and the second opening finds nothing new to heal. Also surveys and repairs it.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

#include "engine/cache/cache_repair.h"
#include "engine/cache/log_reader.h"
#include "engine/foundation/byte_cursor.h"
#include "engine/foundation/check.h"
#include "tests/engine/cache/cache_kit.h"

namespace engine::test {
namespace {

// Two volumes with logs, one of them leaving, and segments of all kinds.
struct Base {
  std::vector<std::byte> image;
  CacheLayout layout;

  Base() {
    const auto pmem = formatted_pmem();
    const auto device = open_device(*pmem);
    layout = device->layout();
    auto writer = must(DurableWriter::make(*pmem));
    for (std::uint8_t volume = 1; volume <= 3; ++volume) {
      must(device->volumes().attach(writer, new_volume(volume)));
    }
    for (std::uint32_t slot = 0; slot < 2; ++slot) {
      LogAuthor author(*device, slot);
      author.begin_epoch();
      (void)author.append(2);
      author.new_chunk();
      (void)author.append();
    }
    must(device->volumes().leave(writer, 2));
    (void)must(device->segments().allocate(writer, format::SegmentUse::data, 1));
    (void)must(device->segments().allocate(writer, format::SegmentUse::data, 3));
    image.assign(pmem->content().begin(), pmem->content().end());
  }
};

struct Change {
  std::uint8_t kind;
  std::uint8_t replica;  // bit 0, bit 1: which are changed
  std::uint16_t index;
  std::uint16_t offset;
  std::uint8_t length;
};
static_assert(sizeof(Change) == 8);

class Patcher {
 public:
  Patcher(SimPmem& pmem, const CacheLayout& layout) : pmem_(pmem), layout_(layout) {}

  void apply(const Change& change, std::span<const std::byte> bytes) {
    for (std::size_t replica = 0; replica < 2; ++replica) {
      if ((change.replica & (1U << replica)) == 0) continue;
      switch (change.kind % 6) {
        case 0:
          superblock(layout_.superblock[replica], change, bytes);
          break;
        case 1: {
          const auto type = static_cast<format::EntryType>(2 + change.index % 4);
          const std::uint32_t slot = change.index / 4 % layout_.volume_slots;
          entry(layout_.volume_entry(slot, type)[replica], type, slot, change, bytes);
          break;
        }
        case 2: {
          const std::uint32_t segment = change.index % layout_.segment_count;
          entry(layout_.segment_entry(segment)[replica], format::EntryType::segment, segment,
                change, bytes);
          break;
        }
        case 3: {
          const MediaOffset place =
              layout_.segments +
              ByteCount{change.index % (2 * layout_.segment_count) * std::uint64_t{8192}};
          entry(place, format::EntryType::chunk, place.value, change, bytes);
          break;
        }
        case 4: {
          const MediaOffset place = place_of(change, bytes.size());
          // A part of what is poisoned cannot be written.
          std::vector<std::byte> before(bytes.size());
          if (pmem_.read(place, before)) poke(pmem_, place, bytes);
          break;
        }
        default:
          pmem_.poison(place_of(change, 64), ByteCount{64});
      }
    }
  }

 private:
  MediaOffset place_of(const Change& change, std::uint64_t length) const {
    return {(std::uint64_t{change.index} * 64 + change.offset % 64) % (small_size.value - length)};
  }
  void superblock(MediaOffset place, const Change& change, std::span<const std::byte> bytes) {
    format::CacheSuperblock block;
    const auto raw = std::as_writable_bytes(std::span(&block, 1));
    if (!pmem_.read(place, raw)) return;
    std::ranges::copy(bytes, raw.subspan(change.offset % 160).begin());
    block.crc = 0;
    block.crc = crc32c(raw);
    poke(pmem_, place, raw);
  }
  void entry(MediaOffset place, format::EntryType type, std::uint64_t position,
             const Change& change, std::span<const std::byte> bytes) {
    RawEntry raw;
    const auto space = std::as_writable_bytes(std::span(&raw, 1));
    if (!pmem_.read(place, space)) return;
    const auto to = space.subspan(change.offset % space.size());
    std::ranges::copy(bytes.first(std::min(bytes.size(), to.size())), to.begin());
    DeviceSeal(uuid_of(0xd0)).seal(raw, type, position);
    poke(pmem_, place, bytes_of(raw));
  }

  SimPmem& pmem_;
  const CacheLayout& layout_;
};

void check(CacheDevice& device) {
  for (const CacheFinding& finding : device.findings()) CHECK(!finding.text().empty());
  device.segments().check_invariants();
  device.chunks().check_invariants();
  for (std::uint32_t slot = 0; slot < device.volumes().slots(); ++slot) {
    const CacheVolume& volume = device.volumes()[slot];
    if (volume.identity.state != format::VolumeSlotState::attached || volume.damaged) continue;
    const LogView view{.volume = volume, .of = device.chunks_of(slot)};
    LogReader reader(device.region(), device.layout(), device.seal(), view,
                     LogReader::from_key_tail(volume.tails));
    std::uint64_t last = volume.tails.key_tail;
    for (;;) {
      const auto kset = reader.next();
      if (!kset) {
        CHECK(!kset.error().text().empty());
        break;
      }
      if (!kset.value()) break;
      CHECK(kset.value()->view.stamp.sequence == ++last);
    }
  }
}

// Survey, plan and repair: never a crash, not a byte written before the repair, and what remains is
// damage or nothing.
void check_repair(SimPmem& pmem) {
  std::uint64_t stores = 0;
  pmem.on_persist_point([&stores](PersistPoint) { ++stores; });
  const auto survey = survey_cache(pmem, SurveyDepth::data);
  if (!survey) {
    CHECK(!survey.error().text.empty());
    return;
  }
  const std::array cut{uuid_of(1), uuid_of(2)};
  const auto plan = plan_repair(survey.value(), cut);
  CHECK(stores == 0);
  pmem.on_persist_point({});
  if (!plan) return;
  const Uuid device = survey.value().device->uuid();
  const auto repaired = repair_cache(pmem, device, survey.value(), plan.value());
  if (!repaired) {
    CHECK(!repaired.error().text.empty());
    return;
  }
  CHECK(survey_cache(pmem, SurveyDepth::data));
}

void apply_changes(SimPmem& pmem, const Base& base, std::span<const std::byte> input) {
  Patcher patcher(pmem, base.layout);
  ByteReader reader(input);
  for (int most = 16; most > 0; --most) {
    const auto change = reader.read<Change>();
    if (!change) break;
    const auto bytes = reader.take(change->length % 65);
    if (!bytes) break;
    patcher.apply(*change, *bytes);
  }
}

// Input: changes of eight bytes, each followed by as many bytes as it says.
void run(std::span<const std::byte> input) {
  static const Base base;
  {
    SimPmem pmem(base.image);
    apply_changes(pmem, base, input);
    check_repair(pmem);
  }
  SimPmem pmem(base.image);
  apply_changes(pmem, base, input);
  {
    const auto inspected =
        CacheDevice::open(pmem, {.access = CacheDevice::Access::inspect, .expected = {}});
    if (inspected) check(*inspected.value());
  }
  const auto opened = CacheDevice::open(pmem);
  if (!opened) {
    CHECK(!opened.error().text.empty());
    return;
  }
  check(*opened.value());
  const auto again = CacheDevice::open(pmem);
  CHECK(again);
  check(*again.value());
  const CacheFindings& left = again.value()->findings();
  for (const CacheFinding& finding : left) {
    // A header in a segment whose entry is lost cannot be written again, nor can an unreadable
    // entry be beside one whose replicas contradict each other.
    const bool is_beside_contradiction =
        finding.kind == CacheFinding::Kind::replica_unreadable &&
        std::ranges::any_of(left, [&finding](const CacheFinding& other) {
          return other.kind == CacheFinding::Kind::replicas_contradict &&
                 other.subject == finding.subject;
        });
    CHECK(finding.is_damage() || finding.kind == CacheFinding::Kind::header_missing ||
          is_beside_contradiction);
  }
}

}  // namespace
}  // namespace engine::test

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  engine::test::run(std::as_bytes(std::span(data, size)));
  return 0;
}
