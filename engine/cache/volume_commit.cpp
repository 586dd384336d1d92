#include "engine/cache/volume_commit.h"

#include <algorithm>
#include <utility>

#include "engine/foundation/check.h"
#include "engine/foundation/guard.h"

namespace engine {
namespace {

bool overlap(SectorRange a, SectorRange b) { return a.begin < b.end() && b.begin < a.end(); }

}  // namespace

bool VolumeCommit::run(DurableWriter& writer) {
  if (writer.is_later()) return false;  // the commit thread does it
  if (!try_lock()) return !queue_.empty();
  gather();
  for (unsigned ksets = 0; waiting_ != nullptr && ksets < most_ksets; ++ksets) commit_kset(writer);
  return let_go();
}

VolumeCommit::Begun VolumeCommit::begin_kset(DurableWriter& writer) {
  if (!try_lock()) return Begun::busy;
  gather();
  while (waiting_ != nullptr) {
    if (write_kset(writer)) return Begun::kset;
  }
  const bool has_failed = failed();
  (void)let_go();
  return has_failed ? Begun::failed : Begun::nothing;
}

bool VolumeCommit::end_kset(bool settled) {
  if (settled) {
    publish_kset();
  } else {
    fail();
  }
  return let_go() || !queue_.empty();
}

bool VolumeCommit::let_go() {
  const bool left = waiting_ != nullptr;
  CommitRecord* const done = std::exchange(done_, nullptr);
  unlock();
  complete(done);
  return left;
}

void VolumeCommit::complete(CommitRecord* done) {
  while (done != nullptr) {
    CommitRecord& record = *done;
    done = record.next_;
    record.sink_->complete(record);
  }
}

void VolumeCommit::gather() {
  CommitRecord* const first = queue_.take_all();
  if (first == nullptr) return;
  (waiting_ == nullptr ? waiting_ : waiting_last_->next_) = first;
  waiting_last_ = first;
  while (waiting_last_->next_ != nullptr) waiting_last_ = waiting_last_->next_;
}

void VolumeCommit::commit_kset(DurableWriter& writer) {
  if (!write_kset(writer)) return;
  if (GUARD("kset fence") && !writer.settle()) return fail();
  publish_kset();
}

bool VolumeCommit::write_kset(DurableWriter& writer) {
  if (failed()) {
    fail();
    return false;
  }
  compose();
  if (count_ == 0) {
    log_.give_back(charged_);
    finish_front();
    return false;
  }
  const auto appended = log_.append(writer, std::span(keys_).first(count_));
  if (!appended) {
    fail();
    return false;
  }
  appended_ = appended.value();
  return true;
}

void VolumeCommit::publish_kset() {
  log_.give_back(charged_ - appended_.bytes);
  if (!GUARD("publish before acknowledgement")) {
    finish_front();
    complete(std::exchange(done_, nullptr));
  }
  publish_all(appended_.sequence);
  index_.give_back(std::exchange(promised_, 0));
  // Before published_: what is known to be published is in the backlog.
  raise(dirty_logged_, dirty_);
  raise(blocks_logged_, dirty_blocks_);
  if (is_dirty_) last_dirty_.store(appended_.sequence, std::memory_order_release);
  published_.store(appended_.sequence, std::memory_order_release);
  if (GUARD("publish before acknowledgement")) finish_front();
}

// Whole commands up to what one kset holds; the first one's next part, if it is longer.
void VolumeCommit::compose() {
  count_ = 0;
  stripes_ = 0;
  charged_ = 0;
  dirty_ = dirty_blocks_ = {};
  is_dirty_ = false;
  CommitRecord* record = waiting_;
  const std::size_t first = std::min(record->keys_.size() - record->logged_, format::most_keys);
  const std::size_t fit = log_.keys_that_fit();
  std::size_t limit = first > fit ? format::most_keys : fit;
  if (!GUARD("a command in one kset")) limit = 1;
  while (record != nullptr) {
    if (record != waiting_ && !may_join(*record, limit)) break;
    add(*record, limit);
    if (record->logged_ < record->keys_.size()) break;
    record = record->next_;
  }
  composed_to_ = record;
}

bool VolumeCommit::may_join(const CommitRecord& record, std::size_t limit) const {
  if (record.keys_.size() > limit - count_ || stripes_ >= most_stripes) return false;
  // What decides about a conditional key must be published first.
  return std::ranges::none_of(record.keys_, [this](const PendingKey& key) {
    return key.condition != KeyCondition::none && overlaps_composed(key.range());
  });
}

bool VolumeCommit::overlaps_composed(SectorRange range) const {
  return GUARD("conditional key") &&
         std::any_of(sources_.begin(), sources_.begin() + static_cast<std::ptrdiff_t>(count_),
                     [range](const Source& source) {
                       return overlap(source.record->keys_[source.key].range(), range);
                     });
}

bool VolumeCommit::holds(const PendingKey& key) {
  if (key.condition == KeyCondition::none) return true;
  if (key.condition == KeyCondition::hole && !GUARD("conditional key")) return true;
  if (key.overtaken != nullptr && GUARD("overtaken fill") &&
      key.overtaken->load(std::memory_order_acquire)) {
    return false;
  }
  if (key.condition == KeyCondition::hole) {
    bool empty = true;
    index_.look_up(key.range(), ExtentIndex::Heat::keep,
                   [&empty](const Piece& piece) { empty = empty && !piece.value.has_value(); });
    return empty;
  }
  if (!GUARD("conditional key of reclaim")) return true;
  SectorCount owned;
  index_.still_points(key.range(), key.owner,
                      [&owned](const Fragment& part) { owned = owned + part.range.count; });
  return owned == key.range().count;
}

void VolumeCommit::add(CommitRecord& record, std::size_t limit) {
  const std::size_t taken = std::min(record.keys_.size() - record.logged_, limit - count_);
  charged_ += kset_bytes(taken, device_.layout().kset_alignment);
  for (const std::size_t end = record.logged_ + taken; record.logged_ < end; ++record.logged_) {
    PendingKey& key = record.keys_[record.logged_];
    if (!holds(key)) {
      drop(record, key);
      continue;
    }
    encode(key);
    sources_[count_++] = {.record = &record, .key = record.logged_};
  }
}

void VolumeCommit::encode(const PendingKey& key) {
  format::Key& to = keys_[count_];
  to = {};
  to.sector = key.range().begin.value;
  to.sectors = static_cast<std::uint32_t>(key.range().count.value);
  to.kind = static_cast<std::uint8_t>(key.kind);
  to.flags = key.gives_back ? format::key_gives_back : 0;
  is_dirty_ = is_dirty_ || key.kind == format::KeyKind::data || key.kind == format::KeyKind::zero;
  if (!has_place(key.kind)) {
    stripes_ += key.range().count.value / stripe_sectors;
    return;
  }
  if (key.kind == format::KeyKind::data) {
    dirty_ = dirty_ + key.range().count;
    dirty_blocks_ = dirty_blocks_ + in_whole_blocks(key.range());
  }
  to.crc = key.value.crc;
  to.place = key.value.place.value;
  to.generation = key.generation;
  device_.segments().counters(key.segment).raise_sequence(log_.last_sequence() + 1);
}

void VolumeCommit::drop(CommitRecord& record, PendingKey& key) {
  key.dropped = true;
  record.any_dropped_ = true;
  if (has_place(key.kind)) lower_live(key.value.place, key.range().count);
  key.permit.abandon();
}

void VolumeCommit::publish_all(std::uint64_t sequence) {
  if (GUARD("publish order")) {
    for (std::size_t at = 0; at < count_;) at = publish_command(at, sequence);
  } else {
    for (std::size_t at = count_; at-- > 0;) publish(sources_[at], sequence, at);
  }
}

std::size_t VolumeCommit::publish_command(std::size_t first, std::uint64_t sequence) {
  std::size_t end = first + 1;
  while (end < count_ && sources_[end].record == sources_[first].record) ++end;
  const bool in_steps = needs_steps(first, end);
  if (in_steps) {
    const Sector begin = range_of(first).begin;
    steps_.begin({begin, range_of(end - 1).end() - begin});
  }
  for (std::size_t at = first; at < end; ++at) publish(sources_[at], sequence, at);
  if (in_steps) steps_.end();
  return end;
}

SectorRange VolumeCommit::range_of(std::size_t source) const {
  return sources_[source].record->keys_[sources_[source].key].range();
}

// Of a write, whose keys are one range. What is clean reads as before; a list of ranges to zero is
// no write, and longer zeros than a write are promised to nobody as a whole.
bool VolumeCommit::needs_steps(std::size_t first, std::size_t end) const {
  const PendingKey& key = sources_[first].record->keys_[sources_[first].key];
  const bool is_write = key.kind == format::KeyKind::data;
  const bool is_zeros = key.kind == format::KeyKind::zero && end - first == 1 &&
                        key.range().count.value <= largest_extent_sectors;
  if (!is_write && !is_zeros) return false;
  const std::uint64_t last = range_of(end - 1).end().value - 1;
  return end - first > 1 || key.range().begin.value / stripe_sectors != last / stripe_sectors;
}

void VolumeCommit::publish(const Source& source, std::uint64_t sequence, std::size_t position) {
  PendingKey& key = source.record->keys_[source.key];
  source.record->sequence_ = sequence;
  promised_ += key.permit.take_promise();
  const SectorRange range = key.range();
  const auto on_displaced = [this](const Fragment& part) {
    if (part.value.kind == ExtentKind::data) lower_live(part.value.place, part.range.count);
  };
  switch (key.kind) {
    case format::KeyKind::data:
    case format::KeyKind::clean:
      key.value.dirty = key.kind == format::KeyKind::data;
      index_.publish(std::move(key.permit), key.value, on_displaced);
      break;
    case format::KeyKind::zero:
      key.value = {
          .place = zero_stamp(sequence, position), .kind = ExtentKind::zero, .dirty = true};
      index_.publish(std::move(key.permit), key.value, on_displaced);
      break;
    case format::KeyKind::invalidate:
      index_.erase(std::move(key.permit), on_displaced);
      break;
  }
  // Afterwards: who registers a miss looks the range up again, and has seen this, or is seen here.
  // What is clean says what the backing says, and overtakes nobody.
  if (key.kind != format::KeyKind::clean && GUARD("misses are overtaken")) {
    misses_.overtake(range, key.kind != format::KeyKind::invalidate);
  }
}

void VolumeCommit::finish_front() {
  while (waiting_ != composed_to_) {
    CommitRecord* const record = waiting_;
    waiting_ = record->next_;
    record->next_ = nullptr;
    (done_ == nullptr ? done_ : done_last_->next_) = record;
    done_last_ = record;
  }
}

// What the media holds of the last kset is for recovery to find out: nothing is acknowledged any
// more, and no space that its keys may name is given up.
void VolumeCommit::fail() {
  failed_.store(true, std::memory_order_release);
  for (CommitRecord* record = waiting_; record != nullptr; record = record->next_) {
    record->outcome_ = CommitOutcome::failed;
  }
  composed_to_ = nullptr;
  finish_front();
}

void VolumeCommit::lower_live(Place place, SectorCount count) {
  const auto segment = device_.layout().segment_of({place.value * format::place_bytes});
  CHECK(segment.has_value());
  const auto sectors = static_cast<std::uint32_t>(count.value);
  const auto before = device_.segments().counters(*segment).live_sectors.fetch_sub(
      sectors, std::memory_order_release);
  CHECK(before >= sectors);
}

}  // namespace engine
