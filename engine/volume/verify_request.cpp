#include "engine/volume/verify_request.h"

#include <algorithm>
#include <utility>

namespace engine {
namespace {

constexpr std::uint64_t piece_bytes = std::uint64_t{256} << 10;

}  // namespace

void VerifyRequest::start(BackingDevice& backing, IoLane& lane, VolumeIo& io, ByteCount length) {
  (new VerifyRequest(backing, lane, io, length))->advance();  // deletes itself in finish()
}

void VerifyRequest::advance() {
  if (!buffer_) {
    auto lease = lane_.buffers().lease({std::min(piece_bytes, (end_ - at_).value)});
    if (!lease) return lane_.buffers().wait(*this);
    buffer_ = std::move(*lease);
  }
  read_.kind = BackingIo::Kind::read;
  read_.offset = at_;
  read_.buffer =
      buffer_.bytes().first(std::min<std::uint64_t>(buffer_.bytes().size(), (end_ - at_).value));
  read_.context = this;
  read_.done = [](BackingIo& io, IoStatus status) noexcept {
    static_cast<VerifyRequest*>(io.context)->piece_done(status);
  };
  backing_.submit(lane_, read_);
}

void VerifyRequest::piece_done(IoStatus status) {
  at_ = at_ + ByteCount{read_.buffer.size()};
  if (status != IoStatus::ok || at_ == end_) return finish(status);
  advance();
}

void VerifyRequest::finish(IoStatus status) {
  VolumeIo& io = io_;
  delete this;
  io.done(io, status);
}

}  // namespace engine
