// Changes bytes of the label areas of a device pool's members, with checksums that match or not:
// what is read is a value that can be written again, or a typed error, never a crash; a pool that
// is refused has not been written to, and one that is served is found as it is by the next start.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/format/device_pool_format.h"
#include "engine/format/pool_format.h"
#include "engine/foundation/byte_cursor.h"
#include "engine/foundation/check.h"
#include "engine/pool/checked_struct.h"
#include "tests/engine/pool/device_pool_kit.h"

namespace engine {
namespace {

using Bytes = std::vector<std::byte>;

// Two members with two volumes; made once.
const std::vector<Bytes>& whole_members() {
  static const std::vector<Bytes> members = [] {
    SimDisks disks;
    add_disks(disks, 2, 4);
    CHECK(init_device_pool(disks.candidates(), small_form(format::MemberLayout::linear),
                           any_content));
    auto pool = DevicePool::open(disks.candidates());
    CHECK(pool);
    const VolumeWish wishes[] = {{"a", {5 * sim_slice.value}, {4096}}, {"b", {4096}, {512}}};
    for (const auto& answer : pool.value()->ensure(wishes)) CHECK(answer);
    CHECK(pool.value()->destroy("b", pool.value()->volumes()[1].uuid));
    CHECK(pool.value()->ensure(wishes)[1]);
    return std::vector<Bytes>{disks.disks[0]->bytes, disks.disks[1]->bytes};
  }();
  return members;
}

template <class Struct>
void seal_at(std::span<std::byte> bytes, std::size_t at) {
  if (bytes.size() < at || bytes.size() - at < sizeof(Struct)) return;
  const auto place = bytes.subspan(at, sizeof(Struct));
  auto value = *ByteReader(place).read<Struct>();
  seal(value);
  std::ranges::copy(bytes_of(value), place.begin());
}

// Whatever the table says of its dimensions by now.
void seal_table(std::span<std::byte> slot) {
  auto header = *ByteReader(slot).read<format::DeviceTableHeader>();
  const std::size_t room = slot.size() - sizeof(header);
  const auto body = slot.subspan(sizeof(header), std::min<std::size_t>(header.body_bytes, room));
  const std::uint64_t front = header.members * sizeof(format::DeviceMemberEntry) +
                              header.volumes * sizeof(format::DeviceVolumeEntry) +
                              header.runs * sizeof(format::DeviceRunEntry);
  if (front < body.size()) {
    seal_at<format::VolumeTableHeader>(body, front);
    for (std::size_t at = front + sizeof(format::VolumeTableHeader); at < body.size();
         at += sizeof(format::VolumeEntry)) {
      seal_at<format::VolumeEntry>(body, at);
    }
  }
  header.body_crc = crc32c(body);
  seal(header);
  std::ranges::copy(bytes_of(header), slot.begin());
}

void seal_member(std::span<std::byte> member) {
  seal_at<format::MemberLabel>(member, small_area.first_label().value);
  seal_at<format::MemberLabel>(member, small_area.second_label().value);
  for (const std::size_t slot : {0U, 1U}) {
    seal_table(member.subspan(small_area.slot(slot).value, small_area.slot_bytes.value));
  }
}

void read_parts(std::span<const std::byte> member) {
  const auto label = decode_member_label(member.first(format::label_block_bytes));
  if (!label) return;
  CHECK(decode_member_label(encode(label.value())).value() == label.value());
  for (const std::size_t slot : {0U, 1U}) {
    const auto place = member.subspan(small_area.slot(slot).value, small_area.slot_bytes.value);
    const auto extent = decode_device_table_header(place, label.value());
    if (!extent || extent.value().bytes.value > place.size()) continue;
    const auto table = decode_device_table(place.first(extent.value().bytes.value), label.value());
    if (!table) continue;
    CHECK(decode_device_table(encode(table.value()), label.value()).value() == table.value());
  }
}

void open_pool(SimDisks& disks) {
  const Bytes first = disks.disks[0]->bytes;
  const Bytes second = disks.disks[1]->bytes;
  std::vector<VolumeRecord> volumes;
  {
    auto pool = DevicePool::open(disks.candidates());
    if (!pool) {
      CHECK(!pool.error().text.empty());
      CHECK(disks.disks[0]->bytes == first && disks.disks[1]->bytes == second);
      return;
    }
    volumes = pool.value()->volumes();
    for (const VolumeRecord& volume : volumes) {
      if (!volume.ready) continue;
      const ExtentMap map = pool.value()->extent_map(volume);
      CHECK(map.check_invariants() && map.size() >= volume.size);
      CHECK(!pool.value()->what_is_left(volume, volume.uuid).empty());
    }
  }
  auto again = DevicePool::open(disks.candidates());
  CHECK(again && again.value()->volumes() == volumes);
}

// Input: sealed or not; then places in one of the label areas and what is there.
void run(std::span<const std::byte> input) {
  ByteReader reader(input);
  const auto choice = reader.read<std::uint8_t>();
  if (!choice) return;
  SimDisks disks;
  for (const Bytes& bytes : whole_members()) disks.add({bytes.size()}).bytes = bytes;
  while (reader.rest().size() >= 4) {
    const auto low = *reader.read<std::uint8_t>();
    const auto middle = *reader.read<std::uint8_t>();
    const auto high = *reader.read<std::uint8_t>();
    const auto value = *reader.read<std::uint8_t>();
    const std::size_t at = low + std::size_t{middle} * 256 + (high & 1U) * std::size_t{65536};
    // Both replicas alike, where the same change in all of them is what is interesting.
    const std::size_t member = (high >> 1U) & 1U;
    disks.disks[member]->bytes[at] = std::byte{value};
    const std::uint64_t slot = small_area.slot(0).value;
    if ((*choice & 2U) != 0 && at >= slot && at < slot + small_area.slot_bytes.value) {
      for (const auto& disk : disks.disks) {
        disk->bytes[at] = std::byte{value};
        disk->bytes[at + small_area.slot_bytes.value] = std::byte{value};
      }
    }
  }
  if ((*choice & 1U) != 0) {
    for (const auto& disk : disks.disks) seal_member(disk->bytes);
  }
  for (const auto& disk : disks.disks) read_parts(disk->bytes);
  open_pool(disks);
}

}  // namespace
}  // namespace engine

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  engine::run(std::as_bytes(std::span(data, size)));
  return 0;
}
