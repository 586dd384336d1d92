// `inspect` and `check`: what is on a cache device, and what is wrong with it. Neither writes.
#pragma once

#include <string>

namespace media {

enum class Output : bool { text, json };

// Tables and logs; the exit code says only whether they could be read.
[[nodiscard]] int inspect(const std::string& path, Output output);
// Reads every piece of cached data too; the exit code is the verdict (ExitCode).
[[nodiscard]] int check(const std::string& path, Output output);

}  // namespace media
