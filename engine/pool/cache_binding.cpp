#include "engine/pool/cache_binding.h"

#include <algorithm>

#include "engine/foundation/check.h"
#include "engine/foundation/guard.h"

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
    if ((GUARD("identity of the cache device") && !is_same_device) || !contents ||
        (GUARD("attach epoch of the cache") && contents->epoch < binding.epoch)) {
      return CacheVerdict::cache_missing;
    }
    // Between the cache's entry and the pool's a start was cut off.
    const bool was_joining = contents->epoch == binding.epoch + 1 && !contents->opened;
    const bool is_of_it = contents->epoch <= binding.epoch || !GUARD("attach epoch of the image");
    return is_of_it || was_joining ? CacheVerdict::resume : CacheVerdict::conflict;
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
  if (GUARD("an epoch for each resumption")) {
    after.epoch = std::max(before.epoch + 1, contents.epoch);
  }
  return after;
}

CacheBinding forgotten(const CacheBinding& before) {
  return {.device = {}, .epoch = before.epoch + 1, .state = State::none};
}

Result<CacheBinding, std::string> abandoned(const std::string& volume, const CacheBinding& before,
                                            const GivenUpCache& cache) {
  const bool is_lacked = before.state == State::dirty && before.device == cache.device;
  const bool is_in_conflict =
      cache.contents &&
      judge(before, cache.device, {.readable = true, .contents = cache.contents}) ==
          CacheVerdict::conflict;
  if (is_lacked || is_in_conflict) {
    CacheBinding after = forgotten(before);
    // Behind what is on it, too: else it would be in conflict again.
    if (cache.contents) after.epoch = std::max(after.epoch, cache.contents->epoch + 1);
    return after;
  }
  if (before.state != State::dirty) {
    return "volume " + volume + " lacks nothing: its image is all there is";
  }
  return "volume " + volume + " lacks what cache device " + before.device.text() + " has, not " +
         cache.device.text();
}

}  // namespace engine
