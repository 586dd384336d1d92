#include "engine/pool/marker_file.h"

#include <array>
#include <cerrno>
#include <ctime>

#include "engine/format/pool_format.h"
#include "engine/foundation/check.h"
#include "engine/foundation/guard.h"
#include "engine/pool/checked_struct.h"
#include "engine/pool/pool_error.h"
#include "engine/pool/pool_files.h"

namespace engine {
namespace {

using Kind = PoolError::Kind;
using State = BackingMark::State;

PoolError marker_damaged(const std::string& what) {
  return {Kind::damaged, "the marker is damaged (" + what + ")"};
}
PoolError unsupported_marker(const std::string& what) {
  return {Kind::unsupported,
          "the marker " + what + ", which this version does not know; use a newer Forebay"};
}

bool is_possible(const JournalPlace& journal) {
  constexpr std::uint64_t block = 4096;
  return journal.bytes.value > 0 && journal.bytes.value % block == 0 &&
         journal.offset.value % block == 0 && journal.bytes.value <= most_journal_bytes.value &&
         journal.offset.value <= most_journal_bytes.value;
}

bool is_possible(const BacklogNote& backlog, State state) {
  constexpr std::uint64_t most = std::uint64_t{1} << 60;
  return backlog.bytes.value <= most && backlog.journalled <= backlog.bytes &&
         (state == State::journalled || backlog.journalled.value == 0);
}

bool is_possible(const BackingMark& mark) {
  if (mark.backlog && !is_possible(*mark.backlog, mark.state)) return false;
  if (mark.volume.is_nil() || mark.from > mark.to || mark.from_time_ms > mark.to_time_ms) {
    return false;
  }
  if (mark.state == State::journalled) return is_possible(mark.journal);
  if (mark.journal != JournalPlace{}) return false;
  if (mark.state == State::clean) {
    return mark.from == mark.to && mark.from_time_ms == mark.to_time_ms;
  }
  return mark.state == State::in_progress;
}

// nullopt: not whole. Errors: unsupported, damaged.
Result<std::optional<StoredMark>, PoolError> decode_slot(std::span<const std::byte> bytes,
                                                         unsigned number) {
  const auto slot = *ByteReader(bytes).read<format::BackingMarkerSlot>();
  if (slot.magic != format::backing_marker_magic || (GUARD("marker crc") && !is_sealed(slot)) ||
      slot.slot != number) {
    return std::optional<StoredMark>();
  }
  if (slot.version != format::backing_marker_version) {
    return unsupported_marker("has format version " + std::to_string(slot.version));
  }
  constexpr std::uint64_t known = format::feature_journalled;
  if (slot.features.read_only != 0 || (slot.features.incompatible & ~known) != 0) {
    return unsupported_marker("asks for features");
  }
  StoredMark stored{.mark = {.state = static_cast<State>(slot.state.value()),
                             .volume = {slot.volume_uuid},
                             .cache = {slot.cache_uuid},
                             .from = slot.from,
                             .to = slot.to,
                             .from_time_ms = slot.from_time_ms,
                             .to_time_ms = slot.to_time_ms,
                             .journal = {.offset = {slot.journal_offset},
                                         .bytes = {slot.journal_bytes},
                                         .epoch = slot.journal_epoch}},
                    .sequence = slot.sequence};
  const BacklogNote backlog{.bytes = {slot.backlog_bytes},
                            .journalled = {slot.backlog_journalled},
                            .time_ms = slot.backlog_time_ms};
  const bool has_backlog = (slot.features.compatible & format::feature_backlog) != 0;
  if (has_backlog) stored.mark.backlog = backlog;
  const bool is_journalled = stored.mark.state == State::journalled;
  if (slot.state > static_cast<std::uint32_t>(State::journalled) || !is_possible(stored.mark) ||
      (slot.features.incompatible != 0) != is_journalled ||
      (!has_backlog && backlog != BacklogNote{})) {
    return marker_damaged("it has impossible values");
  }
  return std::optional(stored);
}

// Milliseconds since 1970.
std::string utc_text(std::uint64_t time_ms) {
  const auto seconds = static_cast<std::time_t>(time_ms / 1000);
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  char text[32] = {};
  (void)std::strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S UTC", &parts);
  return text;
}

std::string moment_text(const BackingMark& mark) {
  const std::uint64_t time_ms =
      mark.state == State::journalled ? mark.to_time_ms : mark.from_time_ms;
  std::string text = "as it was before it was cached";
  if (time_ms != 0) text = "as it was at " + utc_text(time_ms);
  if (mark.state == State::in_progress) {
    text += ", and besides a part of what was written up to " + utc_text(mark.to_time_ms);
  }
  return text;
}

std::string loss_text(const BackingMark& mark, const Uuid& cache) {
  if (!mark.backlog || mark.cache != cache) {
    return "How much is lost with it, only the cache knew.";
  }
  const ByteCount lost = mark.backlog->bytes - mark.backlog->journalled;
  return "Lost with it: " + (lost.value == 0 ? "no data" : "up to " + rough_size_text(lost)) +
         " as of " + utc_text(mark.backlog->time_ms) + ", and whatever was written later.";
}

}  // namespace

std::string what_is_left(const BackingMark& mark, const Uuid& cache) {
  return moment_text(mark) + ". " + loss_text(mark, cache);
}

std::vector<std::byte> encode_marker_slot(const StoredMark& stored, unsigned number) {
  CHECK(is_possible(stored.mark) && number < 2);
  format::BackingMarkerSlot slot{};
  slot.magic = format::backing_marker_magic;
  slot.version = format::backing_marker_version;
  slot.volume_uuid = stored.mark.volume.bytes;
  slot.cache_uuid = stored.mark.cache.bytes;
  slot.sequence = stored.sequence;
  slot.state = static_cast<std::uint32_t>(stored.mark.state);
  slot.slot = number;
  slot.from = stored.mark.from;
  slot.to = stored.mark.to;
  slot.from_time_ms = stored.mark.from_time_ms;
  slot.to_time_ms = stored.mark.to_time_ms;
  if (stored.mark.state == State::journalled) {
    slot.features.incompatible = format::feature_journalled;
    slot.journal_offset = stored.mark.journal.offset.value;
    slot.journal_bytes = stored.mark.journal.bytes.value;
    slot.journal_epoch = stored.mark.journal.epoch;
  }
  if (stored.mark.backlog) {
    slot.features.compatible = format::feature_backlog;
    slot.backlog_bytes = stored.mark.backlog->bytes.value;
    slot.backlog_journalled = stored.mark.backlog->journalled.value;
    slot.backlog_time_ms = stored.mark.backlog->time_ms;
  }
  seal(slot);
  const auto bytes = bytes_of(slot);
  return {bytes.begin(), bytes.end()};
}

Result<StoredMark, PoolError> decode_marker(std::span<const std::byte> bytes, const Uuid& volume) {
  if (bytes.size() != marker_bytes) return marker_damaged("its length is not 8192 bytes");
  std::optional<StoredMark> newest;
  for (unsigned number = 0; number < 2; ++number) {
    TRY(const auto slot,
        decode_slot(bytes.subspan(number * marker_slot_bytes, marker_slot_bytes), number));
    if (slot && (!newest || slot->sequence > newest->sequence)) newest = slot;
  }
  if (!newest) return marker_damaged("neither half of it is whole");
  if (newest->mark.volume != volume) {
    return marker_damaged("it belongs to volume " + newest->mark.volume.text());
  }
  return *newest;
}

Result<std::optional<StoredMark>, PoolError> read_marker(PoolDirectory& directory,
                                                         const std::string& image,
                                                         const Uuid& volume) {
  const std::string name = marker_name(image);
  const auto bytes = directory.read(name, marker_bytes + 1);
  if (!bytes) {
    if (bytes.error().code == ENOENT) return std::optional<StoredMark>();
    return pool_io_error(directory, name, bytes.error());
  }
  auto stored = decode_marker(bytes.value(), volume);
  if (stored) return std::optional(stored.value());
  return PoolError{stored.error().kind, directory.path() + "/" + name + ": " + stored.error().text};
}

Result<void, PoolError> make_marker(PoolDirectory& directory, const std::string& image,
                                    const StoredMark& stored) {
  std::vector<std::byte> bytes = encode_marker_slot(stored, 0);
  const std::vector<std::byte> second = encode_marker_slot(stored, 1);
  bytes.insert(bytes.end(), second.begin(), second.end());
  const auto written = replace_file(directory, marker_name(image), bytes);
  if (!written) return pool_io_error(directory, marker_name(image), written.error());
  return success();
}

}  // namespace engine
