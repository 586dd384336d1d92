// ControlServer: HTTP/JSON on a Unix socket, for forebayctl and nothing else. API v1:
//   GET  /v1/status
//   POST /v1/volumes/NAME/grow   {"size_bytes": N}
//   POST /v1/volumes/NAME/mode   {"mode": "write-through"}   of its cache
//   POST /v1/volumes/NAME/drain  {"cancel": false}           answered when begun; see status
//   POST /v1/volumes/NAME/detach {}                          the same; drain {"cancel": true} ends
//   it
//
//   POST /v1/volumes/NAME/rename {"uuid": UUID, "to": NAME}   of one that is retained
//   POST /v1/volumes/NAME/adopt  {"pool": POOL, "file": FILE, "block_size": N}   answered with
//   {"uuid": UUID, "size_bytes": N, "provisioning": "thin"}
//   POST /v1/pools/NAME/add-member {"disk": PATH, "overwrite": [WORD, ...]}   answered with
//   {"members": [PATH, ...], "was_member": false, "is_configured": false, "free_bytes": N}
//   POST /v1/volumes/NAME/attach {"cache": "pmem1"}     to that cache device
//   POST /v1/caches/NAME/retire  {}                     answered when begun; see status
//   POST /v1/volumes/NAME/give-up-lost {}               what stops its write-back
//   POST /v1/volumes/NAME/abandon {"cache": UUID}       what that has of it and the pool lacks;
//   answered with {"what_is_left": "as it was at ..."}
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/foundation/result.h"

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

  std::function<std::string()> status;  // a JSON object
  // Each changes what it names. `done` may be called on any thread, or never; its error is a
  // sentence.
  std::function<void(const std::string& volume, std::uint64_t size_bytes, Done done)> grow;
  std::function<void(const std::string& volume, const std::string& uuid, Done done)> destroy;
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
  std::function<void(const std::string& volume, const std::string& mode, Done done)> set_mode;
  std::function<void(const std::string& volume, bool cancel, Done done)> drain;
  std::function<void(const std::string& volume, Done done)> detach;
  std::function<void(const std::string& volume, const std::string& device, Done done)> attach;
  std::function<void(const std::string& device, Done done)> retire;
  std::function<void(const std::string& volume, const std::string& cache, AbandonDone done)>
      abandon;
  std::function<void(const std::string& volume, Done done)> give_up_lost;
};

// Owns the control thread, which feeds the watchdog: nothing that runs on it may wait for a disk.
class ControlServer {
 public:
  // `group`: may use the socket beside its owner; empty: the owner only. A stale socket file is
  // replaced, one that still answers is not. The error is one line for the operator that says what
  // to change.
  static engine::Result<std::unique_ptr<ControlServer>, std::string> start(const std::string& path,
                                                                           const std::string& group,
                                                                           ControlRoutes routes);
  virtual ~ControlServer() = default;  // ends the thread and removes the socket

  // Any thread. Runs `task` on the control thread soon.
  virtual void post(std::function<void()> task) = 0;
  // Runs `task` on the control thread every `period`, from now on.
  virtual void every(std::chrono::milliseconds period, std::function<void()> task) = 0;
};

}  // namespace target::control
