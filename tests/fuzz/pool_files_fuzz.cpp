// Changes bytes of the files that a pool keeps beside its images, with checksums that match or not:
// what is read is a value that can be written again, or a typed error, never a crash; and a journal
// that is refused has changed nothing.
#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/format/journal_format.h"
#include "engine/format/pool_format.h"
#include "engine/foundation/byte_cursor.h"
#include "engine/foundation/check.h"
#include "engine/pool/checked_struct.h"
#include "engine/pool/journal_file.h"
#include "engine/pool/marker_file.h"
#include "engine/pool/pool_label.h"
#include "engine/pool/volume_table.h"

namespace engine {
namespace {

using Bytes = std::vector<std::byte>;
using boost::outcome_v2::success;

Uuid uuid_filled(std::uint8_t number) {
  Uuid uuid;
  uuid.bytes.fill(std::byte{number});
  return uuid;
}

// ---- what is changed

Bytes label() { return encode(PoolLabel{.pool_uuid = uuid_filled(9), .created_ms = 1}); }

Bytes table() {
  VolumeRecord plain{.uuid = uuid_filled(1),
                     .name = "db01",
                     .image = "db01.raw",
                     .size = 1_MiB,
                     .block_size = BlockSize{4096},
                     .created_ms = 1,
                     .ready = true};
  VolumeRecord cached = plain;
  cached.uuid = uuid_filled(2);
  cached.name = "db02";
  cached.image = "db02.raw";
  cached.cache = {.device = uuid_filled(7), .epoch = 5, .state = format::CacheBindingState::dirty};
  CHECK(cached.lost.add({.begin = {8}, .count = {16}}));
  return encode(
      VolumeTable{.pool_uuid = uuid_filled(9), .sequence = 3, .records = {plain, cached}});
}

BackingMark batch_mark() {
  return {.state = BackingMark::State::journalled,
          .volume = uuid_filled(1),
          .cache = uuid_filled(2),
          .from = 3,
          .to = 9,
          .from_time_ms = 1003,
          .to_time_ms = 1009,
          .journal = {.offset = {4096}, .bytes = {12288}, .epoch = 7},
          .backlog = BacklogNote{.bytes = {8192}, .journalled = {4096}, .time_ms = 1010}};
}

Bytes marker() {
  Bytes bytes = encode_marker_slot({.mark = batch_mark(), .sequence = 4}, 0);
  const Bytes second = encode_marker_slot({.mark = batch_mark(), .sequence = 4}, 1);
  bytes.insert(bytes.end(), second.begin(), second.end());
  return bytes;
}

constexpr ByteCount image_size = 64_KiB;
constexpr std::size_t first_frame = 4096;
constexpr std::size_t second_frame = first_frame + 8192;

Bytes journal() {
  const std::vector<JournalPiece> first{
      {.kind = JournalPiece::Kind::data, .offset = {8 * 512}, .length = {2 * 512}},
      {.kind = JournalPiece::Kind::zeros, .offset = {16 * 512}, .length = {512}},
      {.kind = JournalPiece::Kind::data, .offset = {24 * 512}, .length = {512}}};
  const std::vector<JournalPiece> second{
      {.kind = JournalPiece::Kind::zeros, .offset = {32 * 512}, .length = {4 * 512}}};
  Bytes bytes(second_frame + 4096, std::byte{0xaa});
  const BackingMark mark = batch_mark();
  encode_journal_head({.frame = {.mark = mark, .number = 0, .count = 2},
                       .pieces = first,
                       .buffer = std::span(bytes).subspan(first_frame, 8192)});
  encode_journal_head({.frame = {.mark = mark, .number = 1, .count = 2},
                       .pieces = second,
                       .buffer = std::span(bytes).subspan(second_frame, 4096)});
  return bytes;
}

// ---- and sealed again

template <class Struct>
void seal_at(Bytes& bytes, std::size_t at) {
  if (bytes.size() < at + sizeof(Struct)) return;
  const auto place = std::span(bytes).subspan(at, sizeof(Struct));
  auto value = *ByteReader(place).read<Struct>();
  seal(value);
  std::ranges::copy(bytes_of(value), place.begin());
}

void seal_frame(Bytes& bytes, std::size_t at) {
  if (bytes.size() < at + sizeof(format::JournalHead)) return;
  const auto place = std::span(bytes).subspan(at);
  auto head = *ByteReader(place).read<format::JournalHead>();
  const std::size_t data =
      std::min<std::size_t>(std::max<std::size_t>(head.frame_bytes, sizeof(head)), place.size());
  head.data_crc = crc32c(place.first(data).subspan(sizeof(head)));
  seal(head);
  std::ranges::copy(bytes_of(head), place.begin());
}

// ---- and read

void read_label(Bytes bytes, bool sealed) {
  if (sealed) seal_at<format::PoolLabel>(bytes, 0);
  const auto found = decode_pool_label(bytes);
  if (found) CHECK(decode_pool_label(encode(found.value())).value() == found.value());
}

void read_table(Bytes bytes, bool sealed) {
  if (sealed) {
    seal_at<format::VolumeTableHeader>(bytes, 0);
    for (std::size_t at = sizeof(format::VolumeTableHeader); at < bytes.size();
         at += sizeof(format::VolumeEntry)) {
      seal_at<format::VolumeEntry>(bytes, at);
    }
  }
  const auto found = decode_volume_table(bytes);
  if (found) CHECK(decode_volume_table(encode(found.value())).value() == found.value());
}

void read_marker(Bytes bytes, bool sealed) {
  if (sealed) {
    seal_at<format::BackingMarkerSlot>(bytes, 0);
    seal_at<format::BackingMarkerSlot>(bytes, marker_slot_bytes);
  }
  const auto found = decode_marker(bytes, uuid_filled(1));
  if (!found) return;
  CHECK(!what_is_left(found.value().mark, uuid_filled(2)).empty());
  Bytes again = encode_marker_slot(found.value(), 0);
  again.resize(marker_bytes);
  CHECK(decode_marker(again, uuid_filled(1)).value() == found.value());
}

class MemoryFile final : public PoolFile {
 public:
  explicit MemoryFile(Bytes content) : bytes(std::move(content)) {}

  FileResult<std::size_t> read(MediaOffset offset, std::span<std::byte> to) override {
    if (offset.value >= bytes.size()) return std::size_t{0};
    const auto there = std::span(bytes).subspan(offset.value);
    const std::size_t count = std::min(there.size(), to.size());
    std::ranges::copy(there.first(count), to.begin());
    return count;
  }
  FileResult<void> write(MediaOffset offset, std::span<const std::byte> from) override {
    CHECK(offset.value <= bytes.size() && from.size() <= bytes.size() - offset.value);
    std::ranges::copy(from, std::span(bytes).subspan(offset.value).begin());
    is_synced = false;
    return success();
  }
  FileResult<void> zero(MediaOffset offset, ByteCount length) override {
    return write(offset, Bytes(length.value));
  }
  FileResult<void> sync() override {
    is_synced = true;
    return success();
  }

  Bytes bytes;
  bool is_synced = true;
};

void read_journal(Bytes bytes, bool sealed) {
  if (sealed) {
    seal_frame(bytes, first_frame);
    seal_frame(bytes, second_frame);
  }
  const Bytes before(image_size.value, std::byte{0x11});
  MemoryFile journal_file(std::move(bytes));
  MemoryFile image(before);
  const auto applied = apply_journal(journal_file, image, image_size, batch_mark());
  CHECK(image.is_synced);
  if (!applied) CHECK(!applied.error().text.empty() && image.bytes == before);
}

// Input: which file, sealed or not, how much shorter it is; then places in it and what is there.
void run(std::span<const std::byte> input) {
  ByteReader reader(input);
  const auto choice = reader.read<std::uint8_t>();
  const auto cut = reader.read<std::uint8_t>();
  if (!choice || !cut) return;
  static const std::vector<Bytes> files{label(), table(), marker(), journal()};
  const std::size_t which = *choice % files.size();
  Bytes bytes = files[which];
  if (*cut >= 128) bytes.resize(bytes.size() - std::min<std::size_t>(bytes.size(), *cut - 127U));
  while (reader.rest().size() >= 3 && !bytes.empty()) {
    const auto low = *reader.read<std::uint8_t>();
    const auto high = *reader.read<std::uint8_t>();
    const auto value = *reader.read<std::uint8_t>();
    bytes[(low + std::size_t{high} * 256) % bytes.size()] = std::byte{value};
  }
  const bool sealed = (*choice & 4U) != 0;
  switch (which) {
    case 0:
      return read_label(std::move(bytes), sealed);
    case 1:
      return read_table(std::move(bytes), sealed);
    case 2:
      return read_marker(std::move(bytes), sealed);
    default:
      return read_journal(std::move(bytes), sealed);
  }
}

}  // namespace
}  // namespace engine

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  engine::run(std::as_bytes(std::span(data, size)));
  return 0;
}
