#include "engine/cache/log_replay.h"

#include <algorithm>

#include "engine/foundation/check.h"
#include "engine/foundation/guard.h"

namespace engine {
namespace {

// Of one copy of the log; with both, and the keys made of them, three times as much is in memory.
// So many keys that many of them meet in one stripe.
constexpr std::size_t window_bytes = 4U << 20;
constexpr std::size_t fewest_log_pieces = 8;
constexpr std::size_t most_log_pieces = 64;

std::size_t pieces_in_window(std::uint32_t chunk_bytes) {
  return std::clamp(window_bytes / chunk_bytes, fewest_log_pieces, most_log_pieces);
}

bool holds_data(const ReplayKey& key) { return !key.erases && key.value.kind == ExtentKind::data; }

}  // namespace

LogReplay::LogReplay(CacheDevice& device, std::uint32_t slot, VolumeCache& cache,
                     ParallelTasks& tasks)
    : device_(device),
      volume_(device.volumes()[slot]),
      judge_(device, slot),
      cache_(cache),
      tasks_(tasks),
      view_{.volume = volume_, .of = device.chunks_of(slot)},
      start_(LogReader::from_key_tail(volume_.tails)),
      log_(device.region(), device.layout(), device.seal(), view_, start_, this),
      most_pieces_(pieces_in_window(device.layout().chunk_bytes)) {
  window_.reserve(std::min(most_pieces_, view_.chunks().size()));
}

std::optional<CacheError> LogReplay::why_ended() const {
  if (no_memory_.load()) {
    return CacheError{CacheError::Kind::exhausted,
                      {},
                      "its index needs more than `memory` leaves; raise it, and start again"};
  }
  if (tasks_.given_up()) {
    return CacheError{CacheError::Kind::given_up, {}, "its log was not read to the end"};
  }
  return std::nullopt;
}

Result<void, CacheError> LogReplay::run(RecoveryReport& report) {
  report.last_sequence = volume_.tails.key_tail;
  for (;;) {
    const auto next = log_.next();
    if (auto ended = why_ended()) return std::move(*ended);
    if (!next) {
      report.log_damage = next.error();
      break;
    }
    if (!next.value() || !join(*next.value(), report)) break;
  }
  publish_window();
  if (auto ended = why_ended()) return std::move(*ended);
  report.notes = log_.notes();
  report.last_time_ms = log_.last_time_ms();
  // Where it is damaged, what lies before is served too.
  report.end_chunk = report.log_damage   ? report.log_damage->chunk
                     : report.key_damage ? report.key_damage->chunk
                                         : log_.end().chunk;
  return success();
}

// ---- reading

ChunkReader& LogReplay::reader_of(std::size_t index) {
  if (index < window_begin_ || index >= window_begin_ + window_pieces_) {
    publish_window();
    read_window(index);
  }
  current_ = &window_[index - window_begin_];
  return current_->reader;
}

void LogReplay::read_window(std::size_t first) {
  window_begin_ = first;
  window_pieces_ = std::min(most_pieces_, view_.chunks().size() - first);
  while (window_.size() < window_pieces_) window_.emplace_back(device_);
  const auto read = [this](std::size_t at) { decode(window_begin_ + at, window_[at]); };
  tasks_.run(window_pieces_, read);
}

void LogReplay::decode(std::size_t index, Piece& piece) const {
  piece.reader.start(view_.chunks()[index], view_.limit_of(index));
  piece.reader.read_ahead();
  piece.keys.clear();
  piece.keys.reserve(device_.layout().chunk_bytes / sizeof(format::Key));
  piece.ksets.clear();
  piece.joined = 0;
  piece.counting = 0;
  for (const ReadKset& kset : piece.reader.ahead()) {
    // What is forgotten is not judged.
    if (kset.view.stamp.sequence <= start_.sequence) continue;
    if (add_kset(piece, kset).any()) break;  // and once more when the log is joined
  }
}

KeyDamage LogReplay::add_kset(Piece& piece, const ReadKset& kset) const {
  const KsetStamp& stamp = kset.view.stamp;
  const std::size_t before = piece.keys.size();
  std::uint64_t stale_keys = 0;
  for (std::size_t at = 0; at < kset.view.keys.size(); ++at) {
    const format::Key& key = kset.view.keys[at];
    KeyDamage damage = judge_.judge(key, stamp.sequence);
    if (damage.any()) {
      piece.keys.resize(before);
      damage.sequence = stamp.sequence;
      damage.key = at;
      damage.chunk = kset.chunk;
      damage.place = piece.reader.chunk().places[0] + ByteCount{kset.offset};
      return damage;
    }
    const ReplayKey decoded = decode_key(key, stamp, at);
    stale_keys += decoded.erases && has_place(static_cast<format::KeyKind>(key.kind)) ? 1 : 0;
    piece.keys.push_back(decoded);
  }
  piece.ksets.push_back({.offset = kset.offset,
                         .sequence = stamp.sequence,
                         .stale_keys = stale_keys,
                         .keys_end = piece.keys.size()});
  return {};
}

ReplayKey LogReplay::decode_key(const format::Key& key, const KsetStamp& stamp,
                                std::size_t position) const {
  const auto kind = static_cast<format::KeyKind>(key.kind);
  const bool dirty = stamp.sequence > volume_.tails.dirty_tail;
  ReplayKey to{.range = {Sector{key.sector}, SectorCount{key.sectors}}, .value = {}};
  switch (kind) {
    case format::KeyKind::data:
    case format::KeyKind::clean:
      // Behind D one that is not current is damage.
      to.erases = !dirty && !judge_.is_current(key);
      to.value = {.place = Place{key.place},
                  .crc = key.crc,
                  .logged_sectors = static_cast<std::uint16_t>(key.sectors),
                  .dirty = dirty && kind == format::KeyKind::data};
      break;
    case format::KeyKind::zero:
      // Where the backing has them, a hole says the same.
      to.erases = !dirty;
      to.value = {
          .place = zero_stamp(stamp.sequence, position), .kind = ExtentKind::zero, .dirty = true};
      break;
    case format::KeyKind::invalidate:
      to.erases = true;
      break;
  }
  return to;
}

// ---- joining

bool LogReplay::join(const ReadKset& kset, RecoveryReport& report) {
  Piece& piece = *current_;
  // Those that are forgotten were not decoded; what the reader has found behind damage that is
  // forgotten, or damaged itself, was not either.
  if (piece.joined == piece.ksets.size()) {
    const KeyDamage damage = add_kset(piece, kset);
    if (damage.any()) {
      report.key_damage = damage;
      return false;
    }
  }
  const Piece::Kset& joined = piece.ksets[piece.joined++];
  CHECK(joined.offset == kset.offset);
  last_piece_ = &piece;
  last_begin_ = piece.counting;
  last_end_ = piece.counting = joined.keys_end;
  ++report.ksets;
  report.keys += kset.view.keys.size();
  report.stale_keys += joined.stale_keys;
  report.last_sequence = joined.sequence;
  report.last_chunk = kset.chunk;
  return true;
}

// ---- publishing

void LogReplay::publish_window() {
  const std::span<Piece> pieces(window_.data(), window_pieces_);
  std::vector<ReplayKeys> keys;
  for (Piece& piece : pieces) {
    if (!GUARD("only joined ksets count")) piece.counting = piece.keys.size();
    keys.emplace_back(piece.keys.data(), piece.counting);
  }
  if (!GUARD("replay in the order of the log")) std::ranges::reverse(keys);
  const auto shares = static_cast<std::uint32_t>(tasks_.width());
  const auto publish = [&](std::size_t number) {
    for (std::size_t at = number; at < pieces.size(); at += shares) count_live(pieces[at]);
    publish_share(keys, {.number = static_cast<std::uint32_t>(number), .count = shares});
  };
  tasks_.run(shares, publish);
  for (const Piece& piece : pieces) cache_.commit().add_backlog(piece.dirty, piece.dirty_blocks);
  note_last_data();
  window_pieces_ = 0;
}

// What is displaced is taken off again, perhaps before it has been added: the sum is right in the
// end. Neighbours in the log are mostly neighbours in their segment, too.
void LogReplay::count_live(Piece& piece) const {
  piece.dirty = piece.dirty_blocks = {};
  SegmentCounters* counters = nullptr;
  MediaOffset begin;
  MediaOffset end;
  std::uint32_t live = 0;
  std::uint64_t highest = 0;
  const auto add = [&] {
    if (counters == nullptr) return;
    counters->live_sectors.fetch_add(live, std::memory_order_relaxed);
    counters->raise_sequence(highest);
    live = 0;
  };
  std::size_t at = 0;
  for (const Piece::Kset& kset : piece.ksets) {
    if (kset.keys_end > piece.counting) break;
    for (; at < kset.keys_end; ++at) {
      const ReplayKey& key = piece.keys[at];
      if (!holds_data(key)) continue;
      if (key.value.dirty) {
        piece.dirty = piece.dirty + key.range.count;
        piece.dirty_blocks = piece.dirty_blocks + in_whole_blocks(key.range);
      }
      const MediaOffset place{key.value.place.value * format::place_bytes};
      if (place < begin || place >= end) {
        add();
        const auto segment = device_.layout().segment_of(place);
        CHECK(segment.has_value());
        counters = &device_.segments().counters(*segment);
        begin = device_.layout().segment_place(*segment);
        end = begin + ByteCount{device_.layout().segment_bytes};
      }
      live += static_cast<std::uint32_t>(key.range.count.value);
      highest = kset.sequence;
    }
  }
  add();
}

void LogReplay::publish_share(std::span<const ReplayKeys> keys, const ReplayShare& share) {
  const auto on_displaced = [this](const Fragment& part) {
    if (part.value.kind != ExtentKind::data) return;
    counters_of(part.value.place)
        .live_sectors.fetch_sub(static_cast<std::uint32_t>(part.range.count.value),
                                std::memory_order_relaxed);
  };
  if (!cache_.index().replay(keys, share, on_displaced)) no_memory_.store(true);
}

void LogReplay::note_last_data() {
  if (last_piece_ == nullptr) return;
  last_data_.clear();
  for (std::size_t at = last_begin_; at < last_end_; ++at) {
    const ReplayKey& key = last_piece_->keys[at];
    if (!holds_data(key)) continue;
    last_data_.emplace_back(MediaOffset{key.value.place.value * format::place_bytes},
                            ByteCount{key.range.count.value * format::place_bytes});
  }
  last_piece_ = nullptr;
}

SegmentCounters& LogReplay::counters_of(Place place) const {
  const auto segment = device_.layout().segment_of({place.value * format::place_bytes});
  CHECK(segment.has_value());
  return device_.segments().counters(*segment);
}

}  // namespace engine
