// forebayctl volume grow, destroy, rename and adopt, drain: what is done to a volume of a running
// daemon.
#pragma once

#include <cstdint>
#include <string>

#include "appliance/cli/change_report.h"

namespace cli {

// Grows the volume that the report is for, as those below, while hosts use it. Reports what it did
// or why not; returns the exit code.
[[nodiscard]] int volume_grow(const std::string& socket, const ChangeReport& report,
                              const std::string& size);
// Deletes the data of a volume that the configuration does not name any more. As above.
// `cache`: the UUID of the cache that it belongs together with; empty: none is named.
[[nodiscard]] int volume_destroy(const std::string& socket, const ChangeReport& report,
                                 const std::string& uuid, const std::string& cache);
// Another name for one that the configuration does not name any more. As above.
[[nodiscard]] int volume_rename(const std::string& socket, const ChangeReport& report,
                                const std::string& to, const std::string& uuid);
// Makes an image that lies in a pool's directory a volume of it. As above.
struct AdoptOptions {
  std::string pool;
  std::string file;
  std::uint32_t block_size = 4096;
};
[[nodiscard]] int volume_adopt(const std::string& socket, const ChangeReport& report,
                               const AdoptOptions& options);
// Returns when the pool has all that was acknowledged before; shows how far it is, and SIGINT
// cancels (exit code 1). As above.
[[nodiscard]] int volume_drain(const std::string& socket, const ChangeReport& report);
// Goes on without what that cache has of it and the pool lacks. As above.
[[nodiscard]] int volume_abandon(const std::string& socket, const ChangeReport& report,
                                 const std::string& cache);

// What stops its write-back because nobody has it any more is listed as lost in its pool; until it
// is written, reads of it fail. As above.
[[nodiscard]] int volume_give_up_lost(const std::string& socket, const ChangeReport& report);

// Whether hosts may write it, over any protocol, also after a restart. As above.
[[nodiscard]] int volume_write_protection(const std::string& socket, const ChangeReport& report,
                                          bool on);

// How hosts are to reach everything by a listener, or a group of them: an ANA state. As above.
[[nodiscard]] int path_access(const std::string& socket, const ChangeReport& report,
                              const std::string& state);

}  // namespace cli
