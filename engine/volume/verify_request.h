// VerifyRequest: reads blocks of a volume into a buffer of the lane and forgets them: does the
// medium still give them back?
#pragma once

#include "engine/volume/volume.h"

namespace engine {

// In pieces, one at a time. Deletes itself when `io` ends. On one lane's thread.
class VerifyRequest final : private BufferWaiter {
 public:
  // `io` is inside the volume.
  static void start(Volume& volume, IoLane& lane, VolumeIo& io);

 private:
  VerifyRequest(Volume& volume, IoLane& lane, VolumeIo& io)
      : volume_(volume), lane_(lane), io_(io), at_(io.lba), end_(io.lba + io.blocks) {}
  void advance();
  void buffer_available() override { advance(); }
  void read_piece();
  void finish();

  Volume& volume_;
  IoLane& lane_;
  VolumeIo& io_;
  Lba at_;
  const Lba end_;
  IoStatus status_ = IoStatus::ok;
  BufferLease buffer_;
  // A read may end inside its submission; then the one who submits goes on.
  bool submitting_ = false;
  bool reading_ = false;
  struct Piece : VolumeIo {
    VerifyRequest* owner = nullptr;
  } read_;
};

}  // namespace engine
