// WriteBack: brings one volume's dirty data to its backing, batch by batch, in log order.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/cache/batch_journal.h"
#include "engine/cache/dirty_tail_waiter.h"
#include "engine/cache/write_back_batch.h"
#include "engine/cache/write_back_pace.h"
#include "engine/media/backing_marker.h"

namespace engine {

struct WriteBackStatus {
  enum class State : std::uint8_t {
    idle,  // nothing has to be written now
    writing,
    backing_off,  // the backing, or its marker, failed; tried again by itself. All data is kept
    stopped,      // an unreadable piece, or a damaged log: see trouble. Looked at again by itself
    failed,       // the cache device cannot be written any more
  };
  State state = State::idle;
  // A batch has begun and not ended: the backing, with its journal, is at no moment.
  bool backing_mixed = false;
  std::uint64_t dirty_tail = 0;
  std::uint64_t consistent_time_ms = 0;     // of kset D; with a journal, of what can be had
  ByteCount bytes_left;                     // of data; newer over older counted twice
  std::optional<Duration> time_left;        // at the rate of late; nullopt: unknown, or in trouble
  ByteCount rate;                           // a second, of late; zero: not known
  ByteCount written;                        // of data, by batches that have ended
  std::uint64_t failures = 0;               // batches that did not, and are tried again
  std::string error;                        // of the last failure; empty once a batch is through
  std::optional<WriteBackTrouble> trouble;  // in whatever state: what write-back cannot get past
  std::size_t in_flight = 0;  // operations on the backing, and on the marker beside it
  Instant last_answer;  // of the backing, while something is in flight: how long it has been silent
};

// A state machine of the volume's home lane: everything on that lane's thread, nothing blocks; it
// goes on at the ends of turns and when operations complete. Call tick() some ten times a second.
//
// A batch: prepared in steps (WriteBackBatch), meanwhile the one before is being written; target=E
// in both replicas, the marker `in progress`; many writes in flight; flush; D=target=E and its time
// in both replicas; dirty bits; the marker `clean`, unless the next batch begins at once: target
// and marker are then set for it while this one is being written, and its writes go out while this
// one is being flushed. What fails ends in a back-off, then everything from D on up to at least the
// target is written again: the backing may have lost what it had taken. Nothing else may write to
// the backing meanwhile.
//
// Each mark also says how much only the cache has, for who loses that. While no batch comes,
// because what is dirty is young or the backing fails, it is written again once a minute where that
// has changed, and at the end: beside what is waited for, so nobody waits for it.
//
// With a journal one batch is under way at a time: it goes to the journal first, beside what counts
// there still; then target, the marker `journalled`, and writes and flush as above; then the marker
// `clean` at E, and only then D=target=E: whoever goes around the cache from then on is not undone
// by the journal. So at every moment what the marker says can be had without the cache.
//
// K stays at or before D, and reclaim frees nothing that a key behind D names: so segments need no
// pins here. Of the volume's tails it changes dirty_tail, its chunk, target and time.
//
// Invariants: no operation on the backing before target and marker are durable; D moves only behind
// a flush that succeeded and was begun when everything up to there was written; one flush at a
// time; target >= D once a batch has begun, and the next one ends at or behind it.
class WriteBack final : private LaneTask {
 public:
  // All outlive it; the writer is of this thread (page granularity: of the commit thread, as all of
  // this then). One for each volume cache. `journal`: null, or each batch goes there first.
  WriteBack(VolumeCache& volume, BackingDevice& backing, BackingMarker& marker, IoLane& lane,
            DurableWriter& writer, const Clock& clock, const WriteBackLimits& limits = {},
            const BatchBounds& bounds = {}, BackingJournal* journal = nullptr,
            ByteCount journal_frame = BatchJournal::usual_frame);
  WriteBack(const WriteBack&) = delete;
  WriteBack& operator=(const WriteBack&) = delete;
  // Stopped, and is_quiet().
  ~WriteBack();

  void tick();
  void set_thresholds(const WriteBackLimits& limits) { pace_.set_thresholds(limits); }
  // Each batch that begins from then on goes to that journal first (null: to none), and is no
  // larger than `bounds`: as soon as the last that began otherwise is through, and what it had in a
  // journal does not count any more. Until uses_journal() says so, the one before is used still.
  void set_journal(BackingJournal* journal, const BatchBounds& bounds);
  [[nodiscard]] bool uses_journal(const BackingJournal* journal) const {
    return journal_used_ == journal;
  }
  void set_share(ByteCount share) { pace_.set_share(share); }
  // Hosts write, or read from the backing: few operations at once, unless space is short.
  void set_foreground_busy(bool busy) { pace_.set_busy(busy); }

  // Begins to write back up to `sequence` at once, and tells the waiter; false: D is there already,
  // and nobody is told.
  [[nodiscard]] bool wait(DirtyTailWaiter& waiter, std::uint64_t sequence);
  // While draining, everything goes to the backing as soon as it can: before a detachment. False
  // cancels. Progress: see status().
  void set_draining(bool draining);
  // Somebody has done something about what has stopped it: it looks again at once.
  void look_again();
  // Begins nothing more, for good; what is announced or under way ends. Call it until is_quiet():
  // the marker then says for the last time what only the cache has.
  void stop();
  // At the rate of late; nullopt: not known.
  [[nodiscard]] std::optional<Duration> time_for(ByteCount bytes) const {
    return pace_.time_for(bytes);
  }
  // Nothing is under way, and no index entry waits for being marked clean.
  [[nodiscard]] bool is_quiet() const;

  [[nodiscard]] WriteBackStatus status() const;

 private:
  enum class Phase : std::uint8_t {
    between,   // no batch
    settle,    // the marker says again what it said, which a failure has left in doubt
    journal,   // the batch goes to the journal
    announce,  // the marker says `in progress`
    write,
    conclude,  // the marker says `clean`
  };
  struct Operation {
    BackingIo io;
    BufferLease copy;  // empty: straight from the cache
    WriteBack* owner = nullptr;
    bool in_use = false;
  };

  void end_of_turn() override;
  void go_on() { lane_.at_turn_end(*this); }

  [[nodiscard]] const LogTails& tails() const;
  [[nodiscard]] bool may_begin() const;
  [[nodiscard]] std::uint64_t goal() const;
  [[nodiscard]] bool make_next();
  // True: there is another step to do.
  [[nodiscard]] bool prepare();
  [[nodiscard]] bool advance();
  [[nodiscard]] bool mark_clean();

  struct JournalChange {
    BackingJournal* journal = nullptr;
    BatchBounds bounds;
  };
  void use_journal(BackingJournal* journal);
  void change_journal();

  [[nodiscard]] std::string marker_trouble() const;
  [[nodiscard]] bool leave_between();
  void begin();
  [[nodiscard]] bool set_target(std::uint64_t target);
  void announce_next();
  void announce(const WriteBackBatch& batch);
  [[nodiscard]] BackingMark mark(BackingMark::State state, const WriteBackBatch::End& to) const;
  void write_marker(const BackingMark& mark);
  void write_marker_with_backlog(BackingMark mark);
  void note_backlog();
  [[nodiscard]] bool mark_flushed();
  void submit_some();
  [[nodiscard]] std::optional<std::size_t> fill(Operation& operation);
  void submit(Operation& operation);
  [[nodiscard]] std::size_t writes_in_flight() const {
    return in_flight_ - (flush_.in_use ? 1 : 0);
  }
  [[nodiscard]] bool flush();
  [[nodiscard]] bool end_flush();
  void end_batch(std::unique_ptr<WriteBackBatch> batch, Instant began);
  [[nodiscard]] bool set_dirty_tail(const WriteBackBatch& batch);
  void tell_waiters();
  // As soon as no flush is under way. False: nothing to do until then.
  bool give_up(const std::string& why);
  void back_off(const std::string& why);
  void fail(const CacheError& error);

  VolumeCache& volume_;
  BackingDevice& backing_;
  BackingMarker& marker_;
  IoLane& lane_;
  DurableWriter& writer_;
  const Clock& clock_;
  BatchBounds bounds_;
  WriteBackPace pace_;
  boost::intrusive::list<DirtyTailWaiter, boost::intrusive::constant_time_size<false>>
      waiters_;  // lowest sequence first
  bool draining_ = false;
  bool stopping_ = false;
  bool failed_ = false;

  Phase phase_ = Phase::between;
  std::unique_ptr<WriteBackBatch> next_;     // being prepared, or ready
  bool is_next_announced_ = false;           // its target is set, its marker written or under way
  std::unique_ptr<WriteBackBatch> current_;  // being written
  Instant began_;
  std::unique_ptr<WriteBackBatch> flushing_;  // written, before D still; current_ is behind it
  Instant flushing_began_;
  std::unique_ptr<WriteBackBatch> done_;  // whose keys are being marked clean
  std::size_t marked_ = 0;                // keys of done_
  Instant ended_;                         // the last batch that did

  std::vector<Operation> operations_;
  Operation flush_;
  std::size_t in_flight_ = 0;
  std::size_t submitted_ = 0;       // pieces of current_
  IoStatus status_ = IoStatus::ok;  // of the writes of current_: the first that failed
  IoStatus flush_status_ = IoStatus::ok;
  const ByteCount journal_frame_;
  BackingJournal* journal_used_ = nullptr;
  std::unique_ptr<BatchJournal> journal_;        // on that; null: none
  std::optional<JournalChange> journal_change_;  // that is to come
  bool unreadable_ = false;                      // a piece has become so since it was verified
  Instant last_answer_;
  ByteCount written_;
  std::uint64_t failed_batches_ = 0;

  MarkerWrite marker_write_;
  bool marker_under_way_ = false;
  IoStatus marker_status_ = IoStatus::ok;
  bool marker_is_current_ = false;  // says `clean` at D
  bool marker_in_doubt_ = true;     // with a journal: which of two it says
  bool flush_is_marked_ = false;    // with a journal: flushing_ is, by the marker
  Instant noted_;                   // when the marker was last to say what the backlog is
  bool is_last_noted_ = false;      // and that was the last time

  std::optional<Instant> retry_at_;
  std::string error_;
  std::optional<WriteBackTrouble> trouble_;
  bool stuck_ = false;  // retry_at_ is because of trouble_
};

}  // namespace engine
