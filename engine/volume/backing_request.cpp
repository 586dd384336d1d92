#include "engine/volume/backing_request.h"

#include "engine/foundation/check.h"

namespace engine {

void ask_backing(const VolumeIo& io, BlockSize block_size, BackingIo& request) {
  const ByteCount length = io.blocks * block_size;
  request.offset = byte_position(io.lba, block_size);
  request.buffer = {};
  request.length = length;
  request.durable = true;
  switch (io.kind) {
    case VolumeIo::Kind::read:
    case VolumeIo::Kind::write:
      CHECK(io.data.size() == length.value);
      request.buffer = io.data;
      request.durable = io.kind == VolumeIo::Kind::write;
      request.kind = request.durable ? BackingIo::Kind::write : BackingIo::Kind::read;
      return;
    case VolumeIo::Kind::write_zeroes:
      request.kind = io.may_deallocate ? BackingIo::Kind::discard : BackingIo::Kind::zero_range;
      return;
    case VolumeIo::Kind::deallocate:
      request.kind = BackingIo::Kind::discard;
      return;
    case VolumeIo::Kind::verify:
    case VolumeIo::Kind::flush:
      CHECK(false && "not the backing's");
  }
}

}  // namespace engine
