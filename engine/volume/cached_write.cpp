#include "engine/volume/cached_write.h"

#include <algorithm>
#include <utility>

#include "engine/cache/least_space.h"
#include "engine/foundation/check.h"
#include "engine/foundation/guard.h"
#include "engine/volume/backing_request.h"
#include "engine/volume/cache_front.h"
#include "engine/volume/cache_lane.h"

namespace engine {

void CachedWrite::start(CacheFront& front, VolumeIo& io) {
  front_ = &front;
  io_ = &io;
  left_ = front.range_of(io);
  tries_ = 0;
  gave_up_ = has_waited_ = is_admitted_ = is_taken_back_ = false;
  promised_ = {};
  const bool must_wait = io.kind == VolumeIo::Kind::lose && is_dirty() &&
                         front.mode() != CacheMode::read_only &&
                         GUARD("on the disk before it is lost");
  if (must_wait) return wait_for_backing(front.volume().commit().published());
  if (has_space()) set_out();
}

// Nobody else writes there as long as this command is under way.
bool CachedWrite::is_dirty() const {
  bool any = false;
  front_->volume().index().look_up(left_, ExtentIndex::Heat::keep, [&any](const Piece& piece) {
    any = any || (piece.value && piece.value->dirty);
  });
  return any;
}

void CachedWrite::wait_for_backing(std::uint64_t sequence) {
  awaited_ = sequence;
  waits_for_ = WaitsFor::backing;
  asked_ = lane().lane().now();
  front_->written_through().push(*this);
  front_->cache().wake();
}

void CachedWrite::backing_has_it() {
  if (io_->is_timed) io_->times.add_backing(lane().lane().now() - asked_);
  if (gave_up_) return finish(IoStatus::unavailable);
  if (io_->kind == VolumeIo::Kind::lose) return set_out();
  finish(IoStatus::ok);
}

void CachedWrite::set_out() {
  // Who waits has come before.
  settle(front_->space().empty() ? begin() : CacheRefusal::no_space);
}

// Before anything of it is in the cache: what is answered can be written back. Zeros need nothing.
bool CachedWrite::has_space() {
  VolumeSpace* const space = io_->kind == VolumeIo::Kind::write ? front_->backing_space() : nullptr;
  if (space == nullptr || front_->mode() == CacheMode::read_only) return true;
  if (!GUARD("space promised before the write")) return true;
  const ByteCount needed =
      VolumeSpace::needed(front_->position_of(left_.begin), {io_->data.size()});
  if (space->admits(needed)) {
    promised_ = needed;
    return true;
  }
  unasked_ = left_;
  ask_for_space();
  return false;
}

// There is little left: part by part. What is over data that the backing lacks has its place, which
// that was promised. Where zeros are on their way to the backing, the space that it has there goes
// with them, and perhaps in a batch before this write's.
void CachedWrite::ask_for_space() {
  SectorRange part;
  bool is_over = false;
  bool loses_place = false;
  const auto on_piece = [&](const Piece& piece) {
    const bool is_dirty = piece.value && piece.value->dirty;
    if (is_over) return;
    if (is_dirty && piece.value->kind == ExtentKind::data) {
      is_over = !part.empty();
      return;
    }
    if (part.empty()) part.begin = piece.range.begin;
    part.count = piece.range.end() - part.begin;
    loses_place = loses_place || (is_dirty && GUARD("no place where zeros are on their way"));
  };
  front_->volume().index().look_up(unasked_, ExtentIndex::Heat::keep, on_piece);
  if (part.empty()) return set_out();
  unasked_ = {part.end(), unasked_.end() - part.end()};
  question_ = {.offset = front_->position_of(part.begin),
               .length = {part.count.value * format::place_bytes},
               .loses_place = loses_place,
               .lane = &lane().lane(),
               .answered =
                   [](SpaceQuestion& question, SpaceQuestion::Answer answer) noexcept {
                     static_cast<CachedWrite*>(question.context)->told_of_space(answer);
                   },
               .context = this};
  front_->backing_space()->ask(question_);
}

void CachedWrite::told_of_space(SpaceQuestion::Answer answer) {
  switch (answer) {
    case SpaceQuestion::Answer::promised:
      promised_ = promised_ + VolumeSpace::needed(question_.offset, question_.length);
      [[fallthrough]];
    case SpaceQuestion::Answer::has_place:
      return unasked_.empty() ? set_out() : ask_for_space();
    case SpaceQuestion::Answer::refused:
      return finish(IoStatus::capacity_exceeded);
    case SpaceQuestion::Answer::unknown:
      return finish(IoStatus::unavailable);
  }
}

// Zeros take no space that counts.
bool CachedWrite::is_admitted() {
  is_admitted_ = is_admitted_ || io_->kind != VolumeIo::Kind::write ||
                 front_->pace().admits({io_->data.size()});
  return is_admitted_;
}

void CachedWrite::go_on() noexcept {
  switch (waits_for_) {
    case WaitsFor::commit:
      return committed();
    case WaitsFor::space:
      return look_again();
    case WaitsFor::backing:
      return backing_has_it();
    case WaitsFor::forgotten:
      return write_directly();
    case WaitsFor::direct_write:
      CHECK(false && "the backing answers, nobody else");
  }
}

Result<void, CacheRefusal> CachedWrite::begin() {
  const CacheFront::WriteWay way = front_->write_way();
  if (io_->kind == VolumeIo::Kind::lose && way != CacheFront::WriteWay::refused) return forget();
  switch (way) {
    case CacheFront::WriteWay::cache:
      return is_admitted() ? take() : CacheRefusal::no_space;
    case CacheFront::WriteWay::backing:
      return forget();
    case CacheFront::WriteWay::later:
      return CacheRefusal::no_space;
    case CacheFront::WriteWay::refused:
      return CacheRefusal::read_only;
  }
  return CacheRefusal::failed;
}

// All that is left, or what its volume can always have room for, up to the next multiple of it.
Result<void, CacheRefusal> CachedWrite::take() {
  if (io_->kind != VolumeIo::Kind::write) {
    return take(std::min(left_.count, VolumeCache::most_zeroed));
  }
  const auto taken = take(left_.count);
  const SectorCount part{whole_write.value - left_.begin.value % whole_write.value};
  if (taken || taken.error() != CacheRefusal::no_space || left_.count <= whole_write) return taken;
  return take(part);
}

Result<void, CacheRefusal> CachedWrite::take(SectorCount part) {
  part_ = part;
  for (;;) {
    const SectorRange range{left_.begin, part};
    const auto taken = io_->kind == VolumeIo::Kind::write ? write(range) : zero(range);
    if (taken) {
      waits_for_ = WaitsFor::commit;
      asked_ = lane().lane().now();
      lane().commit_soon();
    }
    if (taken || taken.error() != CacheRefusal::media_error || ++tries_ == most_tries) return taken;
  }
}

Result<void, CacheRefusal> CachedWrite::write(SectorRange part) {
  const SectorCount before = part.begin - front_->range_of(*io_).begin;
  const std::uint64_t begin = before.value * format::place_bytes;
  const std::uint64_t bytes = part.count.value * format::place_bytes;
  return front_->volume().write(lane().actor(), *this, part, io_->data.subspan(begin, bytes),
                                io_->sums.part(begin, bytes));
}

Result<void, CacheRefusal> CachedWrite::zero(SectorRange part) {
  const bool gives_back = io_->kind == VolumeIo::Kind::deallocate || io_->may_deallocate;
  return front_->volume().write_zeroes(
      lane().actor(), *this, {&part, 1},
      gives_back ? VolumeCache::ZeroedSpace::given_back : VolumeCache::ZeroedSpace::kept);
}

// Also where the cache has nothing of it now: the log may still have a key that a crash would bring
// back.
Result<void, CacheRefusal> CachedWrite::forget() {
  MissTable& misses = front_->volume().misses();
  misses.begin_direct(left_, direct_);
  if (!GUARD("forgotten before the disk is written")) {
    write_directly();
    return success();
  }
  const auto taken = front_->volume().invalidate(lane().actor(), *this, left_);
  if (!taken) {
    misses.end_direct(direct_);
    return taken;
  }
  waits_for_ = WaitsFor::forgotten;
  asked_ = lane().lane().now();
  lane().commit_soon();
  return taken;
}

void CachedWrite::write_directly() {
  if (waits_for_ == WaitsFor::forgotten && io_->is_timed) {
    io_->times.add_commit(lane().lane().now() - asked_);
  }
  if (io_->kind != VolumeIo::Kind::lose) {
    front_->traffic().count(lane().number(), CacheTraffic::Event::by_mode);
  }
  if (outcome() == CommitOutcome::failed) return directly_written(IoStatus::sync_failed);
  waits_for_ = WaitsFor::direct_write;
  asked_ = lane().lane().now();
  BackingIo& request = io_->backing;
  request.has_space = true;
  request.context = this;
  request.done = [](BackingIo& ended, IoStatus status) noexcept {
    static_cast<CachedWrite*>(ended.context)->directly_written(status);
  };
  ask_backing(front_->backing(), lane().lane(), *io_, front_->block_size(), request);
}

void CachedWrite::directly_written(IoStatus status) {
  if (waits_for_ == WaitsFor::direct_write && io_->is_timed) {
    io_->times.add_backing(lane().lane().now() - asked_);
  }
  front_->volume().misses().end_direct(direct_);
  finish(status);
}

void CachedWrite::settle(const Result<void, CacheRefusal>& taken) {
  if (taken) return;
  switch (taken.error()) {
    case CacheRefusal::no_space:
    case CacheRefusal::no_memory:
      return wait_for_space();
    case CacheRefusal::media_error:
      return finish(IoStatus::media_error);
    case CacheRefusal::read_only:
      return finish(IoStatus::read_only);
    case CacheRefusal::failed:
      return finish(IoStatus::sync_failed);
  }
}

void CachedWrite::wait_for_space() {
  if (!std::exchange(has_waited_, true)) {
    since_ = front_->clock().now();
    if (io_->waits != nullptr) io_->waits(*io_, *this);
  }
  if (is_taken_back_) return finish(IoStatus::cancelled);
  waits_for_ = WaitsFor::space;
  const bool has_begun = left_ != front_->range_of(*io_);
  front_->space().add(*this, since_, has_begun ? SpaceQueue::Turn::next : SpaceQueue::Turn::last);
  front_->cache().wake();
}

void CachedWrite::look_again() {
  if (is_taken_back_) {
    front_->space().leave(*this);
    return finish(IoStatus::cancelled);
  }
  const auto taken = begin();
  const bool is_short = !taken && (taken.error() == CacheRefusal::no_space ||
                                   taken.error() == CacheRefusal::no_memory);
  if (is_short && !has_waited_enough()) return front_->space().stay(*this);
  front_->space().leave(*this);
  if (!is_short) return settle(taken);
  finish(front_->hold() == Duration::zero() ? IoStatus::unavailable : IoStatus::no_room);
}

bool CachedWrite::has_waited_enough() const {
  const Duration waited = front_->clock().now() - since_;
  if (const Duration hold = front_->hold(); hold != Duration::zero()) return waited >= hold;
  return !front_->gets_on() && waited >= CacheFront::space_patience;
}

// Between its parts it does not wait: then it ends before it would wait again, or is done.
void CachedWrite::take_back() {
  is_taken_back_ = true;
  if (waits_for_ == WaitsFor::space) front_->space().tell(*this);
}

void CachedWrite::committed() {
  if (io_->is_timed) io_->times.add_commit(lane().lane().now() - asked_);
  switch (outcome()) {
    case CommitOutcome::committed:
      break;
    case CommitOutcome::bad_place:
      return ++tries_ == most_tries ? finish(IoStatus::media_error) : settle(take());
    case CommitOutcome::failed:
      if (GUARD("outcome of the commit")) return finish(IoStatus::sync_failed);
      break;
  }
  left_ = {left_.begin + part_, left_.count - part_};
  if (!left_.empty()) return settle(take());
  if (front_->mode() == CacheMode::write_back) return finish(IoStatus::ok);
  wait_for_backing(sequence());
}

void CachedWrite::finish(IoStatus status) {
  VolumeIo& io = *io_;
  // What is in the cache is owed from its commit on: told in this order, it is missed nowhere.
  if (promised_.value != 0) front_->backing_space()->ended(std::exchange(promised_, {}));
  lane().give_back(*this);
  io.done(io, status);
}

}  // namespace engine
