#include "engine/volume/miss_read.h"

#include <algorithm>
#include <cstring>

#include "engine/foundation/guard.h"
#include "engine/volume/cache_front.h"
#include "engine/volume/cache_lane.h"
#include "engine/volume/cached_read.h"

namespace engine {

SectorCount MissRead::start(CachedRead& reader, SectorRange gap, bool fills) {
  reader_ = &reader;
  front_ = &reader.front();
  fills_ = fills;
  status_ = IoStatus::ok;
  holes_.clear();
  bad_.reset();
  phase_ = Phase::joined;  // from begin() on it may be handed over
  front_->volume().misses().begin(gap, *this);
  const SectorCount taken = range().count;
  if (!reads()) return taken;
  if (GUARD("a miss looks again")) {
    look_again();
  } else {
    phase_ = Phase::reading;
    holes_.push_back(range());
    read_holes();
  }
  return taken;
}

// Registered now: whatever has come in before is found here, and whoever comes later finds this.
void MissRead::look_again() {
  phase_ = Phase::reading;
  bool lost = false;
  CacheGap last;
  front_->volume().read(range(), reader_->bytes_of(range()), ExtentIndex::Heat::keep,
                        [&](const CacheGap& gap) {
                          lost = lost || gap.kind == CacheGap::Kind::bad_dirty;
                          holes_.push_back(gap.range);
                          last = gap;
                        });
  // Only what is missing as a whole is worth filling, or bad as a whole.
  const bool is_whole = last.range == range();
  fills_ = fills_ && is_whole && last.kind == CacheGap::Kind::hole;
  if (is_whole && last.kind == CacheGap::Kind::bad_clean) {
    bad_ = Fragment{.range = last.range, .value = last.value};
  }
  std::ranges::reverse(holes_);
  if (lost) {
    front_->count_lost_read();
    return hand_out(IoStatus::media_error);
  }
  read_holes();
}

void MissRead::read_holes() {
  while (status_ == IoStatus::ok && !holes_.empty()) {
    const SectorRange hole = holes_.back();
    holes_.pop_back();
    io_ = {};
    io_.kind = BackingIo::Kind::read;
    io_.offset = front_->position_of(hole.begin);
    io_.buffer = reader_->bytes_of(hole);
    io_.context = this;
    io_.done = [](BackingIo& io, IoStatus status) noexcept {
      static_cast<MissRead*>(io.context)->backing_done(status);
    };
    reading_ = submitting_ = true;
    front_->backing().submit(lane().lane(), io_);
    submitting_ = false;
    if (reading_) return;
  }
  hand_out(status_);
}

void MissRead::backing_done(IoStatus status) {
  reading_ = false;
  status_ = status;
  if (!submitting_) read_holes();
}

void MissRead::hand_out(IoStatus status) {
  const auto bytes = reader_->bytes_of(range());
  MissPart* part = front_->volume().misses().take_joined(*this);
  while (part != nullptr) {
    MissPart* const next = part->next();
    auto& other = static_cast<MissRead&>(*part);
    const SectorCount before = other.range().begin - range().begin;
    other.receive(status, bytes.subspan(before.value * format::place_bytes,
                                        other.range().count.value * format::place_bytes));
    part = next;
  }
  const bool wants = status == IoStatus::ok && (fills_ || bad_);
  const bool filling = wants && fill();
  if (wants && !filling && !bad_) {
    front_->traffic().count(lane().number(), CacheTraffic::Event::no_room);
  }
  CachedRead& reader = *reader_;
  if (!filling) end();
  reader.part_done(status);
}

// On the thread of whom it has joined: its own reader waits for it, so its buffer is still there.
void MissRead::receive(IoStatus status, std::span<const std::byte> bytes) {
  status_ = status;
  if (status == IoStatus::ok) {
    std::memcpy(reader_->bytes_of(range()).data(), bytes.data(), bytes.size());
  }
  lane().tell(*this);
}

// The reader's bytes are his own again as soon as he is told: what goes into the cache later is
// copied.
bool MissRead::fill() {
  if (!front_->space().empty()) return false;  // what comes free is for those who wait
  std::span<const std::byte> bytes = reader_->bytes_of(range());
  if (front_->cache().committer != nullptr) {
    auto space = lane().lane().buffers().lease({bytes.size()});
    if (!space) return false;
    copy_ = std::move(*space);
    std::memcpy(copy_.bytes().data(), bytes.data(), bytes.size());
    bytes = copy_.bytes().first(bytes.size());
  }
  phase_ = Phase::filling;
  const auto taken =
      bad_ ? front_->volume().heal(lane().actor(), *this, *bad_, bytes, &overtaken())
           : front_->volume().fill(lane().actor(), *this, range(), bytes,
                                   GUARD("a fill can be overtaken") ? &overtaken() : nullptr);
  if (taken) lane().commit_soon();
  return static_cast<bool>(taken);
}

void MissRead::end() {
  front_->volume().misses().end(*this);
  copy_.release();
  lane().give_back(*this);
}

void MissRead::filled() {
  const bool is_in = outcome() == CommitOutcome::committed && !any_dropped();
  if (bad_ && is_in) front_->count_healed_read();
  if (!bad_ && is_in) front_->traffic().count(lane().number(), CacheTraffic::Event::fill);
  end();
}

void MissRead::go_on() noexcept {
  if (phase_ == Phase::filling) return filled();
  if (status_ != IoStatus::ok) {
    // What was wrong may have been with other blocks than these, or with the other one's lane.
    status_ = IoStatus::ok;
    front_->volume().misses().begin_alone(*this);
    return look_again();
  }
  CachedRead& reader = *reader_;
  lane().give_back(*this);
  reader.part_done(IoStatus::ok);
}

}  // namespace engine
