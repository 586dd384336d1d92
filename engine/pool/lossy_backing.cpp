#include "engine/pool/lossy_backing.h"

#include <algorithm>
#include <utility>

#include "engine/foundation/check.h"
#include "engine/foundation/guard.h"

namespace engine {
namespace {

// The sectors that bytes lie in.
LostRange range_of(MediaOffset offset, ByteCount length) {
  const std::uint64_t begin = offset.value / sector_bytes;
  const std::uint64_t end = (offset.value + length.value + sector_bytes - 1) / sector_bytes;
  return {.begin = {begin}, .count = {end - begin}};
}

LostRange range_of(const BackingIo& io) {
  const bool has_data = io.kind == BackingIo::Kind::read || io.kind == BackingIo::Kind::write;
  return range_of(io.offset, has_data ? ByteCount{io.buffer.size()} : io.length);
}

}  // namespace

// An operation behind which the record changes, before its caller hears of it.
struct LossyBacking::Covering {
  LossyBacking& backing;
  IoLane& lane;
  BackingIo& io;
  void (*done)(BackingIo&, IoStatus) noexcept;
  void* context;
  std::vector<LostRange> ranges;
  bool is_durable = false;
  IoStatus status = IoStatus::ok;

  void answer() {
    const std::unique_ptr<Covering> self(this);
    io.done = done;
    io.context = context;
    io.done(io, status);
  }
};

LossyBacking::LossyBacking(std::unique_ptr<BackingDevice> inner, std::string volume,
                           LostRanges lost, LostKeeper& keeper)
    : inner_(std::move(inner)),
      volume_(std::move(volume)),
      keeper_(keeper),
      any_(!lost.empty()),
      lost_(std::move(lost)) {}

LossyBacking::~LossyBacking() { CHECK(!is_changing_); }

LostRanges LossyBacking::lost() const {
  const std::lock_guard lock(mutex_);
  return lost_;
}

void LossyBacking::follow(const LostRanges& lost) {
  const std::lock_guard lock(mutex_);
  CHECK(!is_changing_);
  lost_ = lost;
  written_.clear();
  any_.store(!lost_.empty(), std::memory_order_release);
}

bool LossyBacking::holds(MediaOffset offset, ByteCount length) {
  const LostRange range = range_of(offset, length);
  const std::lock_guard lock(mutex_);
  std::erase_if(written_, [&range](const LostRange& each) { return each.overlaps(range); });
  return lost_.holds(range);
}

void LossyBacking::submit(IoLane& lane, BackingIo& io) {
  if (!any_.load(std::memory_order_acquire)) return inner_->submit(lane, io);
  if (io.kind == BackingIo::Kind::sync) return sync(lane, io);
  const LostRange range = range_of(io);
  bool touches = false;
  {
    const std::lock_guard lock(mutex_);
    touches = lost_.touches(range);
  }
  if (!touches) return inner_->submit(lane, io);
  if (io.kind != BackingIo::Kind::read) return cover(lane, io, {range}, io.durable);
  if (!GUARD("lost blocks are an error")) return inner_->submit(lane, io);
  count_lost_read();
  io.done(io, IoStatus::media_error);
}

void LossyBacking::sync(IoLane& lane, BackingIo& io) {
  std::vector<LostRange> written;
  {
    const std::lock_guard lock(mutex_);
    written.swap(written_);
  }
  if (written.empty()) return inner_->submit(lane, io);
  cover(lane, io, std::move(written), true);
}

void LossyBacking::cover(IoLane& lane, BackingIo& io, std::vector<LostRange> ranges,
                         bool is_durable) {
  io.context = new Covering{.backing = *this,  // deletes itself in answer()
                            .lane = lane,
                            .io = io,
                            .done = io.done,
                            .context = io.context,
                            .ranges = std::move(ranges),
                            .is_durable = is_durable};
  io.done = [](BackingIo& ended, IoStatus status) noexcept {
    auto& self = *static_cast<Covering*>(ended.context);
    self.backing.ended(self, status);
  };
  inner_->submit(lane, io);
}

// On the lane's thread, and answered there.
void LossyBacking::ended(Covering& covering, IoStatus status) {
  covering.status = status;
  if (status != IoStatus::ok) return covering.answer();
  if (!covering.is_durable) {
    note_written(covering.ranges.front());
    return covering.answer();
  }
  const auto answer_later = [&covering](const Result<void, Refusal>& saved) {
    if (!saved) covering.status = IoStatus::unavailable;
    FileOperation& operation = covering.io.file;
    operation.context = &covering;
    operation.done = [](FileOperation& posted, int) noexcept {
      static_cast<Covering*>(posted.context)->answer();
    };
    covering.lane.post(operation);
  };
  if (GUARD("no longer lost before the answer")) {
    return change({.ranges = covering.ranges, .done = answer_later});
  }
  change({.ranges = covering.ranges, .done = [](const auto&) {}});
  answer_later(boost::outcome_v2::success());
}

// A sync that begins from now on makes it durable.
void LossyBacking::note_written(const LostRange& range) {
  const std::lock_guard lock(mutex_);
  if (lost_.touches(range)) written_.push_back(range);
}

void LossyBacking::add(MediaOffset offset, ByteCount length, Asker asker, Done done) {
  using Kind = Change::Kind;
  change({.ranges = {range_of(offset, length)},
          .kind = asker == Asker::host ? Kind::lost_by_host : Kind::lost_by_cache,
          .done = std::move(done)});
}

std::vector<LossRecord::Lost> LossyBacking::listed() const {
  std::vector<Lost> all;
  if (!any_.load(std::memory_order_acquire)) return all;
  const std::lock_guard lock(mutex_);
  for (const LostRange& each : lost_.all()) {
    all.push_back({{each.begin.value * sector_bytes}, {each.count.value * sector_bytes}});
  }
  return all;
}

bool LossyBacking::Change::apply_to(LostRanges& lost) const {
  return std::ranges::all_of(ranges, [this, &lost](const LostRange& range) {
    switch (kind) {
      case Kind::written:
        return lost.remove(range);
      case Kind::lost_by_cache:
        return lost.add(range);
      case Kind::lost_by_host:
        return lost.add(range, LostRanges::most_by_hosts);
    }
    return false;
  });
}

void LossyBacking::change(Change wanted) {
  {
    const std::lock_guard lock(mutex_);
    changes_.push_back(std::move(wanted));
    if (std::exchange(is_changing_, true)) return;
  }
  change_next();
}

// All that wait, with one change of the record; what there is no room for is refused.
void LossyBacking::change_next() {
  std::vector<Change> taken;
  std::vector<Done> refused;
  LostRanges next;
  {
    const std::lock_guard lock(mutex_);
    next = lost_;
    for (Change& change : std::exchange(changes_, {})) {
      const LostRanges before = next;
      if (change.apply_to(next)) {
        taken.push_back(std::move(change));
      } else {
        next = before;
        refused.push_back(std::move(change.done));
      }
    }
  }
  for (const Done& done : refused) {
    done(Refusal{.is_full = true,
                 .text = "the volume's record in its pool has no room for more lost blocks: "
                         "overwrite some of those it lists"});
  }
  keeper_.set_lost(volume_, next, [this, next, taken](const Result<void, std::string>& saved) {
    changed(next, taken, saved);
  });
}

void LossyBacking::changed(const LostRanges& now, std::vector<Change> changes,
                           const Result<void, std::string>& saved) {
  bool more = false;
  {
    const std::lock_guard lock(mutex_);
    if (saved) {
      lost_ = now;
      std::erase_if(written_, [&now](const LostRange& each) { return !now.touches(each); });
      any_.store(!lost_.empty(), std::memory_order_release);
    }
    more = !changes_.empty();
    is_changing_ = more;
  }
  for (const Change& change : changes) {
    if (saved) {
      change.done(boost::outcome_v2::success());
    } else {
      change.done(Refusal{.text = saved.error()});
    }
  }
  if (more) change_next();
}

}  // namespace engine
