#include "engine/cache/write_back_trouble.h"

namespace engine {

std::string WriteBackTrouble::text() const {
  if (kind == Kind::log) return "nothing is written back from there on: " + log->text();
  const std::string where = "sectors " + std::to_string(range.begin.value) + " to " +
                            std::to_string(range.end().value - 1) + " of kset " +
                            std::to_string(sequence) + ", at " + std::to_string(place.value) +
                            " of the cache device, ";
  const std::string what =
      kind == Kind::key
          ? "have an impossible key (" + std::to_string(static_cast<unsigned>(fault)) + ")"
      : kind == Kind::stale        ? "lie in a segment that is somebody else's by now"
      : kind == Kind::bad_checksum ? "are not what was written, and nobody else has them"
                                   : "cannot be read, and nobody else has them";
  return where + what + "; nothing from there on is written back until they are overwritten" +
         (is_lost_data() ? ", or given up" : "");
}

}  // namespace engine
