// `forebayctl pool init`: makes a directory a file pool, or disks a device pool, by writing their
// labels; needs no daemon. `forebayctl pool add-member`: one more disk for a pool that the daemon
// serves.
#pragma once

#include <string>
#include <vector>

namespace cli {

struct PoolInit {
  std::vector<std::string> paths;  // one directory, or disks in their order
  std::string layout;              // single, linear or stripe; empty: a file pool
  std::string chunk_size;          // of a stripe; empty: the usual
  // What may be destroyed: as a refusal has named it, or the UUID of a former pool.
  std::vector<std::string> overwrite;
};

// Prints what was made, or on stderr why not and what to do: of every disk, before anything is
// written to any. The process's exit code: 0 or 1.
int pool_init(const PoolInit& wanted);

struct PoolMemberOptions {
  std::string pool;  // as the configuration calls it
  std::string disk;
  std::vector<std::string> overwrite;  // as above
};

// Prints what the configuration is to say from now on, or on stderr why it was not done. The same
// exit code.
[[nodiscard]] int pool_add_member(const std::string& socket, const PoolMemberOptions& wanted);

}  // namespace cli
