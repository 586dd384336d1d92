// VerifyRequest: reads blocks into a buffer of the lane and forgets them: does the medium still
// give them back?
#pragma once

#include "engine/volume/volume.h"

namespace engine {

// In pieces, one at a time. Deletes itself when `io` ends. On one lane's thread.
class VerifyRequest final : private BufferWaiter {
 public:
  static void start(BackingDevice& backing, IoLane& lane, VolumeIo& io, ByteCount length);

 private:
  VerifyRequest(BackingDevice& backing, IoLane& lane, VolumeIo& io, ByteCount length)
      : backing_(backing), lane_(lane), io_(io), at_(io.backing.offset), end_(at_ + length) {}
  void advance();
  void buffer_available() override { advance(); }
  void piece_done(IoStatus status);
  void finish(IoStatus status);

  BackingDevice& backing_;
  IoLane& lane_;
  VolumeIo& io_;
  MediaOffset at_;
  const MediaOffset end_;
  BufferLease buffer_;
  BackingIo read_;
};

}  // namespace engine
