// Finding: something that is not served as specified, for the operator.
#pragma once

#include <cstdint>
#include <string>

namespace engine {

struct Finding {
  enum class About : std::uint8_t {
    known_volumes,  // the file that remembers them
    pool_directory,
    pool_members,  // `member`, or all of them
    pool_uuid,
    pool_layout,
    pool_chunk_size,
    pool_provisioning,
    pool_warn_at,
    pool_disk,  // one of its disks, which the text names
    cache_device,
    cache_uuid,
    cache_require,
    cache_payload_crc,
    memory,  // what cache device `name` does not get
    volume,  // as a whole
    volume_size,
    volume_block_size,
    volume_guaranteed,
    volume_maximum,
  };
  About about = About::volume;
  std::string name;      // of the pool, cache device or volume
  std::string text;      // one sentence: what and what to do; does not name it again
  std::string member{};  // of the pool: its path as configured
};

}  // namespace engine
