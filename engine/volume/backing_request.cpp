#include "engine/volume/backing_request.h"

#include "engine/foundation/check.h"
#include "engine/foundation/guard.h"
#include "engine/media/loss_record.h"

namespace engine {
namespace {

IoStatus status_of_losing(const Result<void, LossRecord::Refusal>& added) {
  if (added) return IoStatus::ok;
  return added.error().is_full ? IoStatus::capacity_exceeded : IoStatus::unavailable;
}

// Told on whichever thread, and answered on the lane's.
void lose(BackingDevice& backing, IoLane& lane, BackingIo& request) {
  LossRecord* const losses = backing.losses();
  if (losses == nullptr) return request.done(request, IoStatus::unavailable);
  request.lane = &lane;
  losses->add(request.offset, request.length, LossRecord::Asker::host,
              [&request](const Result<void, LossRecord::Refusal>& added) {
                request.progress = static_cast<std::uint64_t>(status_of_losing(added));
                request.file.context = &request;
                request.file.done = [](FileOperation& posted, int) noexcept {
                  auto& ended = *static_cast<BackingIo*>(posted.context);
                  ended.done(ended, static_cast<IoStatus>(ended.progress));
                };
                request.lane->post(request.file);
              });
}

}  // namespace

void ask_backing(BackingDevice& backing, IoLane& lane, const VolumeIo& io, BlockSize block_size,
                 BackingIo& request) {
  const ByteCount length = io.blocks * block_size;
  request.offset = byte_position(io.lba, block_size);
  request.buffer = {};
  request.length = length;
  request.durable = io.kind != VolumeIo::Kind::read && GUARD("direct writes are durable");
  switch (io.kind) {
    case VolumeIo::Kind::read:
    case VolumeIo::Kind::write:
      CHECK(io.data.size() == length.value);
      request.buffer = io.data;
      request.kind =
          io.kind == VolumeIo::Kind::write ? BackingIo::Kind::write : BackingIo::Kind::read;
      return backing.submit(lane, request);
    case VolumeIo::Kind::write_zeroes:
      request.kind = io.may_deallocate ? BackingIo::Kind::discard : BackingIo::Kind::zero_range;
      return backing.submit(lane, request);
    case VolumeIo::Kind::deallocate:
      request.kind = BackingIo::Kind::discard;
      return backing.submit(lane, request);
    case VolumeIo::Kind::lose:
      return lose(backing, lane, request);
    case VolumeIo::Kind::verify:
    case VolumeIo::Kind::flush:
      CHECK(false && "not the backing's");
  }
}

}  // namespace engine
