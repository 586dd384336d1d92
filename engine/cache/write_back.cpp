#include "engine/cache/write_back.h"

#include <algorithm>
#include <utility>

#include "engine/foundation/check.h"
#include "engine/foundation/guard.h"

namespace engine {
namespace {

constexpr std::size_t keys_in_turn = 256;   // marked clean in a turn
constexpr ByteCount most_copied = 256_KiB;  // into one operation
// The marker tells the backlog with each batch; between them no oftener: two writes a volume.
constexpr Duration note_period = std::chrono::minutes(1);

ByteCount bytes_of_sectors(SectorCount count) { return {count.value * format::place_bytes}; }

}  // namespace

WriteBack::WriteBack(VolumeCache& volume, BackingDevice& backing, BackingMarker& marker,
                     IoLane& lane, DurableWriter& writer, const Clock& clock,
                     const WriteBackLimits& limits, const BatchBounds& bounds,
                     BackingJournal* journal, ByteCount journal_frame)
    : volume_(volume),
      backing_(backing),
      marker_(marker),
      lane_(lane),
      writer_(writer),
      clock_(clock),
      bounds_(bounds),
      pace_(limits),
      operations_(std::max(limits.most_in_flight, limits.busy_in_flight)),
      journal_frame_(journal_frame) {
  for (Operation& operation : operations_) operation.owner = this;
  flush_.owner = this;
  noted_ = clock_.now();
  use_journal(journal);
  volume_.commit().note_dirty_tail(tails().dirty_tail);
}

WriteBack::~WriteBack() { CHECK(in_flight_ == 0 && !marker_under_way_); }

const LogTails& WriteBack::tails() const {
  return volume_.device().volumes()[volume_.slot()].tails;
}

// ---- what is wanted

void WriteBack::tick() {
  const Instant now = clock_.now();
  const std::uint64_t published = volume_.commit().published();
  pace_.look(now, bytes_of_sectors(volume_.commit().backlog()), tails().dirty_tail, published);
  // A backing that must be reopened would only refuse; once it is, there is nothing to wait for.
  if (retry_at_ && now >= *retry_at_ && !backing_.needs_reopen()) {
    retry_at_.reset();
    stuck_ = false;
  }
  if (may_begin() && (goal() > tails().dirty_tail || !marker_is_current_)) go_on();
  if (now - noted_ >= note_period) note_backlog();
}

bool WriteBack::may_begin() const { return !stopping_ && !failed_ && !retry_at_; }

std::uint64_t WriteBack::goal() const {
  const std::uint64_t published = volume_.commit().published();
  std::uint64_t goal = std::max(pace_.goal(published), draining_ ? published : 0);
  if (!waiters_.empty()) goal = std::max(goal, waiters_.back().sequence());
  // A batch that has begun is ended, whoever wanted it.
  if (tails().writeback_target > tails().dirty_tail) {
    goal = std::max(goal, tails().writeback_target);
  }
  return std::min(goal, published);
}

bool WriteBack::wait(DirtyTailWaiter& waiter, std::uint64_t sequence) {
  if (tails().dirty_tail >= sequence) return false;
  waiter.sequence_ = sequence;
  auto behind = waiters_.end();
  while (behind != waiters_.begin() && std::prev(behind)->sequence() > sequence) --behind;
  waiters_.insert(behind, waiter);
  go_on();
  return true;
}

void WriteBack::set_draining(bool draining) {
  draining_ = draining;
  if (draining) go_on();
}

void WriteBack::stop() {
  stopping_ = true;
  if (!is_last_noted_) note_backlog();
}

void WriteBack::look_again() {
  if (!std::exchange(stuck_, false)) return;
  retry_at_.reset();
  go_on();
}

// ---- steps

void WriteBack::end_of_turn() {
  bool more = mark_clean();
  more = prepare() || more;
  more = advance() || more;
  if (more) go_on();
}

bool WriteBack::prepare() {
  if (!may_begin()) return false;
  if (!next_) return make_next();
  if (!next_->is_prepared()) next_->prepare_some();
  return !next_->is_prepared();
}

bool WriteBack::make_next() {
  const WriteBackBatch::End from =
      current_ ? current_->end()
      : flushing_
          ? flushing_->end()
          : WriteBackBatch::End{.sequence = tails().dirty_tail, .chunk = tails().dirty_tail_chunk};
  if (goal() <= from.sequence) return false;
  VolumeCommit& commit = volume_.commit();
  if (!commit.try_lock()) return true;
  WriteBackBatch::From what{.start = {.sequence = from.sequence, .chunk = from.chunk},
                            .at_least = std::max(tails().writeback_target, from.sequence),
                            .at_most = commit.published(),
                            .chunks = {},
                            .losses = backing_.losses()};
  const VolumeChunks& chunks = volume_.device().chunks_of(volume_.slot());
  for (const LogChunk& chunk : chunks.chunks) {
    if (chunk.ordinal >= from.chunk) what.chunks.chunks.push_back(chunk);
  }
  commit.unlock();
  const BatchBounds bounds{.most_keys = bounds_.most_keys,
                           .most_bytes = pace_.batch_bytes(bounds_.most_bytes)};
  next_ = std::make_unique<WriteBackBatch>(volume_, bounds, std::move(what));
  return true;
}

bool WriteBack::advance() {
  if (flushing_ && !flush_.in_use) return end_flush();
  switch (phase_) {
    case Phase::between:
      return leave_between();
    case Phase::settle:
      if (marker_under_way_) return false;
      if (marker_status_ != IoStatus::ok) return give_up(marker_trouble());
      phase_ = Phase::between;
      return true;
    case Phase::journal:
      switch (journal_->go_on()) {
        case BatchJournal::State::writing:
          return false;
        case BatchJournal::State::failed:
          return give_up("the journal beside the backing (" + journal_->error() + ")");
        case BatchJournal::State::written:
          phase_ = Phase::announce;
          announce(*current_);
          return phase_ == Phase::announce;
      }
      return false;
    case Phase::announce:
      if (marker_under_way_) return false;
      if (marker_status_ != IoStatus::ok) return give_up(marker_trouble());
      phase_ = Phase::write;
      return true;
    case Phase::write:
      submit_some();
      announce_next();
      if (phase_ != Phase::write) return false;
      if (writes_in_flight() > 0 && GUARD("backing flush behind the writes")) return false;
      if (unreadable_) return give_up("data in the cache has become unreadable");
      if (status_ != IoStatus::ok) {
        return give_up(std::string("a write to the backing: ") + text(status_));
      }
      return submitted_ < current_->pieces().size() || flush();
    case Phase::conclude:
      if (marker_under_way_) return false;
      if (marker_status_ != IoStatus::ok) return give_up(marker_trouble());
      marker_is_current_ = true;
      phase_ = Phase::between;
      return true;
  }
  return false;
}

std::string WriteBack::marker_trouble() const {
  return std::string("the marker beside the backing: ") + text(marker_status_);
}

bool WriteBack::leave_between() {
  change_journal();
  if (failed_ || retry_at_ || marker_under_way_) return false;
  if (stopping_ && !is_next_announced_) next_.reset();
  if (next_ && next_->is_prepared()) {
    // What moves D, or stops, at once does so behind the one before.
    const bool is_alone = journal_ != nullptr || !next_->is_usable() || next_->pieces().empty();
    if (flushing_ && is_alone) return false;
    if (journal_ != nullptr && marker_in_doubt_ && GUARD("mark in doubt is written again")) {
      phase_ = Phase::settle;
      write_marker(marker_.stands());
      return false;
    }
    begin();
    return true;
  }
  if (flushing_) return false;
  const bool mixed = tails().writeback_target > tails().dirty_tail && GUARD("batch never shrinks");
  if (marker_is_current_ || mixed) return false;
  phase_ = Phase::conclude;
  write_marker_with_backlog(
      mark(BackingMark::State::clean,
           {.sequence = tails().dirty_tail, .time_ms = tails().consistent_time_ms}));
  return false;
}

// ---- a batch

void WriteBack::begin() {
  current_ = std::move(next_);
  if (!current_->is_usable()) {
    trouble_ = current_->trouble();
    back_off(trouble_->text());
    stuck_ = true;
    return;
  }
  if (!current_->leaves_out_only_lost()) return back_off("blocks that were lost have been written");
  began_ = clock_.now();
  status_ = IoStatus::ok;
  unreadable_ = false;
  submitted_ = 0;
  // Nothing for the backing: D just moves. What the marker says stays true.
  if (current_->pieces().empty() && tails().writeback_target <= tails().dirty_tail) {
    const bool current = marker_is_current_;
    end_batch(std::move(current_), began_);
    marker_is_current_ = current && !failed_;
    return;
  }
  if (journal_ != nullptr) {
    phase_ = Phase::journal;
    last_answer_ = clock_.now();
    journal_->begin(*current_, mark(BackingMark::State::journalled, current_->end()),
                    marker_.stands().journal);
    return;
  }
  phase_ = Phase::announce;
  if (!std::exchange(is_next_announced_, false)) announce(*current_);
}

// While the batch before is being written, so that nobody waits for it afterwards: the marker then
// speaks of both, and of no more.
void WriteBack::announce_next() {
  if (journal_ != nullptr || flushing_ || !next_ || !next_->is_prepared() || is_next_announced_ ||
      marker_under_way_ || stopping_ || !next_->is_usable() || next_->pieces().empty()) {
    return;
  }
  is_next_announced_ = true;
  announce(*next_);
}

void WriteBack::announce(const WriteBackBatch& batch) {
  if (GUARD("target before the first write") && !set_target(batch.end().sequence)) return;
  marker_is_current_ = false;
  marker_status_ = IoStatus::ok;
  if (journal_ != nullptr) {
    if (GUARD("journalled before the first write")) write_marker_with_backlog(journal_->mark());
  } else if (GUARD("marker before the first write")) {
    write_marker_with_backlog(mark(BackingMark::State::in_progress, batch.end()));
  }
}

bool WriteBack::set_target(std::uint64_t target) {
  LogTails next = tails();
  next.writeback_target = std::max(next.writeback_target, target);
  const auto set = volume_.device().volumes().set_tails(writer_, volume_.slot(), next);
  if (!set) fail(set.error());
  return static_cast<bool>(set);
}

BackingMark WriteBack::mark(BackingMark::State state, const WriteBackBatch::End& to) const {
  const CacheVolume& volume = volume_.device().volumes()[volume_.slot()];
  BackingMark mark{.state = state,
                   .volume = volume.identity.volume,
                   .cache = volume_.device().uuid(),
                   .from = volume.tails.dirty_tail,
                   .to = to.sequence,
                   .from_time_ms = volume.tails.consistent_time_ms,
                   .to_time_ms = to.time_ms};
  if (state == BackingMark::State::clean) {
    mark.from = mark.to;
    mark.from_time_ms = mark.to_time_ms;
  }
  if (state == BackingMark::State::journalled) mark.journal.epoch = volume.binding.attach_epoch;
  return mark;
}

void WriteBack::write_marker(const BackingMark& mark) {
  marker_write_ = {.mark = mark,
                   .done =
                       [](MarkerWrite& write, IoStatus status) noexcept {
                         auto& self = *static_cast<WriteBack*>(write.context);
                         self.marker_under_way_ = false;
                         self.marker_status_ = status;
                         self.marker_in_doubt_ = status != IoStatus::ok;
                         self.last_answer_ = self.clock_.now();
                         self.go_on();
                       },
                   .context = this};
  if (in_flight_ == 0) last_answer_ = clock_.now();
  marker_under_way_ = true;
  marker_.write(lane_, marker_write_);
}

// Clean with a batch that is being flushed, it is written before D is moved: the backing has that.
void WriteBack::write_marker_with_backlog(BackingMark mark) {
  ByteCount lacked = bytes_of_sectors(volume_.commit().backlog());
  ByteCount journalled;
  if (mark.state == BackingMark::State::journalled) journalled = bytes_of_sectors(current_->data());
  if (mark.state == BackingMark::State::clean && flushing_) {
    lacked = lacked - std::min(lacked, bytes_of_sectors(flushing_->data()));
  }
  mark.backlog = BacklogNote{.bytes = lacked,
                             .journalled = std::min(journalled, lacked),
                             .time_ms = static_cast<std::uint64_t>(clock_.wall().count())};
  noted_ = clock_.now();
  write_marker(mark);
}

// Where no batch is about to say it: what stands is said again, with the backlog as it is now. That
// holds whatever has failed: nothing goes to the backing before its own mark is durable.
void WriteBack::note_backlog() {
  const bool is_between = phase_ == Phase::between && !current_ && !flushing_;
  if (failed_ || !is_between || marker_under_way_) return;
  if (!marker_is_current_ && !retry_at_ && !stopping_) return;
  BackingMark mark = marker_.stands();
  if (mark.cache != volume_.device().uuid()) return;
  const ByteCount lacked = bytes_of_sectors(volume_.commit().backlog());
  is_last_noted_ = stopping_;
  if (mark.backlog ? mark.backlog->bytes == lacked : mark.state == BackingMark::State::journalled) {
    return;
  }
  noted_ = clock_.now();
  mark.backlog = BacklogNote{
      .bytes = lacked,
      .journalled = mark.backlog ? std::min(mark.backlog->journalled, lacked) : ByteCount{},
      .time_ms = static_cast<std::uint64_t>(clock_.wall().count())};
  write_marker(mark);
}

// A bounded number in a turn: a backing in memory would take the whole batch.
void WriteBack::submit_some() {
  const std::size_t most = pace_.in_flight();
  const std::vector<DirtyPiece>& pieces = current_->pieces();
  for (Operation& operation : operations_) {
    if (submitted_ == pieces.size() || writes_in_flight() >= most || status_ != IoStatus::ok)
      return;
    if (operation.in_use) continue;
    const auto next = fill(operation);
    if (!next) {
      operation.copy.release();
      unreadable_ = true;
      return;
    }
    submitted_ = *next;
    submit(operation);
  }
}

// From the cache itself, or from a copy where that makes one operation of many; without memory for
// the copy it goes as it is.
std::optional<std::size_t> WriteBack::fill(Operation& operation) {
  operation.io = {};
  const auto next = current_->fill_io(submitted_, operation.io);
  if (!next || !current_->is_scattered(*next, operation.io)) return next;
  auto space = lane_.buffers().lease(most_copied);
  if (!space) return next;
  operation.copy = std::move(*space);
  return current_->gather(submitted_, operation.copy.bytes(), operation.io);
}

void WriteBack::submit(Operation& operation) {
  operation.in_use = true;
  operation.io.has_space = true;  // since it was answered
  operation.io.context = &operation;
  operation.io.done = [](BackingIo& io, IoStatus status) noexcept {
    auto& ended = *static_cast<Operation*>(io.context);
    WriteBack& self = *ended.owner;
    ended.in_use = false;
    ended.copy.release();
    --self.in_flight_;
    IoStatus& first = &ended == &self.flush_ ? self.flush_status_ : self.status_;
    if (first == IoStatus::ok) first = status;
    self.last_answer_ = self.clock_.now();
    self.go_on();
  };
  if (in_flight_++ == 0) last_answer_ = clock_.now();
  backing_.submit(lane_, operation.io);
}

// The next batch is written meanwhile.
bool WriteBack::flush() {
  if (flushing_) return false;
  if (!GUARD("backing flush before D") && !set_dirty_tail(*current_)) return false;
  flushing_ = std::move(current_);
  flushing_began_ = began_;
  phase_ = Phase::between;
  flush_status_ = IoStatus::ok;
  flush_is_marked_ = false;
  flush_.io = {.kind = BackingIo::Kind::sync};
  submit(flush_);
  return true;
}

// If it has failed, all of it is written again, and what has been begun of the next batch too: when
// nothing is on its way any more.
bool WriteBack::end_flush() {
  if (flush_status_ != IoStatus::ok && GUARD("backing flush result")) {
    if (in_flight_ == 0) back_off(std::string("a flush of the backing: ") + text(flush_status_));
    return false;
  }
  const bool ends_journal = journal_ != nullptr && GUARD("journal ends before the dirty tail");
  if (ends_journal && !mark_flushed()) return false;
  end_batch(std::move(flushing_), flushing_began_);
  marker_is_current_ = journal_ != nullptr && !failed_;
  return true;
}

// With a journal, before D: the journal must not count any more when others may write.
bool WriteBack::mark_flushed() {
  if (marker_under_way_) return false;
  if (!std::exchange(flush_is_marked_, true)) {
    write_marker_with_backlog(mark(BackingMark::State::clean, flushing_->end()));
    return false;
  }
  if (marker_status_ == IoStatus::ok) return true;
  back_off(marker_trouble());
  return false;
}

void WriteBack::end_batch(std::unique_ptr<WriteBackBatch> batch, Instant began) {
  if (!set_dirty_tail(*batch)) return;
  while (mark_clean()) {
  }
  done_ = std::move(batch);
  marked_ = 0;
  volume_.commit().lower_backlog(done_->data(), done_->blocks());
  const Instant now = clock_.now();
  written_ = written_ + bytes_of_sectors(done_->data());
  pace_.succeeded(bytes_of_sectors(done_->data()), now - std::max(began, ended_));
  ended_ = now;
  error_.clear();
  trouble_ = done_->trouble();
  marker_is_current_ = false;
  tell_waiters();
}

bool WriteBack::set_dirty_tail(const WriteBackBatch& batch) {
  const WriteBackBatch::End end = batch.end();
  LogTails next = tails();
  next.dirty_tail = end.sequence;
  next.dirty_tail_chunk = std::max(next.dirty_tail_chunk, end.chunk);
  next.writeback_target = std::max(next.writeback_target, end.sequence);
  next.consistent_time_ms = end.time_ms;
  const auto set = volume_.device().volumes().set_tails(writer_, volume_.slot(), next);
  if (!set) {
    fail(set.error());
    return false;
  }
  volume_.commit().note_dirty_tail(next.dirty_tail);
  return true;
}

// True: there is more. What is newer than the batch does not point there any more.
bool WriteBack::mark_clean() {
  if (!done_) return false;
  const std::size_t end = std::min(marked_ + keys_in_turn, done_->keys().size());
  for (; marked_ < end; ++marked_) {
    const DirtyKey& key = done_->keys()[marked_];
    if (key.kind == DirtyKey::Kind::invalidate) continue;
    const ExtentValue value = key.value();
    (void)volume_.index().mark_clean(key.range, {.kind = value.kind, .place = value.place},
                                     CleanZeros::drop);
  }
  if (marked_ < done_->keys().size()) return true;
  done_.reset();
  return false;
}

void WriteBack::tell_waiters() {
  while (!waiters_.empty() && waiters_.front().sequence() <= tails().dirty_tail) {
    DirtyTailWaiter& waiter = waiters_.front();
    waiters_.pop_front();
    waiter.written_back();
  }
}

// ---- what goes wrong

bool WriteBack::give_up(const std::string& why) {
  if (!flushing_) back_off(why);
  return false;
}

void WriteBack::back_off(const std::string& why) {
  ++failed_batches_;
  error_ = why;
  phase_ = Phase::between;
  current_.reset();
  flushing_.reset();
  next_.reset();
  is_next_announced_ = false;
  marker_is_current_ = false;
  retry_at_ = pace_.failed(clock_.now());
}

// For good: what the media holds of the entry is for the next open to find out.
void WriteBack::fail(const CacheError& error) {
  error_ = error.text;
  phase_ = Phase::between;
  failed_ = true;
  current_.reset();
  flushing_.reset();
  next_.reset();
  is_next_announced_ = false;
}

// ---- how it stands

bool WriteBack::is_quiet() const {
  return in_flight_ == 0 && !marker_under_way_ && !flushing_ && !done_ && phase_ != Phase::journal;
}

WriteBackStatus WriteBack::status() const {
  using State = WriteBackStatus::State;
  const bool writes = phase_ != Phase::between || next_ != nullptr || flushing_ != nullptr;
  WriteBackStatus status{.state = failed_     ? State::failed
                                  : retry_at_ ? (stuck_ ? State::stopped : State::backing_off)
                                  : writes    ? State::writing
                                              : State::idle,
                         .backing_mixed = tails().writeback_target > tails().dirty_tail,
                         .dirty_tail = tails().dirty_tail,
                         .consistent_time_ms = tails().consistent_time_ms,
                         .bytes_left = bytes_of_sectors(volume_.commit().backlog()),
                         .time_left = {},
                         .rate = pace_.rate(),
                         .written = written_,
                         .failures = failed_batches_,
                         .error = error_,
                         .trouble = trouble_,
                         .in_flight = in_flight_ + (marker_under_way_ ? 1 : 0),
                         .last_answer = last_answer_};
  if (journal_ != nullptr) {
    const BackingMark& stands = marker_.stands();
    status.backing_mixed = stands.state == BackingMark::State::in_progress;
    status.consistent_time_ms = status.backing_mixed ? stands.from_time_ms : stands.to_time_ms;
    status.in_flight += journal_->in_flight();
  }
  // What it did before something went wrong says nothing of what it will do.
  const bool gets_on = !failed_ && !retry_at_ && error_.empty() && !trouble_;
  if (gets_on) status.time_left = pace_.time_for(status.bytes_left);
  return status;
}

}  // namespace engine
