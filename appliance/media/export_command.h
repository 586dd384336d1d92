// `export`: the data of one volume that is in the cache, onto an image of its backing or as a list.
#pragma once

#include <string>

#include "appliance/media/check_command.h"

namespace media {

struct ExportOptions {
  std::string volume;  // its UUID
  bool all = false;    // also what the backing has too
  std::string onto;    // written here, each piece at its place; empty: listed only
  Output output = Output::text;
};

// Bad pieces are listed and never written. The cache is not changed. Exit: 0 all of it, 2 not all
// of it is there (bad pieces, or a damaged log: what was read is exported), 3 failed.
[[nodiscard]] int export_volume(const std::string& path, const ExportOptions& options);

}  // namespace media
