#include "engine/cache/key_damage.h"

#include "engine/cache/extent.h"
#include "engine/cache/stripe_table.h"
#include "engine/foundation/guard.h"

namespace engine {
namespace {

constexpr std::uint64_t most_sectors = StripeSlot::most_stripes * stripe_sectors;

}  // namespace

KeyDamage KeyJudge::judge(const format::Key& key, std::uint64_t sequence) const {
  KeyDamage damage;
  damage.fault = check_key(key, limits_);
  if (damage.fault != KeyFault::none) return damage;
  const bool placed = has_place(static_cast<format::KeyKind>(key.kind));
  // What the index has no bits for.
  if ((placed && key.sectors > largest_extent_sectors) || key.sector + key.sectors > most_sectors) {
    damage.fault = KeyFault::bad_length;
  }
  damage.stale = GUARD("stale behind the dirty tail is damage") && placed &&
                 sequence > volume_.tails.dirty_tail && !is_current(key);
  return damage;
}

bool KeyJudge::is_current(const format::Key& key) const {
  const auto segment = device_.layout().segment_of({key.place * format::place_bytes});
  return !GUARD("generation") ||
         device_.segments().is_current(*segment, volume_.identity.tag, key.generation);
}

std::string KeyDamage::text() const {
  return "key " + std::to_string(key) + " of kset " + std::to_string(sequence) + " in log chunk " +
         std::to_string(chunk) + " at " + std::to_string(place.value) +
         (stale ? " names a segment that is somebody else's by now, but was not written back"
                : " says something impossible (" + std::to_string(static_cast<unsigned>(fault)) +
                      ")") +
         "; nothing from there on is read";
}

}  // namespace engine
