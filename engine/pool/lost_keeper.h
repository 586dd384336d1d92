// LostKeeper: who writes down what of a volume is lost.
#pragma once

#include <functional>
#include <string>

#include "engine/foundation/result.h"
#include "engine/pool/lost_ranges.h"

namespace engine {

class LostKeeper {
 public:
  using LostDone = std::function<void(Result<void, std::string>)>;

  // Any thread. The list takes the place of the one before. `done` runs when it is durable, or
  // cannot be; on the keeper's thread, or in here.
  virtual void set_lost(const std::string& volume, const LostRanges& lost, LostDone done) = 0;

 protected:
  ~LostKeeper() = default;
};

}  // namespace engine
