// ParallelTasks: who runs the parts of a job that may run beside each other: threads in production,
// in simulations the caller alone.
#pragma once

#include <cstddef>

#include "engine/foundation/function_ref.h"

namespace engine {

class ParallelTasks {
 public:
  // Calls `task` with each of 0 ... count - 1 once, in any order, by the caller and by whoever has
  // nothing else to do; returns when all of them have returned. Every call sees what the caller has
  // done before, and the caller afterwards what each of them did. `task` does not call this again.
  virtual void run(std::size_t count, FunctionRef<void(std::size_t)> task) = 0;
  // How many may run at once, at least 1: it is worth cutting a job into so many parts.
  [[nodiscard]] virtual std::size_t width() const = 0;
  // Nobody wants the job's outcome any more: end soon. Any thread.
  [[nodiscard]] virtual bool given_up() const { return false; }

 protected:
  ~ParallelTasks() = default;
};

// The caller, one after the other.
class InlineTasks final : public ParallelTasks {
 public:
  void run(std::size_t count, FunctionRef<void(std::size_t)> task) override {
    for (std::size_t at = 0; at < count; ++at) task(at);
  }
  [[nodiscard]] std::size_t width() const override { return 1; }
};

}  // namespace engine
