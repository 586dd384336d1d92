#include "engine/cache/merge_keys.h"

#include <algorithm>
#include <numeric>
#include <queue>

namespace engine {

// One walk over the addresses; `active` has the keys that begin before or at `at`, and on its top
// the newest of those that end behind it.
std::vector<DirtyPiece> merge_keys(std::span<const DirtyKey> keys) {
  std::vector<std::uint32_t> order(keys.size());
  std::iota(order.begin(), order.end(), 0U);
  std::ranges::sort(order, {}, [keys](std::uint32_t key) { return keys[key].range.begin; });
  std::vector<DirtyPiece> pieces;
  pieces.reserve(keys.size());
  std::priority_queue<std::uint32_t> active;
  Sector at;
  for (auto next = order.begin(); next != order.end() || !active.empty();) {
    if (active.empty()) at = std::max(at, keys[*next].range.begin);
    for (; next != order.end() && keys[*next].range.begin <= at; ++next) active.push(*next);
    while (!active.empty() && keys[active.top()].range.end() <= at) active.pop();
    if (active.empty()) continue;
    const std::uint32_t newest = active.top();
    Sector end = keys[newest].range.end();
    if (next != order.end()) end = std::min(end, keys[*next].range.begin);
    if (keys[newest].kind != DirtyKey::Kind::invalidate) {
      DirtyPiece* const last = pieces.empty() ? nullptr : &pieces.back();
      if (last != nullptr && last->key == newest && last->range.end() == at) {
        last->range.count = end - last->range.begin;
      } else {
        pieces.push_back({.range = {at, end - at}, .key = newest});
      }
    }
    at = end;
  }
  return pieces;
}

}  // namespace engine
