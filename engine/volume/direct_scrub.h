// DirectScrub: a piece of a volume without a cache, of which nothing can be told but whether its
// backing gives it back.
#pragma once

#include "engine/volume/bad_range_search.h"
#include "engine/volume/scrub.h"
#include "engine/volume/volume.h"

namespace engine {

// Deletes itself when `io` ends. On one lane's thread.
class DirectScrub final : private BufferWaiter {
 public:
  // `io` is inside the volume.
  static void start(Volume& volume, IoLane& lane, ScrubIo& io);

 private:
  DirectScrub(Volume& volume, IoLane& lane, ScrubIo& io);
  void buffer_available() override { begin(); }
  void begin();
  void advance();
  void read_next();
  // False: that has ended it.
  [[nodiscard]] bool judge();
  void finish(IoStatus status);

  Volume& volume_;
  IoLane& lane_;
  ScrubIo& io_;
  const std::uint64_t sectors_;  // of a block
  BadRangeSearch search_;
  BufferLease buffer_;
  // A read may end inside its submission; then the one who submits goes on.
  bool submitting_ = false;
  bool reading_ = false;
  IoStatus status_ = IoStatus::ok;
  struct Piece : VolumeIo {
    DirectScrub* owner = nullptr;
  } read_;
};

}  // namespace engine
