#include "engine/cache/log_damage.h"

namespace engine {
namespace {

std::string what_of(LogDamage::Kind kind, std::uint64_t evidence) {
  using Kind = LogDamage::Kind;
  const std::string sequence = std::to_string(evidence);
  switch (kind) {
    case Kind::missing_chunk:
      return "neither copy of the chunk is there";
    case Kind::chunk_disorder:
      return "the chunk's header does not continue the log";
    case Kind::lost_kset:
      return "both copies of the kset are bad, and the log goes on with kset " + sequence;
    case Kind::unreadable_end:
      return "both copies are unreadable where the next kset would be";
    case Kind::ends_early:
      return "the log ends here, but kset " + sequence + " was durable";
    case Kind::beyond_clean_end:
      return "the log goes on with kset " + sequence + " behind the end of a clean stop";
    case Kind::copies_differ:
      return "the two copies of the kset are whole and different";
    case Kind::time_went_back:
      return "the kset is older than the one before it";
  }
  return "?";
}

}  // namespace

const char* LogDamage::name() const {
  switch (kind) {
    case Kind::missing_chunk:
      return "missing_chunk";
    case Kind::chunk_disorder:
      return "chunk_disorder";
    case Kind::lost_kset:
      return "lost_kset";
    case Kind::unreadable_end:
      return "unreadable_end";
    case Kind::ends_early:
      return "ends_early";
    case Kind::beyond_clean_end:
      return "beyond_clean_end";
    case Kind::copies_differ:
      return "copies_differ";
    case Kind::time_went_back:
      return "time_went_back";
  }
  return "?";
}

std::string LogDamage::text() const {
  return "log chunk " + std::to_string(chunk) + ", offset " + std::to_string(offset) + " (bytes " +
         std::to_string(place.value) + " and " + std::to_string(other_place.value) +
         " of the device): " + what_of(kind, evidence) + "; everything up to kset " +
         std::to_string(sequence - 1) + " can be used, nothing from kset " +
         std::to_string(sequence) + " on";
}

const char* LogNote::name() const {
  switch (kind) {
    case Kind::healed:
      return "bad_kset_copy";
    case Kind::unreadable_at_end:
      return "unreadable_at_end";
    case Kind::forgotten_damage:
      return "forgotten_damage";
  }
  return "?";
}

std::string LogNote::text() const {
  const std::string where =
      " in log chunk " + std::to_string(chunk) + ", offset " + std::to_string(offset);
  const std::string how = state == CopyState::unreadable ? " is unreadable" : " is not whole";
  switch (kind) {
    case Kind::healed:
      return "copy " + std::to_string(copy) + " of kset " + std::to_string(sequence) + where + how +
             "; the other one is read instead";
    case Kind::unreadable_at_end:
      return "copy " + std::to_string(copy) + where +
             " is unreadable where the log ends; the other one shows the end";
    case Kind::forgotten_damage:
      return "both copies of kset " + std::to_string(sequence) + where +
             " are bad; it was forgotten already, and nobody needs it";
  }
  return "?";
}

}  // namespace engine
