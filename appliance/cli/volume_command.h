// forebayctl volume ...: what is done to a volume of a running daemon.
#pragma once

#include <string>

namespace cli {

// Grows a volume while hosts use it. Prints what it did or why not; returns the exit code.
[[nodiscard]] int volume_grow(const std::string& socket, const std::string& name,
                              const std::string& size);

}  // namespace cli
