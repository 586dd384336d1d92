#include "engine/volume/volume_upkeep.h"

#include <algorithm>
#include <utility>

#include "engine/foundation/guard.h"

namespace engine {
namespace {

constexpr Duration silence = std::chrono::seconds(5);  // of a backing that is asked
// What a write may have to wait for when its volume's mode changes.
constexpr ByteCount few = 256_KiB;
constexpr Duration short_wait = std::chrono::milliseconds(250);
constexpr Duration note_period = std::chrono::seconds(1);

BatchBounds bounds_with(const BackingJournal* journal) {
  BatchBounds bounds;
  if (journal != nullptr) bounds.most_bytes = BatchJournal::most_data;
  return bounds;
}

std::string mib(ByteCount bytes) { return std::to_string((bytes.value + 1048575) >> 20) + " MiB"; }

}  // namespace

VolumeUpkeep::VolumeUpkeep(CacheFront& front, std::unique_ptr<BackingMarker> marker, IoLane& lane,
                           DurableWriter& writer, CacheActor& actor, const Clock& clock,
                           RecoveryReport report, const WriteBackLimits& limits,
                           std::unique_ptr<BackingJournal> journal)
    : front_(front),
      volume_(front.volume()),
      writer_(writer),
      actor_(actor),
      clock_(clock),
      report_(std::move(report)),
      marker_(std::move(marker)),
      journal_(std::move(journal)),
      reclaim_(volume_),
      write_back_(volume_, front.backing(), *marker_, lane, writer, clock, limits,
                  bounds_with(journal_.get()), journal_.get()),
      published_(volume_.commit().published()),
      noted_(clock.now()) {
  follow_mode();
}

VolumeUpkeep::~VolumeUpkeep() = default;

void VolumeUpkeep::follow_mode() {
  write_back_.set_draining(drain_ || front_.mode() != CacheMode::write_back);
}

void VolumeUpkeep::set_journal(std::unique_ptr<BackingJournal> journal) {
  write_back_.set_journal(journal.get(), bounds_with(journal.get()));
  if (journal_ != nullptr) former_journals_.push_back(std::move(journal_));
  journal_ = std::move(journal);
}

void VolumeUpkeep::drop_former_journal() {
  if (write_back_.uses_journal(journal_.get())) former_journals_.clear();
}

void VolumeUpkeep::drain() {
  const VolumeCommit& commit = volume_.commit();
  drain_ = {.to = commit.published(), .end = commit.written_back() + commit.backlog()};
  measure_drain();
  follow_mode();
}

void VolumeUpkeep::cancel_drain() {
  drain_.reset();
  measure_drain();
  follow_mode();
}

bool VolumeUpkeep::turn() {
  front_.written_through().take(write_back_, clock_.now());
  AdmissionPace& pace = front_.pace();
  pace.refill(clock_.now());
  if (stopping_) return false;
  look_at_drain();
  if (!front_.space().empty() && front_.write_way() != CacheFront::WriteWay::cache) {
    // For the backing to have it all, and with the mode it changes for all of them.
    if (front_.write_way() == CacheFront::WriteWay::later) return false;
    // What is still there then waits for room in the log.
    front_.space().tell_first();
    if (!GUARD("room in the log for what goes around")) return false;
  }
  // Who is only held back to the backing's pace needs no space yet.
  const bool someone_waits = !front_.space().empty() && !pace.holds_back();
  if (someone_waits && pace.is_paced()) front_.space().tell_first();
  if (!someone_waits && !reclaim_.is_wanted()) return false;
  switch (reclaim_.step(actor_, someone_waits ? Reclaim::Need::now : Reclaim::Need::ahead)) {
    case Reclaim::Step::worked:
    case Reclaim::Step::waits:
    case Reclaim::Step::busy:
      return true;
    case Reclaim::Step::idle:
      if (reclaim_.waits_for_dirty_tail() && !is_linked()) {
        (void)write_back_.wait(*this, volume_.commit().published());
      }
      return false;
    case Reclaim::Step::stopped:
      return false;
  }
  return false;
}

void VolumeUpkeep::tick() {
  const std::uint64_t published = volume_.commit().published();
  busy_ = std::exchange(published_, published) != published;
  const std::uint64_t missed = front_.traffic().counts().of(CacheTraffic::Event::miss);
  const bool is_read_from = std::exchange(missed_, missed) != missed;
  SegmentTable& segments = volume_.device().segments();
  const std::uint32_t most =
      std::min(segments.shares().share(volume_.tag()).maximum, segments.count());
  write_back_.set_share({std::uint64_t{most} * volume_.device().layout().segment_bytes});
  front_.pins().set_segments(segments.shares().used(volume_.tag()));
  // Hits do not meet write-back on the disk.
  write_back_.set_foreground_busy(busy_ || is_read_from);
  write_back_.tick();
  status_ = write_back_.status();
  const bool is_dirty = status_.bytes_left.value != 0;
  dirty_age_.look(clock_.now(), is_dirty ? status_.dirty_tail : published, published);
  lag_age_.look(clock_.now(), is_dirty || status_.backing_mixed);
  look_at_progress();
  measure_drain();
  look_at_losses();
  if (report_.not_opened && report_.not_opened->kind == CacheError::Kind::no_free_segment &&
      volume_.open_log(writer_, report_.last_sequence, report_.last_time_ms)) {
    report_.not_opened.reset();
  }
  front_.space().tell_first();
  drop_former_journal();
  if (clock_.now() - noted_ < note_period || !volume_.is_writable()) return;
  noted_ = clock_.now();
  (void)volume_.note_durable(writer_);  // a bound that may lag behind
}

// Writes that came through the cache while it was to be gone around would keep each other there for
// ever: what is little is waited for.
void VolumeUpkeep::look_at_drain() {
  const bool settles = goes_around(front_.mode()) && !front_.goes_around_only();
  if (!drain_ && !settles) return;
  const WriteBackStatus now = write_back_.status();
  if (drain_ && now.dirty_tail >= drain_->to) cancel_drain();
  if (!settles) return;
  const bool little = now.bytes_left <= few || (now.time_left && *now.time_left <= short_wait);
  if (volume_.commit().is_backing_current() || little) front_.go_around_only();
}

// Hosts go on writing: what they add comes behind the drain, and does not make it longer.
void VolumeUpkeep::measure_drain() {
  drain_left_ = status_.bytes_left;
  drain_time_ = status_.time_left;
  if (!drain_) return;
  const std::uint64_t done = volume_.commit().written_back().value;
  const std::uint64_t sectors = drain_->end.value - std::min(drain_->end.value, done);
  drain_left_ = {sectors * format::place_bytes};
  if (drain_time_) drain_time_ = write_back_.time_for(drain_left_);
}

void VolumeUpkeep::look_at_progress() {
  using State = WriteBackStatus::State;
  const bool silent = status_.in_flight > 0 && clock_.now() - status_.last_answer > silence;
  const bool gets_on = !silent && (status_.state == State::idle || status_.state == State::writing);
  if (!gets_on) status_.time_left.reset();
  front_.set_gets_on(gets_on);
  set_pace(gets_on);
  const auto since = front_.space().waits_since();
  waits_too_long_ = gets_on && since && clock_.now() - *since > longest_wait;
  if (!gets_on) {
    front_.written_through().give_up({clock_.now().since_start - CacheFront::space_patience});
  }
  volume_.device().segments().shares().set_progress(volume_.tag(), gets_on);
}

void VolumeUpkeep::set_pace(bool gets_on) {
  SegmentTable& segments = volume_.device().segments();
  const std::uint64_t room = segments.shares().used(volume_.tag()) +
                             segments.shares().room(volume_.tag(), segments.free_count());
  const ByteCount bytes{room * volume_.device().layout().segment_bytes};
  front_.set_has_room(gets_on && static_cast<double>(status_.bytes_left.value) <
                                     AdmissionPace::level_at * static_cast<double>(bytes.value));
  front_.pace().measure(
      {.dirty = status_.bytes_left, .room = bytes, .drain = gets_on ? status_.rate : ByteCount{}},
      clock_.now());
}

Result<void, std::string> VolumeUpkeep::give_up_lost() {
  const auto trouble = write_back_.status().trouble;
  if (!trouble || !trouble->is_lost_data()) {
    return std::string("nothing of it that cannot be read stops its write-back");
  }
  giving_up_.up_to = volume_.commit().published();
  giving_up_.error.clear();
  look_at_losses();
  return boost::outcome_v2::success();
}

// One at a time: whether there are more, write-back finds out.
void VolumeUpkeep::look_at_losses() {
  if (giving_up_.has_ended.exchange(false, std::memory_order_acquire)) {
    giving_up_.is_under_way = false;
    if (giving_up_.outcome) {
      giving_up_.up_to = 0;
      giving_up_.error = *giving_up_.outcome;
    } else {
      write_back_.look_again();
    }
    return;
  }
  const auto& trouble = status_.trouble;
  const bool is_stopped = status_.state == WriteBackStatus::State::stopped;
  if (giving_up_.is_under_way || !is_stopped || !trouble || !trouble->is_lost_data() ||
      trouble->sequence > giving_up_.up_to || stopping_) {
    return;
  }
  LossRecord* const losses = front_.backing().losses();
  if (losses == nullptr) {
    giving_up_.error = "its backing keeps no list of what is lost";
    return;
  }
  giving_up_.is_under_way = true;
  giving_up_.outcome.reset();
  losses->add({trouble->range.begin.value * format::place_bytes},
              {trouble->range.count.value * format::place_bytes}, LossRecord::Asker::cache,
              [this](const Result<void, LossRecord::Refusal>& written) {
                if (!written) giving_up_.outcome = written.error().text;
                giving_up_.has_ended.store(true, std::memory_order_release);  // and no more
              });
}

bool VolumeUpkeep::end_clean() {
  if (!volume_.is_writable() || !volume_.stop_clean(writer_)) return false;
  return volume_.device().volumes()[volume_.slot()].is_provably_clean();
}

std::string VolumeUpkeep::why_read_only() const {
  if (report_.not_opened) {
    return "its log in the cache cannot be opened: " + report_.not_opened->text +
           "; it takes no writes";
  }
  const std::string what = report_.log_damage   ? report_.log_damage->text()
                           : report_.key_damage ? report_.key_damage->text()
                                                : "nothing of it can be read";
  return "its log in the cache is damaged: it is served as it was before the damage, and takes no "
         "writes; see forebay-media check (" +
         what + ")";
}

std::string VolumeUpkeep::trouble() const {
  using State = WriteBackStatus::State;
  if (volume_.commit().failed()) {
    return "its cache cannot be written any more: reads are served, writes are refused until a "
           "restart";
  }
  if (volume_.waits_for_room()) {
    return "its cache is full, and has no room to open its log: writes wait until there is";
  }
  if (!volume_.is_writable()) return why_read_only();
  if (reclaim_.damage() || reclaim_.error()) {
    return "its cache cannot be tidied up any more, and will fill; see forebay-media check";
  }
  const std::string kept = mib(status_.bytes_left) + " of writes are kept in the cache";
  switch (status_.state) {
    case State::idle:
    case State::writing:
      // It is tried again: that it works is known when a batch is through.
      if (status_.error.empty()) break;
      if (status_.trouble) return status_.error + "; " + kept;
      [[fallthrough]];
    case State::backing_off:
      return status_.error + " fails; " + kept + ", and written when it works again";
    case State::stopped: {
      const bool is_lost = status_.trouble && status_.trouble->is_lost_data();
      return status_.error + (is_lost ? " (forebayctl give-up-lost)" : "") + "; " + kept +
             (giving_up_.error.empty() ? std::string{} : ". " + giving_up_.error);
    }
    case State::failed:
      return "write-back has ended: " + status_.error + "; " + kept + " until a restart";
  }
  if (status_.in_flight > 0 && clock_.now() - status_.last_answer > silence) {
    return "its backing does not answer; " + kept + ", and written when it does";
  }
  if (waits_too_long_) {
    return "writes have waited for space in its cache for more than " +
           std::to_string(std::chrono::duration_cast<std::chrono::seconds>(longest_wait).count()) +
           " s although its backing works: it is too slow for what is written, or the cache is too "
           "small; if neither is so, report it";
  }
  return {};
}

}  // namespace engine
