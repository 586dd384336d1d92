// SessionHandle: how other threads reach a session, which lives on its reactor and may end at any
// time.
#pragma once

#include "target/reactor/handle.h"

namespace target::nvmf {

class Session;

// A controller forgets the handles of its sessions when they end.
using SessionHandle = Handle<Session>;

}  // namespace target::nvmf
