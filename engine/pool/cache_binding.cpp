#include "engine/pool/cache_binding.h"

#include <algorithm>

#include "engine/foundation/check.h"

namespace engine {

using State = format::CacheBindingState;

bool is_possible(const CacheBinding& binding) {
  if (binding.state == State::none) return binding.device.is_nil();
  return !binding.device.is_nil() && binding.epoch != 0;
}

CacheVerdict judge(const CacheBinding& binding, const std::optional<Uuid>& configured,
                   const CacheDeviceFinding& found) {
  const bool is_same_device = configured && *configured == binding.device;
  const auto& contents = found.contents;
  if (binding.state == State::dirty) {
    if (!is_same_device || !contents || contents->epoch < binding.epoch) {
      return CacheVerdict::cache_missing;
    }
    // Between the cache's entry and the pool's a start was cut off.
    const bool was_joining = contents->epoch == binding.epoch + 1 && !contents->opened;
    return contents->epoch == binding.epoch || was_joining ? CacheVerdict::resume
                                                           : CacheVerdict::conflict;
  }
  // The image lacks nothing that it knows of.
  if (!configured || !found.readable) return CacheVerdict::direct;
  if (!contents || contents->epoch < binding.epoch) return CacheVerdict::attach;
  // Dirty is said here before the first dirty key.
  if (contents->dirty) return CacheVerdict::conflict;
  const bool belongs = binding.state == State::clean && is_same_device;
  return belongs && contents->epoch == binding.epoch ? CacheVerdict::resume : CacheVerdict::attach;
}

CacheBinding attached(const CacheBinding& before, const Uuid& device,
                      const std::optional<CacheContents>& contents) {
  CHECK(before.state != State::dirty && !device.is_nil());
  const std::uint64_t known = contents ? std::max(before.epoch, contents->epoch) : before.epoch;
  return {.device = device, .epoch = known + 1, .state = State::clean};
}

CacheBinding resumed(const CacheBinding& before, const CacheContents& contents) {
  CacheBinding after = before;
  after.epoch = std::max(before.epoch + 1, contents.epoch);
  return after;
}

CacheBinding forgotten(const CacheBinding& before) {
  return {.device = {}, .epoch = before.epoch + 1, .state = State::none};
}

Result<CacheBinding, std::string> abandoned(const std::string& volume, const CacheBinding& before,
                                            const Uuid& cache) {
  if (before.state != State::dirty) {
    return "volume " + volume + " lacks nothing: its image is all there is";
  }
  if (before.device != cache) {
    return "volume " + volume + " lacks what cache device " + before.device.text() + " has, not " +
           cache.text();
  }
  return forgotten(before);
}

}  // namespace engine
