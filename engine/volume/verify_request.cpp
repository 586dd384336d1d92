#include "engine/volume/verify_request.h"

#include <algorithm>
#include <utility>

namespace engine {
namespace {

constexpr std::uint64_t piece_bytes = std::uint64_t{256} << 10;

}  // namespace

void VerifyRequest::start(Volume& volume, IoLane& lane, VolumeIo& io) {
  (new VerifyRequest(volume, lane, io))->advance();  // deletes itself in finish()
}

void VerifyRequest::advance() {
  while (status_ == IoStatus::ok && at_ < end_) {
    if (!buffer_) {
      const ByteCount left = (end_ - at_) * volume_.identity().block_size;
      auto lease = lane_.buffers().lease({std::min(piece_bytes, left.value)});
      if (!lease) return lane_.buffers().wait(*this);
      buffer_ = std::move(*lease);
    }
    read_piece();
    if (reading_) return;
  }
  finish();
}

void VerifyRequest::read_piece() {
  const BlockSize block = volume_.identity().block_size;
  const BlockCount left = end_ - at_;
  read_.kind = VolumeIo::Kind::read;
  read_.is_use = false;
  read_.lba = at_;
  read_.blocks = {std::min<std::uint64_t>(left.value, buffer_.bytes().size() / block.bytes)};
  read_.data = buffer_.bytes().first((read_.blocks * block).value);
  read_.owner = this;
  read_.done = [](VolumeIo& io, IoStatus status) noexcept {
    VerifyRequest& self = *static_cast<Piece&>(io).owner;
    self.reading_ = false;
    self.status_ = status;
    self.at_ = self.at_ + io.blocks;
    if (!self.submitting_) self.advance();
  };
  reading_ = submitting_ = true;
  volume_.submit(lane_, read_);
  submitting_ = false;
}

void VerifyRequest::finish() {
  VolumeIo& io = io_;
  const IoStatus status = status_;
  delete this;
  io.done(io, status);
}

}  // namespace engine
