#include "engine/cache/chunk_reader.h"
#include "engine/foundation/guard.h"

#include <algorithm>
#include <cstring>

namespace engine {

void ChunkImage::load(const PmemRegion& region, MediaOffset place, std::uint32_t bytes) {
  if (size_ != bytes) {
    bytes_ = std::make_unique_for_overwrite<std::byte[]>(bytes);
    size_ = bytes;
  }
  bad_lines_.clear();
  const std::span all(bytes_.get(), size_);
  if (region.read(place, all)) return;
  // Page by page, and line by line where a page has a bad one.
  bad_lines_.resize(bytes / line_bytes);
  for (std::uint64_t page = 0; page < bytes; page += PmemRegion::page_bytes) {
    const std::uint64_t end = std::min<std::uint64_t>(page + PmemRegion::page_bytes, bytes);
    if (region.read(place + ByteCount{page}, all.subspan(page, end - page))) continue;
    for (std::uint64_t line = page; line < end; line += line_bytes) {
      const auto one = all.subspan(line, line_bytes);
      if (region.read(place + ByteCount{line}, one)) continue;
      std::ranges::fill(one, std::byte{});
      bad_lines_[line / line_bytes] = true;
    }
  }
}

bool ChunkImage::is_readable(std::uint64_t offset, std::uint64_t length) const {
  if (bad_lines_.empty()) return true;
  const auto first = bad_lines_.begin() + static_cast<std::ptrdiff_t>(offset / line_bytes);
  const auto end = bad_lines_.begin() +
                   static_cast<std::ptrdiff_t>((offset + length + line_bytes - 1) / line_bytes);
  return std::find(first, end, true) == end;
}

void ChunkReader::start(const LogChunk& chunk, std::optional<std::uint64_t> limit) {
  chunk_ = chunk;
  limit_ = limit;
  for (std::size_t copy = 0; copy < 2; ++copy) {
    images_[copy].load(region_, chunk.places[copy], layout_.chunk_bytes);
  }
  expected_ = chunk.first_sequence;
  offset_ = layout_.first_kset();
  ahead_.clear();
  given_out_ = 0;
}

bool ChunkReader::is_full() const {
  return offset_ + kset_bytes(1, layout_.kset_alignment) > layout_.chunk_bytes;
}

ChunkReader::Copy ChunkReader::look(std::size_t copy, std::uint64_t offset) const {
  const ChunkImage& image = images_[copy];
  const auto rest = image.bytes().subspan(offset);
  if (!image.is_readable(offset, sizeof(format::KsetHeader))) {
    return {.state = CopyState::unreadable, .kset = {}};
  }
  const auto claimed = claimed_kset_bytes(rest);
  if (!claimed || claimed.value().value > rest.size()) return {};
  const std::uint64_t length = claimed.value().value;
  if (!image.is_readable(offset, length)) return {.state = CopyState::unreadable, .kset = {}};
  const auto kset = decode_kset(seal_, rest);
  if (!kset) return {};
  const KsetStamp& stamp = kset.value().stamp;
  if (stamp.volume_tag != chunk_.volume_tag ||
      stamp.epoch != static_cast<std::uint32_t>(chunk_.epoch)) {
    return {};
  }
  const bool is_next = !GUARD("kset sequence") || stamp.sequence == expected_;
  return {.state = is_next ? CopyState::good : CopyState::invalid,
          .kset = kset.value(),
          .length = length};
}

Result<std::optional<ReadKset>, LogDamage> ChunkReader::next() {
  if (given_out_ < ahead_.size()) return std::optional(ahead_[given_out_++]);
  return read();
}

void ChunkReader::read_ahead() {
  for (;;) {
    const auto kset = read();
    if (!kset || !kset.value()) return;  // the same comes again when it is asked for
    ahead_.push_back(*kset.value());
  }
}

Result<std::optional<ReadKset>, LogDamage> ChunkReader::read() {
  stop_states_ = {CopyState::invalid, CopyState::invalid};
  if (at_limit() || is_full()) return std::optional<ReadKset>{};
  const Copy first = look(0, offset_);
  const auto bytes_at = [this](std::size_t copy, std::uint64_t length) {
    return images_[copy].bytes().subspan(offset_, length);
  };
  // Equal bytes need not be summed twice.
  const bool same = first.state == CopyState::good &&
                    images_[1].is_readable(offset_, first.length) &&
                    std::ranges::equal(bytes_at(0, first.length), bytes_at(1, first.length));
  const Copy second = same ? first : look(1, offset_);
  stop_states_ = {first.state, second.state};
  const bool both = first.state == CopyState::good && second.state == CopyState::good;
  const auto is_ahead = [this](const Copy& copy) {
    return copy.kset && copy.kset->stamp.sequence > expected_;
  };
  const bool either = first.state == CopyState::good || second.state == CopyState::good;
  if ((both && !same) || (either && (is_ahead(first) || is_ahead(second)))) {
    return LogDamage{.kind = LogDamage::Kind::copies_differ,
                     .chunk = chunk_.ordinal,
                     .offset = offset_,
                     .place = chunk_.places[0] + ByteCount{offset_},
                     .other_place = chunk_.places[1] + ByteCount{offset_},
                     .sequence = expected_};
  }
  if (!either) return std::optional<ReadKset>{};
  const Copy& good = first.state == CopyState::good ? first : second;
  ReadKset found{.view = *good.kset,
                 .chunk = chunk_.ordinal,
                 .offset = offset_,
                 .copies = {first.state, second.state}};
  found.view.stamp.epoch = chunk_.epoch;
  offset_ += kset_bytes(found.view.keys.size(), layout_.kset_alignment);
  ++expected_;
  return std::optional(found);
}

std::optional<ChunkReader::Ahead> ChunkReader::find_ahead() const {
  std::optional<Ahead> lowest;
  const std::uint64_t smallest = kset_bytes(1, layout_.kset_alignment);
  for (std::uint64_t offset = offset_; offset + smallest <= layout_.chunk_bytes;
       offset += layout_.kset_alignment) {
    for (std::size_t copy = 0; copy < 2; ++copy) {
      const Copy found = look(copy, offset);
      if (!found.kset) continue;
      const std::uint64_t sequence = found.kset->stamp.sequence;
      if (sequence < expected_ || (limit_ && sequence >= *limit_)) continue;
      if (lowest && lowest->sequence <= sequence) continue;
      lowest = Ahead{.sequence = sequence, .offset = offset};
    }
  }
  return lowest;
}

void ChunkReader::skip_to(const Ahead& ahead) {
  offset_ = ahead.offset;
  expected_ = ahead.sequence;
}

}  // namespace engine
