// CacheError: why a cache device cannot be formatted, opened or changed.
#pragma once

#include <cstdint>
#include <string>

#include "engine/foundation/units.h"

namespace engine {

// `text` is a sentence for the operator: what is wrong, and what follows from it.
struct CacheError {
  enum class Kind : std::uint8_t {
    io,                 // the media reports an error; a failed fence fails the device for good
    not_a_cache,        // no superblock: blank, or something else
    damaged,            // superblock or tables are there and do not hold together
    unsupported,        // written by a newer version, or with features that this one does not know
    wrong_device,       // another cache device than the one that is expected
    too_small,          // the region is smaller than the format says
    bad_options,        // no layout fits these sizes
    wrong_granularity,  // page media under a format whose ksets share pages
    holds_data,         // format: a cache with dirty or unknown content, and its UUID was not named
    same_uuid,          // format: a new cache must not take the UUID of the one it replaces
    no_free_segment,    // every segment is in use
    no_free_slot,       // the volume table is full
    exhausted,          // tags or epochs have run out
    known_volume,       // the volume is attached here already
    given_up,           // nobody wants the outcome any more
    lost_entry,         // an entry that must be known for this is unreadable in both replicas
  };
  Kind kind = Kind::io;
  MediaOffset place;  // where on the device, if the error has a place
  std::string text;
};

}  // namespace engine
