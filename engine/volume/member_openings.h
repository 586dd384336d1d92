// MemberOpenings: opens the members of a device pool, and waits for none of them for ever.
#pragma once

#include <functional>
#include <future>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/foundation/clock.h"
#include "engine/pool/pool_member.h"

namespace engine {

// A disk that hangs may hang the thread that opens it, reads it or asks for its flush; so each is
// opened, read and synced once by a thread of its own, before the pool's thread does that. One that
// has not answered in time counts as a disk that cannot be opened (ETIMEDOUT), and is asked again
// when it has answered: no thread is begun for it meanwhile. One thread uses this.
class MemberOpenings {
 public:
  using Opened = FileResult<std::unique_ptr<PoolMember>>;
  using OpenOne = std::function<Opened(const std::string& path)>;

  // `open_one` may outlast this. Waits for all together as long as `patience`.
  explicit MemberOpenings(Duration patience, OpenOne open_one = open_and_try)
      : patience_(patience), open_one_(std::move(open_one)) {}

  // One candidate for each path, in order.
  [[nodiscard]] std::vector<MemberCandidate> open(std::span<const std::string> paths);

  // open_pool_member(); and its first bytes are read, and it has synced.
  [[nodiscard]] static Opened open_and_try(const std::string& path);

 private:
  const Duration patience_;
  const OpenOne open_one_;
  std::map<std::string, std::future<Opened>> waiting_;  // by path: that have not answered
};

}  // namespace engine
