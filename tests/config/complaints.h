// Tables of {YAML, exact messages}: how the tests of config/ are written.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "config/parse.h"

namespace config {

// The two lines every file begins with; what a table shows begins at line 3.
inline constexpr std::string_view heading = "apiVersion: forebay/v1\nnode: store1\n";

// Every message for exactly this text, formatted.
inline std::vector<std::string> complaints_about_text(std::string_view text) {
  const ParseOutcome outcome = parse_text(text, "f.yaml");
  std::vector<std::string> lines;
  bool has_errors = false;
  for (const Message& message : outcome.messages) {
    lines.push_back(format(message));
    has_errors = has_errors || message.severity == Severity::error;
  }
  EXPECT_EQ(outcome.config.has_value(), !has_errors) << text;
  return lines;
}

inline std::vector<std::string> complaints(std::string_view body) {
  return complaints_about_text(std::string(heading) + std::string(body));
}

struct Case {
  std::string_view body;  // from line 3 on
  std::vector<std::string> expected;
};

inline void expect_complaints(const std::vector<Case>& cases) {
  for (const Case& one : cases) {
    EXPECT_THAT(complaints(one.body), testing::ElementsAreArray(one.expected)) << one.body;
  }
}

}  // namespace config
