#include "engine/volume/cached_scrub.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "engine/cache/payload_crc.h"
#include "engine/foundation/check.h"
#include "engine/foundation/guard.h"
#include "engine/volume/cache_front.h"
#include "engine/volume/cache_lane.h"

namespace engine {
namespace {

SectorRange common_part(SectorRange a, SectorRange b) {
  const Sector begin = std::max(a.begin, b.begin);
  const Sector end = std::min(a.end(), b.end());
  return end <= begin ? SectorRange{begin, {0}} : SectorRange{begin, end - begin};
}

// Neighbours joined.
void append(std::vector<SectorRange>& to, SectorRange range) {
  if (!to.empty() && to.back().end() == range.begin) {
    to.back().count = range.end() - to.back().begin;
    return;
  }
  to.push_back(range);
}

ByteCount bytes_in(SectorRange range) { return {range.count.value * format::place_bytes}; }

}  // namespace

void CachedScrub::start(CacheFront& front, ScrubIo& io) {
  front_ = &front;
  io_ = &io;
  range_ = front.range_of(io.lba, io.blocks);
  CHECK(!range_.empty() && bytes_in(range_) <= ScrubIo::largest);
  looks_ = 0;
  begin();
}

void CachedScrub::begin() {
  IoLane& lane = lane_.lane();
  const ByteCount each = bytes_in(range_);
  auto lease = lane.buffers().lease(each + each);
  if (!lease) return lane.buffers().wait(*this);
  buffer_ = std::move(*lease);
  cached_ = buffer_.bytes().first(each.value);
  backed_ = buffer_.bytes().subspan(each.value, each.value);
  look();
}

std::span<std::byte> CachedScrub::bytes_of(SectorRange range, std::span<std::byte> whole) const {
  return whole.subspan((range.begin - range_.begin).value * format::place_bytes,
                       bytes_in(range).value);
}

// ---- the cache

void CachedScrub::look() {
  ++looks_;
  clean_.clear();
  rot_.clear();
  differences_.clear();
  in_cache_ = compared_ = {};
  front_->volume().misses().watch(range_, watch_);
  is_watched_ = true;
  std::vector<SectorRange> gaps;
  const auto note = [this](const Piece& piece) {
    if (!piece.value || piece.value->kind != ExtentKind::data) return false;
    in_cache_ = in_cache_ + bytes_in(piece.range);
    if (!piece.value->dirty) clean_.push_back({.range = piece.range, .value = *piece.value});
    return false;
  };
  const auto on_gap = [&gaps](const CacheGap& gap) {
    if (gap.kind != CacheGap::Kind::hole) gaps.push_back(gap.range);
  };
  front_->volume().read_again(range_, cached_, note, on_gap, {});
  for (const SectorRange& gap : gaps) look_closely(gap);
  search_.begin(range_);
  read_backing();
}

// What is bad as a whole may be so in one block of many.
void CachedScrub::look_closely(SectorRange gap) {
  const auto on_gap = [this](const CacheGap& bad) {
    if (bad.kind == CacheGap::Kind::hole) return;
    const bool dirty = bad.kind == CacheGap::Kind::bad_dirty;
    if (!rot_.empty() && rot_.back().dirty == dirty && rot_.back().range.end() == bad.range.begin) {
      rot_.back().range.count = bad.range.end() - rot_.back().range.begin;
      return;
    }
    rot_.push_back({.range = bad.range, .dirty = dirty});
  };
  for (SectorRange left = gap; !left.empty();) {
    const std::uint64_t to_next = piece_sectors - left.begin.value % piece_sectors;
    const SectorRange part{left.begin, {std::min(left.count.value, to_next)}};
    front_->volume().read(part, bytes_of(part, cached_), ExtentIndex::Heat::keep, on_gap);
    left = {part.end(), left.count - part.count};
  }
}

bool CachedScrub::is_rotten(SectorRange range) const {
  return std::ranges::any_of(
      rot_, [range](const Rot& rot) { return !common_part(rot.range, range).empty(); });
}

// ---- the backing

void CachedScrub::read_backing() {
  while (search_.goes_on()) {
    read_part();
    if (is_asking_ || !judge()) return;
  }
  compare();
}

void CachedScrub::read_part() {
  const SectorRange part = search_.next();
  backing_io_ = {};
  backing_io_.kind = BackingIo::Kind::read;
  backing_io_.offset = front_->position_of(part.begin);
  backing_io_.buffer = bytes_of(part, backed_);
  backing_io_.context = this;
  backing_io_.done = [](BackingIo& io, IoStatus status) noexcept {
    auto& self = *static_cast<CachedScrub*>(io.context);
    self.is_asking_ = false;
    self.status_ = status;
    if (!self.submitting_ && self.judge()) self.read_backing();
  };
  is_asking_ = submitting_ = true;
  front_->backing().submit(lane_.lane(), backing_io_);
  submitting_ = false;
}

bool CachedScrub::judge() {
  if (search_.take(status_)) return true;
  finish(status_);
  return false;
}

// ---- both

// Of what was clean, and has been read well from both.
std::vector<SectorRange> CachedScrub::still_the_same() {
  std::vector<SectorRange> same;
  const auto on_piece = [this, &same](const Piece& piece) {
    if (!piece.value || piece.value->dirty || piece.value->kind != ExtentKind::data) return;
    for (const Fragment& before : clean_) {
      const SectorRange part = common_part(before.range, piece.range);
      if (part.empty()) continue;
      const Place then = before.value.place + (part.begin - before.range.begin);
      const Place now = piece.value->place + (part.begin - piece.range.begin);
      if (then == now) same.push_back(part);
    }
  };
  front_->volume().index().look_up(range_, ExtentIndex::Heat::keep, on_piece);
  return same;
}

// The index first, then what has changed: whoever changes something publishes it in this order.
void CachedScrub::compare() {
  for (const SectorRange& part : still_the_same()) add_differences(part);
  unwatch();
  if (!differences_.empty() && looks_ < most_looks) return look();
  tell();
}

// Sector by sector: one that is known to be bad has been told already.
void CachedScrub::add_differences(SectorRange range) {
  if (watch_.is_changed(range)) return;
  for (Sector at = range.begin; at < range.end(); at = at + SectorCount{1}) {
    const SectorRange one{at, {1}};
    const bool is_bad = search_.is_bad(one) && GUARD("a scrub compares what it could read");
    if (is_bad || is_rotten(one)) continue;
    compared_ = compared_ + bytes_in(one);
    const auto here = bytes_of(one, cached_);
    if (std::memcmp(here.data(), bytes_of(one, backed_).data(), here.size()) != 0) {
      append(differences_, one);
    }
  }
}

void CachedScrub::tell() {
  io_->in_cache = in_cache_;
  io_->compared = compared_;
  for (const SectorRange& bad : search_.bad()) add(ScrubFinding::Kind::backing_unreadable, bad);
  for (const SectorRange& other : differences_) add(ScrubFinding::Kind::backing_differs, other);
  bool lost = false;
  for (const Rot& rot : rot_) {
    if (!rot.dirty) continue;
    add(ScrubFinding::Kind::cache_lost, rot.range);
    lost = true;
  }
  if (lost) front_->count_lost_read();
  if (GUARD("a scrub heals nothing that is lost")) {
    std::erase_if(rot_, [](const Rot& rot) { return rot.dirty; });
  }
  healed_ = 0;
  heal();
}

// ---- healing

void CachedScrub::heal() {
  while (healed_ < rot_.size()) {
    read_to_heal(rot_[healed_].range);
    if (is_asking_) return;
  }
  finish(IoStatus::ok);
}

void CachedScrub::read_to_heal(SectorRange range) {
  const std::uint64_t sectors = front_->block_size().bytes / format::place_bytes;
  const std::uint64_t begin = range.begin.value / sectors;
  const std::uint64_t end = (range.end().value + sectors - 1) / sectors;
  read_.kind = VolumeIo::Kind::read;
  read_.is_use = false;
  read_.lba = {begin};
  read_.blocks = {end - begin};
  read_.data = cached_.first((read_.blocks * front_->block_size()).value);
  read_.owner = this;
  read_.done = [](VolumeIo& io, IoStatus status) noexcept {
    CachedScrub& self = *static_cast<HostRead&>(io).owner;
    self.add(
        status == IoStatus::ok ? ScrubFinding::Kind::cache_healed : ScrubFinding::Kind::cache_bad,
        self.rot_[self.healed_++].range);
    self.is_asking_ = false;
    if (!self.submitting_) self.heal();
  };
  is_asking_ = submitting_ = true;
  front_->submit(lane_.lane(), read_);
  submitting_ = false;
}

// ---- its end

void CachedScrub::add(ScrubFinding::Kind kind, SectorRange range) {
  const std::uint64_t sectors = front_->block_size().bytes / format::place_bytes;
  const std::uint64_t begin = range.begin.value / sectors;
  const std::uint64_t end = (range.end().value + sectors - 1) / sectors;
  io_->findings.push_back({.kind = kind, .lba = {begin}, .blocks = {end - begin}});
}

void CachedScrub::unwatch() {
  if (std::exchange(is_watched_, false)) front_->volume().misses().unwatch(watch_);
}

void CachedScrub::finish(IoStatus status) {
  unwatch();
  buffer_.release();
  ScrubIo& io = *io_;
  lane_.give_back(*this);
  io.done(io, status);
}

}  // namespace engine
