// How the benches of the engine tell their figures: report/engine.py reads them.
#pragma once

#include <cstdio>
#include <string>

namespace engine {

// One object of JSON, a line of standard output, at once. A figure is told once for each repeat.
inline void tell(const std::string& figure, double value) {
  std::printf("{\"figure\": \"%s\", \"value\": %.6g}\n", figure.c_str(), value);
  (void)std::fflush(stdout);
}

}  // namespace engine
