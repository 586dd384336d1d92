// SimJournal: a journal that only remembers what it was given, for tests of who writes it.
#pragma once

#include <deque>
#include <utility>
#include <vector>

#include "engine/foundation/check.h"
#include "engine/media/backing_journal.h"

namespace engine {

// Operations end at the lane's next reap(), in order, or when the test lets them. One thread.
class SimJournal final : public BackingJournal {
 public:
  struct Written {
    JournalFrame frame;
    MediaOffset place;
    std::vector<JournalPiece> pieces;
    std::vector<std::byte> data;  // behind the head
  };

  ~SimJournal() override { CHECK(held_.empty()); }

  void submit(IoLane& lane, JournalIo& io) override {
    lane_ = &lane;
    held_.push_back(&io);
    if (!holding_) release();
  }

  void hold(bool holding) { holding_ = holding; }
  [[nodiscard]] std::size_t held() const { return held_.size(); }
  // Ends all that is held; everything fails as long as `status` is not ok.
  void release() {
    for (JournalIo* const io : std::exchange(held_, {})) {
      if (status_ == IoStatus::ok) take(*io);
      io->file.context = io;
      io->file.length = {static_cast<std::uint64_t>(status_)};
      io->file.done = [](FileOperation& operation, int) noexcept {
        auto& ended = *static_cast<JournalIo*>(operation.context);
        ended.done(ended, static_cast<IoStatus>(operation.length.value));
      };
      lane_->post(io->file);
    }
  }
  void fail(IoStatus status) { status_ = status; }

  [[nodiscard]] const std::vector<Written>& frames() const { return frames_; }
  [[nodiscard]] std::size_t syncs() const { return syncs_; }
  void forget() { frames_.clear(); }

 private:
  void take(const JournalIo& io) {
    if (io.kind == JournalIo::Kind::sync) {
      ++syncs_;
      return;
    }
    const auto data = io.buffer.subspan(JournalFrame::head.value);
    frames_.push_back({.frame = io.frame,
                       .place = io.place,
                       .pieces = {io.pieces.begin(), io.pieces.end()},
                       .data = {data.begin(), data.end()}});
  }

  std::vector<Written> frames_;
  std::size_t syncs_ = 0;
  bool holding_ = false;
  IoStatus status_ = IoStatus::ok;
  std::deque<JournalIo*> held_;
  IoLane* lane_ = nullptr;
};

}  // namespace engine
