// HungDisk: a daemon whose disks answer nothing while a file is there.
#pragma once

#include <string>
#include <vector>

namespace end_to_end {

// For Daemon::environment; of the tests that are built with HUNG_DISK_PRELOAD.
inline std::vector<std::string> hung_disk_environment(const std::string& switch_file) {
  return {std::string("LD_PRELOAD=") + HUNG_DISK_PRELOAD, "FOREBAY_TEST_HUNG_DISK=" + switch_file,
          "ASAN_OPTIONS=verify_asan_link_order=0"};
}

}  // namespace end_to_end
