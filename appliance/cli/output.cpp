#include "appliance/cli/output.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace cli {
namespace {

namespace json = boost::json;

void append_yaml(std::string& out, const json::value& value, std::size_t indent);

bool is_block(const json::value& value) {
  return (value.is_object() && !value.as_object().empty()) ||
         (value.is_array() && !value.as_array().empty());
}

// After "key:" or "-".
void append_value(std::string& out, const json::value& value, std::size_t indent) {
  if (is_block(value)) {
    out += '\n';
    return append_yaml(out, value, indent + 2);
  }
  // JSON's scalars, its strings in quotes above all, are YAML's too.
  out += ' ' + json::serialize(value) + '\n';
}

void append_yaml(std::string& out, const json::value& value, std::size_t indent) {
  const std::string space(indent, ' ');
  if (const auto* object = value.if_object()) {
    for (const auto& [key, inner] : *object) {
      out += space + std::string(key.data(), key.size()) + ':';
      append_value(out, inner, indent);
    }
  } else if (const auto* array = value.if_array()) {
    for (const auto& inner : *array) {
      out += space + '-';
      append_value(out, inner, indent);
    }
  }
}

bool is_heading(std::string_view line) {
  return !line.empty() && std::all_of(line.begin(), line.end(), [](char c) {
    return !(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9');
  });
}

std::string in(const char* colour, std::string_view text) {
  return fmt::format("\033[{}m{}\033[0m", colour, text);
}

std::string coloured_line(std::string_view line) {
  if (line.starts_with("! ")) return in("31", line);
  if (is_heading(line)) return in("1", line);
  for (const auto& [word, colour] : {std::pair("HEALTHY", "32"), {"DEGRADED", "31"}}) {
    const std::size_t at = line.find(word);
    if (at == std::string_view::npos) continue;
    const std::size_t size = std::string_view(word).size();
    return std::string(line.substr(0, at)) + in(colour, word) + std::string(line.substr(at + size));
  }
  return std::string(line);
}

}  // namespace

std::string to_yaml(const json::value& value) {
  std::string out;
  if (!is_block(value)) return json::serialize(value) + "\n";
  append_yaml(out, value, 0);
  return out;
}

std::string coloured(const std::string& screen) {
  std::string out;
  std::string_view rest = screen;
  while (!rest.empty()) {
    const std::size_t end = rest.find('\n');
    out += coloured_line(rest.substr(0, end));
    if (end == std::string_view::npos) break;
    out += '\n';
    rest.remove_prefix(end + 1);
  }
  return out;
}

void print(const json::value& value, Format format) {
  fmt::print("{}", format == Format::yaml ? to_yaml(value) : json::serialize(value) + "\n");
  std::fflush(stdout);
}

void print(const std::string& screen) {
  const bool in_colour = ::isatty(STDOUT_FILENO) == 1 && std::getenv("NO_COLOR") == nullptr;
  fmt::print("{}", in_colour ? coloured(screen) : screen);
  std::fflush(stdout);
}

}  // namespace cli
