// SimDisks: disks that are members of a pool, of which power loss keeps only what was synced.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "engine/foundation/random.h"
#include "engine/pool/pool_member.h"
#include "tests/engine/pool/sim_directory.h"

namespace engine {

// The disks themselves; outlive each life of the daemon. A crash leaves of each sector that was
// written and not synced what is there now, or what was there before; what one call makes durable
// is durable only when it returns.
struct SimDisks {
  struct Disk {
    std::string path;
    std::string serial;
    std::vector<std::byte> bytes;
    struct Overwritten {
      std::uint64_t offset = 0;
      std::vector<std::byte> bytes;
    };
    std::vector<Overwritten> unsynced;  // what was there before each write since the last sync
    // Reading there fails, until it is written; where `stays`, writing does, too.
    struct BadPlace {
      std::uint64_t offset = 0;
      std::uint64_t length = 0;
      bool stays = false;
    };
    std::vector<BadPlace> bad;
    bool held = false;
    bool hung = false;         // somebody's I/O on it has not ended: no range can be locked
    std::uint64_t zeroed = 0;  // bytes, since it was made
  };
  // None at first. A new one is full of what somebody else has left.
  std::vector<std::unique_ptr<Disk>> disks;
  std::uint64_t steps = 0;  // since the last begin()
  SimDirectory::Fault fault;

  Disk& add(ByteCount size);
  // The nth step from here on, over all disks (each operation is one), crashes or fails.
  void begin(SimDirectory::Fault wanted) {
    steps = 0;
    fault = wanted;
  }
  void crash(SeededRandom& random);

  // What the configured paths lead to.
  [[nodiscard]] MemberCandidate candidate(std::size_t disk);
  [[nodiscard]] std::vector<MemberCandidate> candidates();
  [[nodiscard]] std::vector<MemberCandidate> candidates(const std::vector<std::size_t>& chosen);

  [[nodiscard]] FileResult<void> step();
};

}  // namespace engine
