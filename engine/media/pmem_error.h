// PmemError: why persistent memory cannot be opened, read or written.
#pragma once

#include <cstdint>
#include <string>

namespace engine {

enum class PmemError : std::uint8_t {
  not_found,                 // no such file or device
  no_permission,             // the process may not open it for reading and writing
  not_supported,             // no kind of file that can be used; or not offered in this granularity
  already_there,             // create: something has that name, and nothing is ever written over
  no_space,                  // create: the file system has not enough space
  sparse,                    // the file has holes, or blocks that were never written
  too_small,                 // smaller than asked for, or than one page
  granularity_insufficient,  // what becomes persistent is coarser than required
  in_use,                    // another process, or this one, has it open
  io,                        // the system refuses for another reason; the text says which
  media_error,               // these bytes cannot be read, or not be written
  sync_failed,   // a sync failed: nothing is promised any more until the region is opened anew
  out_of_range,  // not inside the region
};
[[nodiscard]] const char* text(PmemError error);

// What opening and creating answer. `text` is a sentence for the operator: what is wrong, and what
// to do.
struct PmemOpenError {
  PmemError kind = PmemError::io;
  std::string text;
};

}  // namespace engine
