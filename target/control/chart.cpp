#include "target/control/chart.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>

#include "target/control/page_text.h"

namespace target::control {
namespace {

constexpr double height = 30;
constexpr double margin = 1.5;  // so that a line at the edge is as thick as elsewhere

// One for each point of the picture; not a number: nothing was measured there.
std::vector<float> thinned(const std::vector<Figures>& figures, float Figures::*figure,
                           std::size_t points) {
  const std::size_t share = History::kept / points;
  std::vector<float> out(points, std::numeric_limits<float>::quiet_NaN());
  const std::size_t missing = History::kept - std::min(figures.size(), History::kept);
  for (std::size_t i = 0; i < figures.size() && i + missing < History::kept; ++i) {
    const float value = figures[i].*figure;
    float& point = out[std::min((i + missing) / share, points - 1)];
    if (!std::isnan(value) && (std::isnan(point) || value > point)) point = value;
  }
  return out;
}

// A path through the points, with gaps.
std::string path_through(const std::vector<float>& values, double top) {
  std::string path;
  bool is_on = false;
  for (std::size_t x = 0; x < values.size(); ++x) {
    if (std::isnan(values[x])) {
      is_on = false;
      continue;
    }
    const double y = height - margin - static_cast<double>(values[x]) / top * (height - 2 * margin);
    fmt::format_to(std::back_inserter(path), "{}{} {:.1f}", is_on ? "L" : "M", x, y);
    // A point alone would not be seen.
    if (!is_on) fmt::format_to(std::back_inserter(path), "h.5");
    is_on = true;
  }
  return path;
}

}  // namespace

float greatest(const std::vector<Figures>& figures, float Figures::*figure) {
  float top = 0;
  for (const Figures& one : figures) {
    if (!std::isnan(one.*figure)) top = std::max(top, one.*figure);
  }
  return top;
}

std::string chart(const std::vector<Figures>& figures, const std::vector<Line>& lines,
                  std::size_t points, std::string_view label) {
  double top = 0;
  for (const Line& line : lines) {
    top = std::max(top, static_cast<double>(greatest(figures, line.figure)));
  }
  std::string svg = fmt::format(
      R"(<svg class="chart" viewBox="0 0 {} {}" preserveAspectRatio="none" role="img" aria-label="{}">)",
      points - 1, height, escaped(label));
  for (const Line& line : lines) {
    fmt::format_to(std::back_inserter(svg), R"(<path class="{}" d="{}"/>)", line.css_class,
                   path_through(thinned(figures, line.figure, points), top > 0 ? top : 1));
  }
  return svg + "</svg>";
}

std::string bar(const std::vector<BarPart>& parts, std::string_view label) {
  std::string svg = fmt::format(
      R"(<svg class="bar" viewBox="0 0 100 8" preserveAspectRatio="none" role="img" aria-label="{}">)",
      escaped(label));
  double at = 0;
  for (const BarPart& part : parts) {
    const double width = std::clamp(part.share * 100, 0.0, 100 - at);
    fmt::format_to(std::back_inserter(svg),
                   R"(<rect class="{}" x="{:.2f}" width="{:.2f}" height="8"/>)", part.css_class, at,
                   width);
    at += width;
  }
  return svg + "</svg>";
}

}  // namespace target::control
