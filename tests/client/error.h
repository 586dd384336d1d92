// What can go wrong for a client: its own time-out, the connection, or the target breaking the
// protocol.
#pragma once

#include <string>

#include "engine/foundation/result.h"

namespace client {

enum class ErrorKind {
  time_out,    // nothing (or not enough) arrived in time
  closed,      // the peer closed in an orderly way (FIN)
  reset,       // the peer reset the connection
  system,      // a socket call failed; the text has the reason
  terminated,  // the target sent C2HTermReq; the text has FES and FEI
  violation,   // the target broke NVMe/TCP or NVMe; the text says how
  refused,     // a command of a multi-step operation was answered with an error status
  misuse,      // the caller asked for something that cannot be done
};

[[nodiscard]] const char* name(ErrorKind kind);

struct Error {
  ErrorKind kind;
  std::string text;  // one line, for a person

  [[nodiscard]] std::string describe() const { return std::string(name(kind)) + ": " + text; }
};

template <class T>
using Result = engine::Result<T, Error>;

}  // namespace client
