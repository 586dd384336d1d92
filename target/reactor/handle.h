// Handle: how other threads reach something that lives on a reactor and may end at any time.
#pragma once

#include <memory>
#include <utility>

#include "target/reactor/reactor.h"

namespace target {

// Shared by the owner and whoever may want something of it; none is used after its reactor has
// gone.
template <class Owner>
class Handle : public std::enable_shared_from_this<Handle<Owner>> {
 public:
  Handle(Owner& owner, Reactor& reactor) : owner_(&owner), reactor_(reactor) {}
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;

  // Any thread: runs action(Owner*) on the owner's reactor in a later turn; with nullptr if the
  // owner has ended by then.
  template <class F>
  void post(F action) {
    reactor_.post([self = this->shared_from_this(), action = std::move(action)]() mutable {
      action(self->owner_);
    });
  }
  [[nodiscard]] Reactor& reactor() { return reactor_; }

  // The owner's reactor only.
  void owner_ended() { owner_ = nullptr; }

 private:
  Owner* owner_;
  Reactor& reactor_;
};

}  // namespace target
