// LossyBacking: a backing some blocks of which are lost, and known to be.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "engine/media/backing_device.h"
#include "engine/media/loss_record.h"
#include "engine/pool/lost_keeper.h"
#include "engine/pool/lost_ranges.h"

namespace engine {

// Reads that touch a lost block end with media_error. What is written over lost blocks, they are
// not lost any more: that is durable in the volume's record behind the data and before the answer,
// of the write if it was to be durable, else of the sync that makes it so. So a crash in between
// leaves an error where nothing was acknowledged, and never old data.
//
// While nothing is lost it is the other backing, and one load.
class LossyBacking final : public BackingDevice, public LossRecord {
 public:
  // `lost`: as the volume's record says; `keeper`: who changes that. The keeper is there as long as
  // there are requests.
  LossyBacking(std::unique_ptr<BackingDevice> inner, std::string volume, LostRanges lost,
               LostKeeper& keeper);
  ~LossyBacking() override;

  [[nodiscard]] ByteCount size() const override { return inner_->size(); }
  [[nodiscard]] bool needs_reopen() const override { return inner_->needs_reopen(); }
  [[nodiscard]] std::uint64_t errors() const override { return inner_->errors(); }
  [[nodiscard]] std::optional<Instant> silent_since(Instant now) override {
    return inner_->silent_since(now);
  }
  [[nodiscard]] LossRecord* losses() override { return this; }
  [[nodiscard]] VolumeSpace* space() override { return inner_->space(); }
  // As BackingDevice::submit(). Where the record cannot be written, what is written over lost
  // blocks ends with unavailable.
  void submit(IoLane& lane, BackingIo& io) override;

  [[nodiscard]] bool holds(MediaOffset offset, ByteCount length) override;
  void add(MediaOffset offset, ByteCount length, Asker asker, Done done) override;
  [[nodiscard]] std::vector<Lost> listed() const override;
  void count_lost_read() override { lost_reads_.fetch_add(1, std::memory_order_relaxed); }
  [[nodiscard]] LostRanges lost() const;
  // Reads that have ended with an error because nobody has what they asked for. Any thread.
  [[nodiscard]] std::uint64_t lost_reads() const {
    return lost_reads_.load(std::memory_order_relaxed);
  }
  // The record has been changed by somebody else, with nothing under way here.
  void follow(const LostRanges& lost);

 private:
  struct Covering;
  struct Change {
    enum class Kind : std::uint8_t { written, lost_by_cache, lost_by_host };
    std::vector<LostRange> ranges;
    Kind kind = Kind::written;
    Done done;

    // False: there is no room for it.
    [[nodiscard]] bool apply_to(LostRanges& lost) const;
  };

  void sync(IoLane& lane, BackingIo& io);
  void cover(IoLane& lane, BackingIo& io, std::vector<LostRange> ranges, bool is_durable);
  void ended(Covering& covering, IoStatus status);
  void note_written(const LostRange& range);
  void change(Change wanted);
  void change_next();
  void changed(const LostRanges& now, std::vector<Change> changes,
               const Result<void, std::string>& saved);

  const std::unique_ptr<BackingDevice> inner_;
  const std::string volume_;
  LostKeeper& keeper_;
  std::atomic<bool> any_;  // lost_ is not empty
  std::atomic<std::uint64_t> lost_reads_{0};

  mutable std::mutex mutex_;        // guards what follows; a leaf
  LostRanges lost_;                 // durable
  std::vector<LostRange> written_;  // over them, and no sync has begun since
  std::vector<Change> changes_;     // that wait
  bool is_changing_ = false;        // one is on its way
};

}  // namespace engine
