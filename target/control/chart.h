// Charts of the status page: small SVG pictures without an axis, the newest at the right.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "target/control/history.h"

namespace target::control {

struct Line {
  const char* css_class = "";  // "read", "write", "dirty"
  float Figures::*figure = nullptr;
};

// `points` in its width, each the greatest of those figures that share it; what has not been
// measured is a gap. The picture's top is the greatest of all lines, so that two of them can be
// compared. `label`: what it shows, for who cannot see it.
[[nodiscard]] std::string chart(const std::vector<Figures>& figures, const std::vector<Line>& lines,
                                std::size_t points, std::string_view label);

// The greatest of a figure; 0 where nothing has been measured.
[[nodiscard]] float greatest(const std::vector<Figures>& figures, float Figures::*figure);

// Parts of one bar, in order: class and share of the whole; the rest is empty.
struct BarPart {
  const char* css_class = "";
  double share = 0;
};
[[nodiscard]] std::string bar(const std::vector<BarPart>& parts, std::string_view label);

}  // namespace target::control
