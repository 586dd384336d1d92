// WriteBack: with a journal, without one, and from the one to the other.
#include <memory>
#include <utility>

#include "engine/cache/write_back.h"

namespace engine {

void WriteBack::use_journal(BackingJournal* journal) {
  journal_used_ = journal;
  journal_.reset();
  if (journal == nullptr) return;
  const auto told = [this] {
    last_answer_ = clock_.now();
    go_on();
  };
  journal_ = std::make_unique<BatchJournal>(*journal, volume_.device().region(), lane_, told,
                                            journal_frame_);
}

void WriteBack::set_journal(BackingJournal* journal, const BatchBounds& bounds) {
  journal_change_ = {.journal = journal, .bounds = bounds};
  go_on();
}

// Between two batches, of which none is announced. As long as the mark names the journal, the image
// without it is of no moment: it is written on only when the batch is through.
void WriteBack::change_journal() {
  if (!journal_change_ || failed_ || current_ || flushing_ || is_next_announced_ ||
      marker_under_way_) {
    return;
  }
  if (marker_.stands().state == BackingMark::State::journalled) return;
  const JournalChange change = *std::exchange(journal_change_, {});
  bounds_ = change.bounds;
  next_.reset();  // it may be too large
  use_journal(change.journal);
}

}  // namespace engine
