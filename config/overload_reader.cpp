#include "config/overload_reader.h"

#include <fmt/format.h>

namespace config {

namespace {

// A Linux host gives a command up after 30 s (nvme_core.io_timeout), and we look once a second.
constexpr std::chrono::milliseconds linux_patience{28'000};

}  // namespace

VolumeOverload read_overload(SectionReader& volume) {
  VolumeOverload overload;
  if (!volume.has("overload")) return overload;
  SectionReader reader = volume.below("overload", "volumes.*.overload");
  reader.check_keys();
  assign(overload.hold, reader.duration("hold"));
  assign(overload.retries, reader.integer("retries"));
  assign(overload.inaccessible_after, reader.duration("inaccessible_after"));
  assign(overload.recovery, reader.duration("recovery"));
  if (overload.inaccessible_after < overload.hold) {
    reader.report().error(reader.at("inaccessible_after"), reader.path_of("inaccessible_after"),
                          "is below hold: nothing would be held for so long; raise it, or lower "
                          "hold.");
  } else if (overload.inaccessible_after > linux_patience) {
    reader.report().warning(reader.at("inaccessible_after"), reader.path_of("inaccessible_after"),
                            "is longer than a Linux host waits for a command (30 s): it resets its "
                            "controller first; set 25s.");
  }
  return overload;
}

}  // namespace config
