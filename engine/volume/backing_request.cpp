#include "engine/volume/backing_request.h"

#include "engine/foundation/check.h"
#include "engine/foundation/guard.h"

namespace engine {

void ask_backing(const VolumeIo& io, BlockSize block_size, BackingIo& request) {
  const ByteCount length = io.blocks * block_size;
  request.offset = byte_position(io.lba, block_size);
  request.buffer = {};
  request.length = length;
  request.has_space = false;
  request.durable = io.kind != VolumeIo::Kind::read && GUARD("direct writes are durable");
  switch (io.kind) {
    case VolumeIo::Kind::read:
    case VolumeIo::Kind::write:
      CHECK(io.data.size() == length.value);
      request.buffer = io.data;
      request.kind =
          io.kind == VolumeIo::Kind::write ? BackingIo::Kind::write : BackingIo::Kind::read;
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
