// How a command's answer is written: for people, or for scripts.
#pragma once

#include <boost/json/value.hpp>
#include <cstdint>
#include <string>

namespace cli {

enum class Format : std::uint8_t { table, json, yaml };

// A block of YAML that says what `value` says, ended by a newline.
[[nodiscard]] std::string to_yaml(const boost::json::value& value);
// Lines that begin with "! " and the word DEGRADED are red, HEALTHY green, headings bold.
[[nodiscard]] std::string coloured(const std::string& screen);

// Of what scripts have asked for: `value`, and a newline.
void print(const boost::json::value& value, Format format);
// What people have: in colours on a terminal, unless NO_COLOR is set.
void print(const std::string& screen);

}  // namespace cli
