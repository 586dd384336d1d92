// BindingKeeper: who writes down what a volume's record says of its cache.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "engine/foundation/result.h"
#include "engine/media/backing_marker.h"
#include "engine/pool/cache_binding.h"

namespace engine {

class BindingKeeper {
 public:
  using BindDone = std::function<void(Result<void, std::string>)>;

  // Any thread. `done` runs when the binding is durable, or cannot be; on the keeper's thread, or
  // in here.
  virtual void bind(const std::string& volume, const CacheBinding& binding, BindDone done) = 0;

  struct Abandoned {
    // What the record says now. The error is a sentence for the operator, and the cache is as
    // little given up as before.
    Result<CacheBinding, std::string> binding;
    std::unique_ptr<BackingMarker> marker{};  // in place of the one before; null: that one is right
    std::string what_is_left{};               // see WhatIsLeft
  };
  using AbandonDone = std::function<void(std::shared_ptr<Abandoned>)>;
  // Of a volume whose image nobody writes to: what its journal has goes there first, then the
  // record forgets `cache`. As bind().
  virtual void abandon(const std::string& volume, const GivenUpCache& cache, AbandonDone done) = 0;

 protected:
  ~BindingKeeper() = default;
};

}  // namespace engine
