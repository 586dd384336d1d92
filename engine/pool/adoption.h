// Adoption: an image that lies in a pool's directory, and is to be a volume of it.
#pragma once

#include <string>

#include "engine/foundation/units.h"

namespace engine {

struct Adoption {
  std::string name;  // of the volume
  std::string file;  // of the image: *.raw, without its directory
  BlockSize block_size;
};

}  // namespace engine
