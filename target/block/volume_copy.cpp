#include "target/block/volume_copy.h"

#include <algorithm>
#include <span>

namespace target::block {

using engine::IoStatus;
using engine::VolumeIo;

namespace {

constexpr std::uint64_t largest_piece = 256U << 10;

VolumeCopy& copy_of(const VolumeRequest& request) {
  return *static_cast<VolumeCopy*>(request.context);
}

engine::BlockCount blocks_in(const BlockVolume& volume, std::uint64_t bytes) {
  return {bytes / volume.volume().identity().block_size.bytes};
}

}  // namespace

std::uint64_t VolumeCopy::piece_bytes() const { return std::min(left_.bytes, largest_piece); }

void VolumeCopy::start(const Blocks& blocks) {
  left_ = blocks;
  of_source_ = blocks.from->holds().take();
  of_destination_ = blocks.to->holds().take();
  source_.volume = blocks.from;
  destination_.volume = blocks.to;
  source_.context = destination_.context = this;
  next_piece();
}

bool VolumeCopy::take_back() {
  if (!requests_.cancel(destination_) && !requests_.cancel(source_)) return false;
  of_source_ = of_destination_ = {};
  return true;
}

void VolumeCopy::pay_for_reading() {
  if (!owner_.may_go_on(*this)) return end(End::cancelled);
  const Traffic reading{Traffic::Kind::read, piece_bytes()};
  if (requests_.within_limits(source_, reading, &VolumeCopy::may_read, &VolumeCopy::refused)) {
    pay_for_writing();
  }
}

void VolumeCopy::may_read(VolumeRequest& request) noexcept { copy_of(request).pay_for_writing(); }

void VolumeCopy::pay_for_writing() {
  const Traffic writing{Traffic::Kind::write, piece_bytes()};
  if (requests_.within_limits(destination_, writing, &VolumeCopy::may_write,
                              &VolumeCopy::refused)) {
    take_place();
  }
}

void VolumeCopy::may_write(VolumeRequest& request) noexcept { copy_of(request).take_place(); }

void VolumeCopy::take_place() {
  const engine::BlockCount blocks = blocks_in(*left_.to, piece_bytes());
  requests_.hold(destination_, {left_.to_first, left_.to_first + blocks}, &VolumeCopy::in_place,
                 &VolumeCopy::refused);
}

void VolumeCopy::in_place(VolumeRequest& request) noexcept {
  VolumeCopy& copy = copy_of(request);
  if (!copy.owner_.may_go_on(copy)) return copy.end(End::cancelled);
  const std::uint64_t bytes = copy.piece_bytes();
  if (!copy.requests_.lease_second(request, bytes)) return copy.end(End::no_room);
  VolumeIo& io = copy.source_.io;
  io.kind = VolumeIo::Kind::read;
  io.is_use = false;
  io.lba = copy.left_.from_first;
  io.blocks = blocks_in(*copy.left_.from, bytes);
  io.data = request.second.bytes().first(bytes);
  io.sums = {};
  copy.requests_.submit(copy.source_, &VolumeCopy::read_done);
}

void VolumeCopy::read_done(VolumeRequest& source, IoStatus outcome) noexcept {
  VolumeCopy& copy = copy_of(source);
  if (outcome != IoStatus::ok) return copy.end(End::read_failed, outcome);
  if (!copy.owner_.may_go_on(copy)) return copy.end(End::cancelled);
  VolumeIo& io = copy.destination_.io;
  io.kind = VolumeIo::Kind::write;
  io.lba = copy.left_.to_first;
  io.blocks = blocks_in(*copy.left_.to, source.io.data.size());
  io.data = source.io.data;
  io.sums = {};
  copy.requests_.submit(copy.destination_, &VolumeCopy::written);
}

void VolumeCopy::written(VolumeRequest& request, IoStatus outcome) noexcept {
  VolumeCopy& copy = copy_of(request);
  if (outcome != IoStatus::ok) return copy.end(End::write_failed, outcome);
  const std::uint64_t bytes = request.io.data.size();
  copy.requests_.leave(request);
  copy.requests_.release_second(request);
  copy.left_.from_first = copy.left_.from_first + copy.source_.io.blocks;
  copy.left_.to_first = copy.left_.to_first + request.io.blocks;
  copy.left_.bytes -= bytes;
  copy.owner_.copied(copy, bytes);
  if (!copy.owner_.may_go_on(copy)) return copy.end(End::cancelled);
  if (copy.left_.bytes != 0) return copy.next_piece();
  copy.end(End::done);
}

void VolumeCopy::refused(VolumeRequest& request, IoStatus outcome) noexcept {
  copy_of(request).end(End::cancelled, outcome);
}

void VolumeCopy::end(End how, IoStatus outcome) {
  if (destination_.stage == VolumeRequest::Stage::held) requests_.leave(destination_);
  requests_.release_second(destination_);
  of_source_ = of_destination_ = {};
  owner_.copy_ended(*this, how, outcome);
}

}  // namespace target::block
