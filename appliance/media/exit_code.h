// What forebay-media's exit code says; scripts rely on it (docs/media-format.md, "The tool").
#pragma once

namespace media {

enum ExitCode : int {
  exit_good = 0,      // clean, or done
  exit_harmless = 1,  // something is not as it should be, and costs nothing
  exit_damage = 2,    // something is lost, or not known to be there
  exit_failed = 3,    // not read, not done, or not understood: standard error says why
};

}  // namespace media
