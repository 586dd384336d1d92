// NexusHandle: how other threads reach a nexus, which lives on its reactor and may end at any time.
#pragma once

#include <memory>
#include <utility>

#include "target/reactor/reactor.h"

namespace target::scsi {

class Nexus;

// Shared by the nexus and whoever may want something of it: logical units and devices forget it
// when the nexus ends, so none is used after its reactor has gone.
class NexusHandle : public std::enable_shared_from_this<NexusHandle> {
 public:
  NexusHandle(Nexus& nexus, Reactor& reactor) : nexus_(&nexus), reactor_(reactor) {}
  NexusHandle(const NexusHandle&) = delete;
  NexusHandle& operator=(const NexusHandle&) = delete;

  // Any thread: runs action(Nexus*) on the nexus's reactor in a later turn; with nullptr if it has
  // been told to end by then.
  template <class F>
  void post(F action) {
    reactor_.post([self = shared_from_this(), action = std::move(action)]() mutable {
      action(self->nexus_);
    });
  }
  // The same, but at once if this is its reactor's thread.
  template <class F>
  void run(F action) {
    if (Reactor::current() == &reactor_) return action(nexus_);
    post(std::move(action));
  }

  // The nexus's reactor only.
  void nexus_ended() { nexus_ = nullptr; }

 private:
  Nexus* nexus_;
  Reactor& reactor_;
};

}  // namespace target::scsi
