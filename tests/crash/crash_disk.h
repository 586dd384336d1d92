// CrashDisk: the backing of one volume, its marker and its journal, as power loss sees them; copied
// with a state.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "engine/foundation/function_ref.h"
#include "engine/foundation/random.h"
#include "engine/media/backing_journal.h"
#include "engine/media/backing_marker.h"
#include "tests/crash/volume_model.h"
#include "tests/sim/crash_chooser.h"

namespace engine::test {

// What there is of a volume without its cache.
struct BackingImage {
  VolumeModel::State sectors;
  std::optional<BackingMark> mark;
  std::shared_ptr<const std::vector<std::byte>> journal{};  // null: empty
};

// A write takes effect when it is submitted, in a cache that loses any sectors of it, in any of
// their versions, until a flush has ended that was submitted after the write had ended; a marker
// write is there or not until it has ended. A flush that fails may have lost all that came before
// it, and the next one knows nothing of it. The same holds for the journal's own writes and syncs.
// Operations end in any order, when the test says so; one flush at a time, and one sync.
class CrashDisk final : public BackingDevice, public BackingMarker, public BackingJournal {
 public:
  CrashDisk(Sector base, const BackingImage& image);
  ~CrashDisk() override;

  [[nodiscard]] ByteCount size() const override { return 8_MiB; }
  void submit(IoLane& lane, BackingIo& io) override;
  void write(IoLane& lane, MarkerWrite& write) override;
  [[nodiscard]] const BackingMark& stands() const override { return stands_; }
  void submit(IoLane& lane, JournalIo& io) override;

  // Called whenever a crash can leave something new; may look.
  void on_point(std::function<void()> hook) { hook_ = std::move(hook); }
  // Now and then something fails, from now on or not.
  void fail_some(bool fail) { fails_ = fail; }
  // Ends one operation of the random choice; false if there is none.
  bool end_one(SeededRandom& random);
  // The process is gone: everything ends, and nobody believes the answers.
  void abandon();

  [[nodiscard]] BackingImage crash(SeededRandom& random) const;
  [[nodiscard]] BackingImage crash(CrashChooser& choose) const;
  // How many different ones there are now; a large number if there are more.
  [[nodiscard]] std::uint64_t crashes() const;
  // As reads see it.
  [[nodiscard]] const VolumeModel::State& current() const { return current_; }
  [[nodiscard]] const std::optional<BackingMark>& mark() const { return image_.mark; }
  // Something outside of the volume's modelled sectors, or no whole sector of one command.
  [[nodiscard]] bool was_misused() const { return misused_; }

 private:
  struct Waiting {
    IoLane* lane = nullptr;
    BackingIo* io = nullptr;  // one of these
    MarkerWrite* mark = nullptr;
    JournalIo* journal = nullptr;
  };
  // Not durable yet.
  struct Version {
    Writer writer = 0;
    const BackingIo* io = nullptr;  // that is not over; null: it is
  };
  // Of the journal, and not durable yet.
  struct Unsynced {
    std::uint64_t offset = 0;
    std::vector<std::byte> bytes;
    const JournalIo* io = nullptr;  // that is not over; null: it is
    bool is_covered = false;        // by the sync that is under way
  };
  // `below(n)`: a choice among n.
  [[nodiscard]] BackingImage crash_with(FunctionRef<std::uint64_t(std::uint64_t)> below) const;
  void apply(const BackingIo& io);
  void end_journal(const JournalIo& io, bool fails, SeededRandom& random);
  [[nodiscard]] static std::shared_ptr<const std::vector<std::byte>> with(
      const std::shared_ptr<const std::vector<std::byte>>& journal, const Unsynced& write,
      FunctionRef<bool()> keeps);
  // How many of them, oldest first, a flush that begins now makes durable.
  [[nodiscard]] static std::size_t ended(const std::vector<Version>& versions);
  void sync(bool fails, SeededRandom& random);
  void end(const Waiting& waiting, IoStatus status);
  void reach() {
    if (hook_) hook_();
  }

  const Sector base_;
  BackingImage image_;  // durable
  VolumeModel::State current_;
  std::map<std::size_t, std::vector<Version>> versions_;  // oldest first
  std::map<std::size_t, std::size_t> covered_;            // by the flush that is under way
  std::deque<Unsynced> unsynced_;                         // of the journal, oldest first
  std::deque<Waiting> waiting_;
  BackingMark stands_;
  FileOperation mark_operation_;
  MarkerWrite* ended_mark_ = nullptr;
  IoStatus mark_status_ = IoStatus::ok;
  std::function<void()> hook_;
  bool fails_ = false;
  bool misused_ = false;
};

}  // namespace engine::test
