#include "engine/cache/write_back_batch.h"

#include <algorithm>
#include <utility>

#include "engine/cache/payload_crc.h"
#include "engine/foundation/check.h"
#include "engine/foundation/guard.h"

namespace engine {
namespace {

// Of one step.
constexpr std::size_t keys_in_step = 1024;
constexpr std::uint64_t sectors_in_step = (1U << 20) / sector_bytes;

MediaOffset bytes_at(Place place) { return {place.value * sector_bytes}; }

}  // namespace

WriteBackBatch::WriteBackBatch(VolumeCache& volume, const BatchBounds& bounds, From from)
    : volume_(volume),
      bounds_(bounds),
      from_(std::move(from)),
      view_{.volume = volume.device().volumes()[volume.slot()], .of = from_.chunks} {
  CHECK(from_.at_most > from_.start.sequence);
  CacheDevice& device = volume.device();
  reader_.emplace(device.region(), device.layout(), device.seal(), view_, from_.start);
}

void WriteBackBatch::prepare_some() {
  switch (stage_) {
    case Stage::gather:
      return gather_some();
    case Stage::merge:
      return merge();
    case Stage::verify:
      return verify_some();
    case Stage::prepared:
      return;
  }
}

WriteBackBatch::End WriteBackBatch::end() const {
  if (ksets_.empty()) return {.sequence = from_.start.sequence, .chunk = from_.start.chunk};
  return ksets_.back().end;
}

void WriteBackBatch::gather_some() {
  const std::size_t enough = keys_.size() + keys_in_step;
  // Ksets of clean keys alone are bounded by their number.
  for (std::size_t ksets = 0; ksets < keys_in_step && keys_.size() < enough; ++ksets) {
    const std::uint64_t end = this->end().sequence;
    const bool full = keys_.size() >= bounds_.most_keys || ksets_.size() >= bounds_.most_keys ||
                      data_.value * sector_bytes >= bounds_.most_bytes.value;
    const bool may_end = end >= from_.at_least || !GUARD("batch never shrinks");
    if (end == from_.at_most || (full && may_end && !ksets_.empty())) return finish_gathering();
    const auto kset = reader_->next();
    if (!kset) {
      trouble_ = WriteBackTrouble{.kind = WriteBackTrouble::Kind::log,
                                  .sequence = kset.error().sequence,
                                  .place = kset.error().place,
                                  .log = kset.error()};
      return finish_gathering();
    }
    // Everything up to at_most is published, so the log does not end before.
    CHECK(kset.value().has_value());
    take(*kset.value());
    if (trouble_) return finish_gathering();
  }
}

void WriteBackBatch::take(const ReadKset& kset) {
  const std::uint64_t sequence = kset.view.stamp.sequence;
  const std::size_t before = keys_.size();
  for (std::size_t at = 0; at < kset.view.keys.size(); ++at) {
    const format::Key& key = kset.view.keys[at];
    trouble_ = judge(key);
    if (trouble_) {
      trouble_->sequence = sequence;
      keys_.resize(before);
      return;
    }
    DirtyKey dirty{.range = {Sector{key.sector}, SectorCount{key.sectors}},
                   .sequence = sequence,
                   .place = Place{key.place},
                   .crc = key.crc};
    switch (static_cast<format::KeyKind>(key.kind)) {
      case format::KeyKind::data:
        break;
      case format::KeyKind::zero:
        dirty.kind = DirtyKey::Kind::zero;
        dirty.place = zero_stamp(sequence, at);
        dirty.gives_back = (key.flags & format::key_gives_back) != 0;
        break;
      case format::KeyKind::invalidate:
        dirty.kind = DirtyKey::Kind::invalidate;
        break;
      case format::KeyKind::clean:
        continue;  // the backing has it
    }
    keys_.push_back(dirty);
  }
  count_data(before);
  ksets_.push_back(
      {.end = {.sequence = sequence, .chunk = kset.chunk, .time_ms = kset.view.stamp.time_ms},
       .keys = keys_.size()});
}

void WriteBackBatch::count_data(std::size_t from) {
  for (; from < keys_.size(); ++from) {
    const DirtyKey& key = keys_[from];
    if (key.kind != DirtyKey::Kind::data) continue;
    data_ = data_ + key.range.count;
    blocks_ = blocks_ + in_whole_blocks(key.range);
  }
}

std::optional<WriteBackTrouble> WriteBackBatch::judge(const format::Key& key) const {
  CacheDevice& device = volume_.device();
  WriteBackTrouble trouble{.range = {Sector{key.sector}, SectorCount{key.sectors}},
                           .place = bytes_at(Place{key.place}),
                           .fault = check_key(key, device.key_limits(volume_.slot()))};
  const bool is_data = static_cast<format::KeyKind>(key.kind) == format::KeyKind::data;
  if (trouble.fault == KeyFault::none && is_data && key.sectors > largest_extent_sectors) {
    trouble.fault = KeyFault::bad_length;
  }
  if (trouble.fault != KeyFault::none) {
    trouble.kind = WriteBackTrouble::Kind::key;
    return trouble;
  }
  if (!is_data) return std::nullopt;
  const auto segment = device.layout().segment_of(trouble.place);
  if (device.segments().is_current(*segment, volume_.tag(), key.generation)) return std::nullopt;
  trouble.kind = WriteBackTrouble::Kind::stale;
  return trouble;
}

void WriteBackBatch::finish_gathering() {
  reader_.reset();
  stage_ = Stage::merge;
}

void WriteBackBatch::merge() {
  is_usable_ = end().sequence > from_.start.sequence &&
               (end().sequence >= from_.at_least || !GUARD("batch never shrinks"));
  stage_ = Stage::prepared;
  if (!is_usable_) return;
  pieces_ = merge_keys(keys_);
  if (!GUARD("newest inside the batch")) drop_superseded();
  verified_ = 0;
  left_out_.clear();
  stage_ = Stage::verify;
}

// What must not be done, for the mutant that does it: keys are asked for in the index, which knows
// of newer writes behind the end.
void WriteBackBatch::drop_superseded() {
  std::erase_if(pieces_, [this](const DirtyPiece& piece) {
    const DirtyKey& key = keys_[piece.key];
    bool owns = false;
    const ExtentValue value = key.value(piece.range.begin - key.range.begin);
    volume_.index().still_points(piece.range, {.kind = value.kind, .place = value.place},
                                 [&owns](const Fragment&) { owns = true; });
    return !owns;
  });
}

void WriteBackBatch::verify_some() {
  const PmemRegion& region = volume_.device().region();
  const bool checked = volume_.device().payload_crc() && GUARD("payload crc on its way");
  for (std::uint64_t sectors = 0; sectors < sectors_in_step && verified_ < pieces_.size();
       ++verified_) {
    const DirtyPiece& piece = pieces_[verified_];
    const DirtyKey& key = keys_[piece.key];
    if (key.kind == DirtyKey::Kind::zero) continue;
    sectors += piece.range.count.value;
    const ExtentValue value = key.value(piece.range.begin - key.range.begin);
    if (verify_payload(region, value, checked, piece.range.count)) continue;
    if (const auto left = leave_out_lost(verified_); !left) return end_before(left.error());
    --verified_;  // what has taken its place, if anything
  }
  if (verified_ == pieces_.size()) stage_ = Stage::prepared;
}

// As finely as checksums are.
Result<void, WriteBackTrouble> WriteBackBatch::leave_out_lost(std::size_t at) {
  const DirtyPiece whole = pieces_[at];
  const DirtyKey& key = keys_[whole.key];
  const bool checked = volume_.device().payload_crc();
  std::vector<DirtyPiece> readable;
  for (SectorCount done; done < whole.range.count;) {
    const Sector begin = whole.range.begin + done;
    const ExtentValue value = key.value(begin - key.range.begin);
    const std::uint64_t to_edge = piece_sectors - value.origin % piece_sectors;
    const SectorRange part{begin, {std::min(to_edge, (whole.range.count - done).value)}};
    done = done + part.count;
    const auto read = verify_payload(volume_.device().region(), value, checked, part.count);
    if (!read && !is_lost(part)) {
      return WriteBackTrouble{.kind = read.error() == PayloadFault::media_error
                                          ? WriteBackTrouble::Kind::unreadable
                                          : WriteBackTrouble::Kind::bad_checksum,
                              .sequence = key.sequence,
                              .range = part,
                              .place = bytes_at(value.place)};
    }
    if (!read) {
      left_out_.push_back(part);
    } else if (!readable.empty() && readable.back().range.end() == part.begin) {
      readable.back().range.count = readable.back().range.count + part.count;
    } else {
      readable.push_back({.range = part, .key = whole.key});
    }
  }
  const auto gap = pieces_.erase(pieces_.begin() + static_cast<std::ptrdiff_t>(at));
  pieces_.insert(gap, readable.begin(), readable.end());
  return success();
}

bool WriteBackBatch::is_lost(SectorRange range) const {
  if (!GUARD("lost is written down first")) return true;
  return from_.losses != nullptr && from_.losses->holds({range.begin.value * sector_bytes},
                                                        {range.count.value * sector_bytes});
}

bool WriteBackBatch::leaves_out_only_lost() const {
  return std::ranges::all_of(left_out_, [this](SectorRange range) { return is_lost(range); });
}

void WriteBackBatch::end_before(const WriteBackTrouble& trouble) {
  trouble_ = trouble;
  while (!ksets_.empty() && ksets_.back().end.sequence >= trouble.sequence) ksets_.pop_back();
  keys_.resize(ksets_.empty() ? 0 : ksets_.back().keys);
  data_ = blocks_ = {};
  count_data(0);
  pieces_.clear();
  stage_ = Stage::merge;
}

std::optional<std::size_t> WriteBackBatch::fill_io(std::size_t first, BackingIo& io) const {
  const DirtyPiece& begin = pieces_[first];
  const DirtyKey& key = keys_[begin.key];
  const bool zeros = key.kind == DirtyKey::Kind::zero;
  const Place place = key.value(begin.range.begin - key.range.begin).place;
  const std::uint64_t most = (zeros ? most_zeros : largest_io).value / sector_bytes;
  SectorCount count = begin.range.count;
  std::size_t next = first + 1;
  for (; next < pieces_.size(); ++next) {
    const DirtyPiece& piece = pieces_[next];
    const DirtyKey& of = keys_[piece.key];
    if (piece.range.begin != begin.range.begin + count || of.kind != key.kind ||
        of.gives_back != key.gives_back || count.value + piece.range.count.value > most) {
      break;
    }
    if (!zeros && of.place + (piece.range.begin - of.range.begin) != place + count) break;
    count = count + piece.range.count;
  }
  const ByteCount length{count.value * sector_bytes};
  io.offset = {begin.range.begin.value * sector_bytes};
  io.durable = false;
  if (zeros) {
    io.kind = key.gives_back ? BackingIo::Kind::discard : BackingIo::Kind::zero_range;
    io.buffer = {};
    io.length = length;
    return next;
  }
  const auto bytes = volume_.device().region().view(bytes_at(place), length);
  if (!bytes) return std::nullopt;
  io.kind = BackingIo::Kind::write;
  io.length = {};
  // A write only reads its buffer; the type is shared with reads.
  io.buffer = {const_cast<std::byte*>(bytes.value().data()), bytes.value().size()};
  return next;
}

bool WriteBackBatch::is_scattered(std::size_t next, const BackingIo& io) const {
  if (io.kind != BackingIo::Kind::write || io.buffer.size() >= worth_copying.value ||
      next == pieces_.size()) {
    return false;
  }
  const DirtyPiece& piece = pieces_[next];
  return keys_[piece.key].kind == DirtyKey::Kind::data &&
         piece.range.begin.value * sector_bytes == io.offset.value + io.buffer.size() &&
         piece.range.count.value * sector_bytes < worth_copying.value;
}

std::optional<std::size_t> WriteBackBatch::gather(std::size_t first, std::span<std::byte> space,
                                                  BackingIo& io) const {
  Sector end = pieces_[first].range.begin;
  io = {.kind = BackingIo::Kind::write, .offset = {end.value * sector_bytes}};
  std::size_t used = 0;
  std::size_t next = first;
  for (; next < pieces_.size(); ++next) {
    const DirtyPiece& piece = pieces_[next];
    const DirtyKey& key = keys_[piece.key];
    const std::uint64_t bytes = piece.range.count.value * sector_bytes;
    if (piece.range.begin != end || key.kind != DirtyKey::Kind::data ||
        bytes >= worth_copying.value || bytes > space.size() - used) {
      break;
    }
    const Place place = key.place + (piece.range.begin - key.range.begin);
    if (!volume_.device().region().read(bytes_at(place), space.subspan(used, bytes))) {
      return std::nullopt;
    }
    used += bytes;
    end = piece.range.end();
  }
  io.buffer = space.first(used);
  return next;
}

}  // namespace engine
