// PoolError: why a pool, or a volume of it, cannot be served.
#pragma once

#include <cstdint>
#include <string>

#include "engine/foundation/units.h"

namespace engine {

// `text` is a sentence for the operator: what is wrong and what to do.
struct PoolError {
  enum class Kind : std::uint8_t {
    missing,             // no such directory
    not_labelled,        // a directory, but no pool: probably not mounted
    damaged,             // label or table is there and does not hold together
    unsupported,         // written by a newer version
    wrong_pool,          // another pool than the one that is expected
    other_layout,        // the pool was made with another layout than wanted
    other_chunk,         // the pool was made with chunks of another size than wanted
    in_use,              // another process serves it
    not_empty,           // init: there is something in the directory
    already_labelled,    // init: it is a pool already
    io,                  // the file system reports an error
    no_space,            // not enough space for the volume
    image_missing,       // the table knows the volume, its image is not there
    image_foreign,       // an image of that name is there, the table does not know it
    other_volume,        // the pool does not have the volume with the UUID that was served before
    shrink,              // the volume is larger than wanted
    block_size_changed,  // the volume has another block size than wanted
    bad_name,            // cannot be a file name
    cache_missing,       // its cache has writes that the image lacks
    member_missing,      // device pool: no configured path leads to one of its members
    member_twice,        // two paths lead to the same member, or to a copy of it
    member_short,        // a member is shorter than it was
    member_unlisted,     // a disk with the pool's label that the pool's table does not have
    member_outdated,     // an older copy of a member: the pool has gone on without it
    not_blank,           // there is something on the disk that is to become a member
    too_small,           // the disk has no room for a label area and data
    zeroing,             // the volume's space is being zeroed; asking again goes on with it
    cannot_grow,         // no member can be added to a pool of that layout
  };
  Kind kind = Kind::io;
  std::string text;
};

// "2TiB", "1536MiB", "1000 bytes": the largest unit that is exact.
[[nodiscard]] std::string size_text(ByteCount size);
// "2.1 TiB", "512 MiB": rounded up, for who wants to know how much at most.
[[nodiscard]] std::string rough_size_text(ByteCount size);

}  // namespace engine
