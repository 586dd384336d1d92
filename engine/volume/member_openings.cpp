#include "engine/volume/member_openings.h"

#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <utility>

#include "engine/volume/look_beside.h"

namespace engine {

MemberOpenings::Opened MemberOpenings::open_and_try(const std::string& path) {
  Opened opened = open_pool_member(path);
  if (!opened) return opened;
  // What that finds is not its affair: whoever opens the pool reads it again, and says more.
  std::array<std::byte, 4096> block{};
  (void)opened.value()->read({}, block);
  (void)opened.value()->sync();
  return opened;
}

std::vector<MemberCandidate> MemberOpenings::open(std::span<const std::string> paths) {
  const auto deadline = std::chrono::steady_clock::now() + patience_;
  const auto has_answered = [](const std::future<Opened>& future) {
    return future.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
  };
  // What was opened long ago may be another disk by now.
  std::erase_if(waiting_, [&](const auto& waiting) { return has_answered(waiting.second); });
  std::vector<std::future<Opened>> asked(paths.size());
  for (std::size_t at = 0; at < paths.size(); ++at) {
    if (waiting_.contains(paths[at])) continue;
    asked[at] = look_beside([open_one = open_one_, path = paths[at]] { return open_one(path); });
  }
  std::vector<MemberCandidate> members;
  for (std::size_t at = 0; at < paths.size(); ++at) {
    if (!asked[at].valid()) {
      members.push_back({.path = paths[at], .opened = FileError{ETIMEDOUT}});
    } else if (asked[at].wait_until(deadline) == std::future_status::ready) {
      members.push_back({.path = paths[at], .opened = asked[at].get()});
    } else {
      waiting_.insert_or_assign(paths[at], std::move(asked[at]));
      members.push_back({.path = paths[at], .opened = FileError{ETIMEDOUT}});
    }
  }
  return members;
}

}  // namespace engine
