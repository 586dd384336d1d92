// VolumeFormatter: who makes all of a volume zeros for a host that has it alone.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "target/block/block_volume.h"

namespace target::block {

class VolumeFormatter {
 public:
  enum class End : std::uint8_t {
    done,         // every block is zeros, and stays so; the blocks are of the size asked for
    in_use,       // nothing has begun: another host has it
    in_progress,  // nothing has begun: it is being formatted already
    failed,       // it goes on later by itself, and the volume is not served until it is through
    stopped,      // the daemon ends; the next one goes on with it
  };
  using Ended = std::function<void(End end)>;

  // Any thread. `host`: the NQN of who asks. `blocks`: those that the volume has afterwards, which
  // it can have (engine::Volume::can_have_blocks); if they are others than its own, `done` means
  // that another BlockVolume has taken its place. From the call until the formatting has ended
  // whatever anybody wants of the volume's blocks ends with IoStatus::formatting, also if the
  // daemon starts again meanwhile: a crash leaves all of what there was, or zeros. `ended`: once,
  // on any thread, maybe in here.
  virtual void format(BlockVolume& volume, const std::string& host, engine::BlockSize blocks,
                      Ended ended) = 0;

 protected:
  ~VolumeFormatter() = default;
};

}  // namespace target::block
