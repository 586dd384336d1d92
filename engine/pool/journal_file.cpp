#include "engine/pool/journal_file.h"

#include <algorithm>
#include <optional>
#include <system_error>
#include <vector>

#include "engine/format/journal_format.h"
#include "engine/foundation/check.h"
#include "engine/foundation/guard.h"
#include "engine/pool/checked_struct.h"

namespace engine {
namespace {

using boost::outcome_v2::success;
using format::JournalHead;

constexpr std::uint64_t head_bytes = JournalFrame::head.value;
static_assert(head_bytes == sizeof(JournalHead));
static_assert(JournalFrame::most_pieces == format::most_journal_entries);

PoolError journal_damaged(const std::string& what) {
  return {PoolError::Kind::damaged, "its journal is damaged (" + what + ")"};
}
PoolError failed(const char* what, FileError error) {
  return {PoolError::Kind::io,
          std::string(what) + ": " + std::generic_category().message(error.code)};
}

bool is_of(const JournalHead& head, const BackingMark& mark) {
  return head.volume_uuid == mark.volume.bytes && head.cache_uuid == mark.cache.bytes &&
         head.epoch == mark.journal.epoch && head.from == mark.from && head.to == mark.to &&
         head.from_time_ms == mark.from_time_ms && head.to_time_ms == mark.to_time_ms &&
         head.batch_offset == mark.journal.offset.value &&
         head.batch_bytes == mark.journal.bytes.value;
}

// nullopt: an impossible one.
std::optional<JournalPiece> piece_of(const format::JournalEntry& entry) {
  const auto kind = static_cast<JournalPiece::Kind>(entry.kind.value());
  const bool is_known = entry.kind == static_cast<std::uint32_t>(JournalPiece::Kind::data) ||
                        entry.kind == static_cast<std::uint32_t>(JournalPiece::Kind::zeros);
  constexpr std::uint64_t most_sectors = std::uint64_t{1} << 48;
  if (!is_known || entry.sectors == 0 || entry.sector > most_sectors) return std::nullopt;
  return JournalPiece{.kind = kind,
                      .offset = {entry.sector * sector_bytes},
                      .length = {entry.sectors * sector_bytes}};
}

Result<void, PoolError> read_whole(PoolFile& journal, MediaOffset place,
                                   std::span<std::byte> bytes) {
  const auto count = journal.read(place, bytes);
  if (!count) return failed("its journal cannot be read", count.error());
  if (count.value() != bytes.size()) return journal_damaged("it ends too early");
  return success();
}

// The head of frame `number` at `place`, which does not reach beyond the batch.
Result<JournalHead, PoolError> read_head(PoolFile& journal, const BackingMark& mark,
                                         MediaOffset place, std::uint32_t number) {
  std::vector<std::byte> bytes(head_bytes);
  TRY(read_whole(journal, place, bytes));
  const auto head = *ByteReader(bytes).read<JournalHead>();
  if (head.magic != format::journal_magic || (GUARD("journal crc") && !is_sealed(head))) {
    return journal_damaged("frame " + std::to_string(number) + " is not whole");
  }
  if (head.version != format::journal_version || head.features.read_only != 0 ||
      head.features.incompatible != 0) {
    return PoolError{PoolError::Kind::unsupported,
                     "its journal was written by a newer version; use a newer Forebay"};
  }
  const std::uint64_t rest = (mark.journal.end() - place).value;
  const bool fits = head.frame_bytes >= head_bytes && head.frame_bytes % head_bytes == 0 &&
                    head.frame_bytes <= most_frame_bytes.value && head.frame_bytes <= rest &&
                    head.entries <= format::most_journal_entries;
  const bool is_last = head.frame_bytes == rest;
  if (!is_of(head, mark) || head.number != number || !fits ||
      is_last != (number + 1 == head.frames)) {
    return journal_damaged("frame " + std::to_string(number) + " is of another batch");
  }
  return head;
}

Result<void, PoolError> visit_frame(const JournalHead& head, std::span<const std::byte> data,
                                    JournalVisitor visit) {
  if (GUARD("journal data crc") && crc32c(data) != head.data_crc) {
    return journal_damaged("the data of frame " + std::to_string(head.number) +
                           " is not what was written");
  }
  for (std::uint32_t at = 0; at < head.entries; ++at) {
    const auto piece = piece_of(head.entry.at(at));
    const std::uint64_t length =
        piece && piece->kind == JournalPiece::Kind::data ? piece->length.value : 0;
    if (!piece || length > data.size()) return journal_damaged("it has impossible values");
    TRY(visit(*piece, data.first(length)));
    data = data.subspan(length);
  }
  return success();
}

}  // namespace

void encode_journal_head(const JournalIo& io) {
  const BackingMark& mark = io.frame.mark;
  CHECK(mark.state == BackingMark::State::journalled);
  CHECK(io.pieces.size() <= JournalFrame::most_pieces && io.buffer.size() >= head_bytes);
  JournalHead head{};
  head.magic = format::journal_magic;
  head.version = format::journal_version;
  head.volume_uuid = mark.volume.bytes;
  head.cache_uuid = mark.cache.bytes;
  head.epoch = mark.journal.epoch;
  head.from = mark.from;
  head.to = mark.to;
  head.from_time_ms = mark.from_time_ms;
  head.to_time_ms = mark.to_time_ms;
  head.batch_offset = mark.journal.offset.value;
  head.batch_bytes = mark.journal.bytes.value;
  head.number = io.frame.number;
  head.frames = io.frame.count;
  head.frame_bytes = static_cast<std::uint32_t>(io.buffer.size());
  head.data_crc = crc32c(io.buffer.subspan(head_bytes));
  head.entries = static_cast<std::uint32_t>(io.pieces.size());
  for (std::size_t at = 0; at < io.pieces.size(); ++at) {
    const JournalPiece& piece = io.pieces[at];
    head.entry.at(at) = {.sector = piece.offset.value / sector_bytes,
                         .sectors = static_cast<std::uint32_t>(piece.length.value / sector_bytes),
                         .kind = static_cast<std::uint32_t>(piece.kind)};
  }
  seal(head);
  std::ranges::copy(bytes_of(head), io.buffer.begin());
}

Result<void, PoolError> read_journal(PoolFile& journal, const BackingMark& mark,
                                     JournalVisitor visit) {
  CHECK(mark.state == BackingMark::State::journalled);
  std::vector<std::byte> data;
  std::uint32_t number = 0;
  std::uint32_t frames = 0;  // as the first one says
  for (MediaOffset place = mark.journal.offset; place < mark.journal.end(); ++number) {
    TRY(const JournalHead head, read_head(journal, mark, place, number));
    if (number == 0) frames = head.frames;
    if (head.frames != frames) return journal_damaged("its frames are of several batches");
    data.resize(head.frame_bytes - head_bytes);
    TRY(read_whole(journal, place + JournalFrame::head, data));
    TRY(visit_frame(head, data, visit));
    place = place + ByteCount{head.frame_bytes};
  }
  return success();
}

// All of it is looked at before anything is changed.
Result<void, PoolError> apply_journal(PoolFile& journal, PoolFile& image, ByteCount size,
                                      const BackingMark& mark) {
  TRY(read_journal(journal, mark,
                   [size](const JournalPiece& piece, auto) -> Result<void, PoolError> {
                     if (piece.offset + piece.length <= MediaOffset{size.value}) return success();
                     return journal_damaged("it reaches beyond the end of the volume");
                   }));
  const auto apply = [&image](const JournalPiece& piece,
                              std::span<const std::byte> data) -> Result<void, PoolError> {
    const auto done = piece.kind == JournalPiece::Kind::data
                          ? image.write(piece.offset, data)
                          : image.zero(piece.offset, piece.length);
    if (!done) return failed("its image cannot be written", done.error());
    return success();
  };
  TRY(read_journal(journal, mark, apply));
  if (!GUARD("applied journal is synced")) return success();
  if (const auto synced = image.sync(); !synced) {
    return failed("its image cannot be written", synced.error());
  }
  return success();
}

}  // namespace engine
