// SessionHandle: how other threads reach a session, which lives on its reactor and may end at any
// time.
#pragma once

#include <memory>
#include <utility>

#include "target/nvmf/command.h"
#include "target/reactor/reactor.h"

namespace target::nvmf {

class Session;

// Shared by the session and whoever may want something of it. A controller forgets the handles of
// its sessions when they end, so none is used after its reactor has gone.
class SessionHandle : public std::enable_shared_from_this<SessionHandle> {
 public:
  SessionHandle(Session& session, Reactor& reactor) : session_(&session), reactor_(reactor) {}
  SessionHandle(const SessionHandle&) = delete;
  SessionHandle& operator=(const SessionHandle&) = delete;

  // Any thread: runs action(Session*) on the session's reactor in a later turn; with nullptr if the
  // session has ended by then.
  template <class F>
  void post(F action) {
    reactor_.post([self = shared_from_this(), action = std::move(action)]() mutable {
      action(self->session_);
    });
  }
  [[nodiscard]] Reactor& reactor() { return reactor_; }

  // The session's reactor only.
  void session_ended() { session_ = nullptr; }

 private:
  Session* session_;
  Reactor& reactor_;
};

}  // namespace target::nvmf
