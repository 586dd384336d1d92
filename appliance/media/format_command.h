// `format` and `grow`: a new cache device, and a larger one.
#pragma once

#include <cstdint>
#include <string>

namespace media {

struct NewCache {
  std::string size;              // of a file that is made; empty: the file or device is there
  std::string replace;           // UUID of the cache that may be destroyed although it holds data
  std::string segment_size;      // empty: what fits
  std::uint32_t volumes = 1024;  // slots
  bool checksums = false;        // of all cached data
};

// A cache that may hold data which no backing has is refused unless it is named. Exit: 0 or 3.
[[nodiscard]] int format(const std::string& path, const NewCache& wanted);

// Takes what the file or device has more than the cache uses; with `size` the file is made longer
// first. What is cached stays. Exit: 0 or 3.
[[nodiscard]] int grow(const std::string& path, const std::string& size);

}  // namespace media
