// `forebayctl pool init DIRECTORY`: makes a directory a file pool by writing its label. Needs no
// daemon.
#pragma once

#include <string>

namespace cli {

// Prints what was made, or on stderr why not and what to do. The process's exit code: 0 or 1.
int pool_init(const std::string& directory);

}  // namespace cli
