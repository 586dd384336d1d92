// `forebayctl pool init`: makes a directory a file pool, or disks a device pool, by writing their
// labels. Needs no daemon.
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

}  // namespace cli
