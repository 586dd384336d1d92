// MissTable: the backing reads of one volume that are under way, shared by all who ask for the
// same.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include "engine/cache/extent.h"
#include "engine/foundation/spin_lock.h"

namespace engine {

// One part of a reader's gap: either its owner reads it from the backing, or it waits for somebody
// who does. Lives in the command; in the table from begin() to the end that its role has.
class MissPart {
 public:
  MissPart() = default;
  MissPart(const MissPart&) = delete;
  MissPart& operator=(const MissPart&) = delete;

  [[nodiscard]] SectorRange range() const { return range_; }
  // True: read it from the backing. False: somebody else does, and will hand it over.
  [[nodiscard]] bool reads() const { return leader_ == nullptr; }
  // What the reader has may be older than what the volume holds: it must not go into the cache.
  // For VolumeCache::fill, which looks at it last; once true, it stays true.
  [[nodiscard]] const std::atomic<bool>& overtaken() const { return overtaken_; }
  // Behind it in the list that take_joined() returned.
  [[nodiscard]] MissPart* next() const { return next_; }

 private:
  friend class MissTable;

  SectorRange range_;
  MissPart* next_ = nullptr;    // in its bucket, or in the list of its leader
  MissPart* joined_ = nullptr;  // who waits for this one
  MissPart* leader_ = nullptr;
  bool open_ = false;  // may be joined
  std::atomic<bool> overtaken_{false};
};

// A whole read that the cache and the backing have parts of, for as long as that takes: which of
// its sectors the log has changed meanwhile. In the table from watch() to unwatch(). Lives in the
// command.
class ReadWatch {
 public:
  static constexpr std::uint64_t most_sectors = 4096;

  ReadWatch() = default;
  ReadWatch(const ReadWatch&) = delete;
  ReadWatch& operator=(const ReadWatch&) = delete;

  // Whatever has been written back and evicted since watch() is among them for certain.
  [[nodiscard]] bool is_changed(SectorRange range) const;

 private:
  friend class MissTable;
  struct Place {  // in one bucket
    ReadWatch* watch = nullptr;
    Place* next = nullptr;
  };
  void mark(SectorRange range);

  SectorRange range_;
  std::array<Place, 3> places_;
  std::array<std::atomic<std::uint64_t>, most_sectors / 64> changed_{};
};

// A write that goes straight to the backing; in the table from begin_direct() to end_direct().
class DirectWrite {
 public:
  DirectWrite() = default;
  DirectWrite(const DirectWrite&) = delete;
  DirectWrite& operator=(const DirectWrite&) = delete;

 private:
  friend class MissTable;
  SectorRange range_;
  DirectWrite* next_ = nullptr;
};

// A read of the backing may be overtaken by a write that is published, written back and evicted
// before the data arrives: then the hole is a hole again, and the data is old. So a miss is
// registered before its hole is looked up for the last time, and whoever changes the volume marks
// the misses he overlaps: their data never goes into the cache, and nobody joins them any more,
// because who asks after the change must not get what was read before it.
//
// The way of a read, for each hole that VolumeCache::read has told, until nothing of it is left:
//   begin(hole, part)     takes the front of the hole
//   if part.reads():      look the part up again: what has come in since is given out from there,
//   and
//                         the rest is read from the backing. Then take_joined(part), whose readers
//                         get their parts of it (or the error); VolumeCache::fill, if admitted,
//                         with part.overtaken(); end(part) when the fill has completed, or there is
//                         none.
//   else:                 wait to be handed the bytes; if that is an error, which may be the
//   other's
//                         alone, begin_alone(part), and as above.
//
// Who must not see half of a write watch()es the whole read before its first part begins, and looks
// everything up once more when the last part is there: what the cache has then counts; of the rest,
// what he has read from the backing, unless it is changed: then he begins again.
//
// Any thread may call anything. Parts lie in buckets by address, each with a spin-lock, held for a
// walk over what is under way there; a leaf. With nothing under way, overtake() is one load.
//
// Invariants: parts that read and may be joined do not overlap each other; a part lies in one MiB.
class MissTable {
 public:
  static constexpr std::uint64_t most_sectors = 2048;  // of a part, and where parts are cut

  MissTable() = default;
  MissTable(const MissTable&) = delete;
  MissTable& operator=(const MissTable&) = delete;

  // Takes the front of the gap: what one that is under way covers of it, or what none does.
  void begin(SectorRange gap, MissPart& part);
  // The same for the range that a part had, after whoever it had joined has failed: it reads by
  // itself, and nobody joins it.
  void begin_alone(MissPart& part);
  // The data is there, or will not come: closes the part, and gives out who waits for it, in no
  // order. They are not in the table any more.
  [[nodiscard]] MissPart* take_joined(MissPart& part);
  // The fill is through, or there is none: nobody needs to know of it any more.
  void end(MissPart& part);

  // A read of at most ReadWatch::most_sectors, not empty.
  void watch(SectorRange range, ReadWatch& watch);
  void unwatch(ReadWatch& watch);

  // The range reads differently from now on: after the index says so, and before whoever changed it
  // hears of it. Publishing, invalidation; `changed`: it is not only that the backing counts now.
  void overtake(SectorRange range, bool changed = false) {
    if (under_way_.load(std::memory_order_seq_cst) != 0) mark(range, changed);
  }
  // A write straight to the backing, from before its first I/O to before its acknowledgement: no
  // miss that it overlaps ever fills.
  void begin_direct(SectorRange range, DirectWrite& write);
  void end_direct(DirectWrite& write);

  void check_invariants();  // for tests

 private:
  static constexpr std::size_t bucket_count = 64;
  struct alignas(64) Bucket {
    SpinLock lock;  // guards the lists and everything of the parts but overtaken_
    MissPart* parts = nullptr;
    ReadWatch::Place* watches = nullptr;
  };

  [[nodiscard]] Bucket& bucket_of(Sector sector) {
    return buckets_[sector.value / most_sectors % bucket_count];
  }
  // With the bucket's lock held.
  void add(Bucket& bucket, MissPart& part, bool open);
  void mark(SectorRange range, bool changed);
  template <class Function>
  void for_buckets(SectorRange range, Function function);
  [[nodiscard]] bool is_written_directly(SectorRange range);

  std::array<Bucket, bucket_count> buckets_;
  std::atomic<std::uint64_t> under_way_{0};  // parts that read, and places of watches
  SpinLock direct_lock_;                     // guards direct_; a leaf
  DirectWrite* direct_ = nullptr;
};

}  // namespace engine
