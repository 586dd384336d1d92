#include "engine/volume/direct_scrub.h"

#include <utility>

namespace engine {

void DirectScrub::start(Volume& volume, IoLane& lane, ScrubIo& io) {
  (new DirectScrub(volume, lane, io))->begin();  // deletes itself in finish()
}

DirectScrub::DirectScrub(Volume& volume, IoLane& lane, ScrubIo& io)
    : volume_(volume),
      lane_(lane),
      io_(io),
      sectors_(volume.identity().block_size.bytes / sector_bytes) {
  search_.begin({{io.lba.value * sectors_}, {io.blocks.value * sectors_}});
}

void DirectScrub::begin() {
  auto lease = lane_.buffers().lease(io_.blocks * volume_.identity().block_size);
  if (!lease) return lane_.buffers().wait(*this);
  buffer_ = std::move(*lease);
  advance();
}

void DirectScrub::advance() {
  while (search_.goes_on()) {
    read_next();
    if (reading_ || !judge()) return;
  }
  for (const SectorRange& bad : search_.bad()) {
    io_.findings.push_back({.kind = ScrubFinding::Kind::backing_unreadable,
                            .lba = {bad.begin.value / sectors_},
                            .blocks = {bad.count.value / sectors_}});
  }
  finish(IoStatus::ok);
}

bool DirectScrub::judge() {
  if (search_.take(status_)) return true;
  finish(status_);
  return false;
}

void DirectScrub::read_next() {
  const SectorRange part = search_.next();
  read_.kind = VolumeIo::Kind::read;
  read_.is_use = false;
  read_.lba = {part.begin.value / sectors_};
  read_.blocks = {part.count.value / sectors_};
  read_.data = buffer_.bytes().first(part.count.value * sector_bytes);
  read_.owner = this;
  read_.done = [](VolumeIo& io, IoStatus status) noexcept {
    DirectScrub& self = *static_cast<Piece&>(io).owner;
    self.reading_ = false;
    self.status_ = status;
    if (!self.submitting_ && self.judge()) self.advance();
  };
  reading_ = submitting_ = true;
  volume_.submit(lane_, read_);
  submitting_ = false;
}

void DirectScrub::finish(IoStatus status) {
  ScrubIo& io = io_;
  delete this;
  io.done(io, status);
}

}  // namespace engine
