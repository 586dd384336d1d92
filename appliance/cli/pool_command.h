// `forebayctl pool init`: makes a directory a file pool, or disks a device pool, by writing their
// labels; needs no daemon. `forebayctl pool add-member`: one more disk for a pool that the daemon
// serves.
#pragma once

#include <string>
#include <vector>

#include "appliance/cli/change_report.h"

namespace cli {

struct PoolInit {
  std::vector<std::string> paths;  // one directory, or disks in their order
  std::string layout;              // single, linear or stripe; empty: a file pool
  std::string chunk_size;          // of a stripe; empty: the usual
  // What may be destroyed: as a refusal has named it, or the UUID of a former pool.
  std::vector<std::string> overwrite;
};

// Reports what was made, or why not and what to do: of every disk, before anything is written to
// any. The process's exit code: 0 or 1.
int pool_init(const ChangeReport& report, const PoolInit& wanted);

struct PoolMemberOptions {
  std::string disk;
  std::vector<std::string> overwrite;  // as above
};

// For the pool that the report is for. Reports what the configuration is to say from now on, or why
// it was not done. The same exit code.
[[nodiscard]] int pool_add_member(const std::string& socket, const ChangeReport& report,
                                  const PoolMemberOptions& wanted);

}  // namespace cli
