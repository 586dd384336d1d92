// Who has changed what by the API, and what came of it.
#pragma once

#include <functional>
#include <string>

#include "target/control/http.h"

namespace target::control {

struct AuditRecord {
  Caller caller{};
  std::string request{};  // "POST /v1/volumes/db01/grow"
  std::string body{};     // as it was sent; empty where it is long
  bool done = false;
  std::string reason{};  // why it was not
};
// Any thread.
using Audit = std::function<void(const AuditRecord& record)>;

// The same route, each of whose answers is told to `audit` too: when it is done or refused, however
// late. A request whose body made no sense has asked for nothing, and is not told.
[[nodiscard]] Route audited(Route route, Audit audit);

}  // namespace target::control
