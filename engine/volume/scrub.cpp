#include "engine/volume/scrub.h"

#include "engine/volume/volume.h"

namespace engine {

void scrub(Volume& volume, IoLane& lane, ScrubIo& io) {
  auto* const scrubbable = dynamic_cast<Scrubbable*>(&volume);
  if (scrubbable == nullptr) return io.done(io, IoStatus::unavailable);
  scrubbable->scrub(lane, io);
}

}  // namespace engine
