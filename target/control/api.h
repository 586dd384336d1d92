// The API, v1: routes over what the daemon can do. docs/openapi.yaml describes each.
#pragma once

#include <boost/json/object.hpp>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "engine/foundation/result.h"
#include "target/control/audit.h"
#include "target/control/http.h"

namespace target::control {

// What a request is answered from; called on the control thread, one at a time.
struct ControlRoutes {
  using Done = std::function<void(engine::Result<void, std::string>)>;
  struct Abandoned {
    std::string what_is_left;  // of the volume, and how much is lost
  };
  struct Adopted {
    std::string uuid;
    std::uint64_t size_bytes = 0;
    std::string provisioning;
  };
  // A device pool that has one more disk, or had it before.
  struct GrownPool {
    std::vector<std::string> members;  // all of them, by path
    bool was_member = false;
    bool is_configured = false;  // the disk
    std::uint64_t free_bytes = 0;
  };
  using AddMemberDone = std::function<void(engine::Result<GrownPool, std::string>)>;
  using AdoptDone = std::function<void(engine::Result<Adopted, std::string>)>;
  using AbandonDone = std::function<void(engine::Result<Abandoned, std::string>)>;

  Audit audit;                          // told of every change; may be empty
  std::function<std::string()> status;  // a JSON object
  // Told who asks, right before what he asks for; may be empty.
  std::function<void(const Caller& caller)> asked{};
  // Each changes what it names. `done` may be called on any thread, or never; its error is a
  // sentence.
  std::function<void(const std::string& volume, std::uint64_t size_bytes, Done done)> grow;
  struct Destruction {
    std::string uuid;
    std::string cache;  // UUID of the one that it belongs together with; empty: none is named
  };
  struct Destroyed {
    std::string cache_text;
    std::uint64_t cache_freed_bytes = 0;
  };
  using DestroyDone = std::function<void(engine::Result<Destroyed, std::string>)>;
  std::function<void(const std::string& volume, const Destruction& wanted, DestroyDone done)>
      destroy;
  std::function<void(const std::string& volume, const std::string& uuid, const std::string& to,
                     Done done)>
      rename;
  struct Adoption {
    std::string pool;
    std::string file;
    std::uint64_t block_size = 0;
  };
  std::function<void(const std::string& volume, const Adoption& adoption, AdoptDone done)> adopt;
  struct Newcomer {
    std::string disk;
    std::vector<std::string> overwrite;  // what on it may be destroyed
  };
  std::function<void(const std::string& pool, const Newcomer& newcomer, AddMemberDone done)>
      add_member;
  std::function<void(const std::string& volume, bool cancel, Done done)> drain;
  std::function<void(const std::string& volume, Done done)> detach;
  std::function<void(const std::string& volume, const std::string& device, Done done)> attach;
  std::function<void(const std::string& device, Done done)> retire;
  std::function<void(const std::string& volume, const std::string& cache, AbandonDone done)>
      abandon;
  std::function<void(const std::string& volume, Done done)> give_up_lost;
  std::function<void(const std::string& volume, bool on, Done done)> protect;
};

// The JSON object that a request's body is; nullopt: it is something else.
[[nodiscard]] std::optional<boost::json::object> body_object(const Request& request);

// /v1/status, and each change, answered from `routes`.
[[nodiscard]] std::vector<Route> api_routes(ControlRoutes routes);

}  // namespace target::control
