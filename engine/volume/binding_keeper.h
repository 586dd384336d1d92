// BindingKeeper: who writes down what a volume's record says of its cache.
#pragma once

#include <functional>
#include <string>

#include "engine/foundation/result.h"
#include "engine/pool/cache_binding.h"

namespace engine {

class BindingKeeper {
 public:
  using BindDone = std::function<void(Result<void, std::string>)>;

  // Any thread. `done` runs when the binding is durable, or cannot be; on the keeper's thread, or
  // in here.
  virtual void bind(const std::string& volume, const CacheBinding& binding, BindDone done) = 0;

 protected:
  ~BindingKeeper() = default;
};

}  // namespace engine
