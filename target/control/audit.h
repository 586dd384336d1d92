// Who has changed what, from where, and what came of it.
#pragma once

#include <functional>
#include <string>

#include "target/control/http.h"

namespace target::control {

struct AuditRecord {
  Caller caller{};
  std::string from{};     // "control socket", an address, "signal"
  std::string request{};  // "POST /v1/volumes/db01/grow", with its query
  std::string body{};     // as it was sent; empty where it is long
  bool done = false;
  std::string reason{};  // why it was not
  // What ran when it was asked for, and what ran when it was answered.
  std::string before{};
  std::string after{};
};

// Both may be empty; any thread.
struct Audit {
  std::function<void(const AuditRecord& record)> tell{};
  std::function<std::string()> running{};  // names what runs, as status does

  [[nodiscard]] explicit operator bool() const { return tell != nullptr; }
  [[nodiscard]] std::string now() const { return running ? running() : std::string(); }
};

// The same route, each of whose answers `audit` is told too: when it is done or refused, however
// late. A request whose body made no sense has asked for nothing, and is not told.
[[nodiscard]] Route audited(Route route, Audit audit);

}  // namespace target::control
