#include "tests/client/error.h"

namespace client {

const char* name(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::time_out:
      return "timed out";
    case ErrorKind::closed:
      return "connection closed";
    case ErrorKind::reset:
      return "connection reset";
    case ErrorKind::system:
      return "system error";
    case ErrorKind::terminated:
      return "terminated by the target";
    case ErrorKind::violation:
      return "protocol violation by the target";
    case ErrorKind::refused:
      return "refused";
    case ErrorKind::misuse:
      return "wrong use of the client";
  }
  return "unknown";
}

}  // namespace client
