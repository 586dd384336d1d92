// `forebayctl support-bundle`: what somebody needs who is to find out what is wrong, in one file,
// and no secret.
#pragma once

#include <string>

#include "appliance/cli/output.h"

namespace cli {

struct SupportBundleOptions {
  std::string socket;
  std::string config_file;
  std::string file;  // *.tar.gz to write; empty: named by the time, in this directory
  Format format = Format::table;
};

// Works without the daemon, with what there is then. Reports where the file is, and what could not
// be collected; returns the exit code.
[[nodiscard]] int support_bundle(const SupportBundleOptions& options);

}  // namespace cli
