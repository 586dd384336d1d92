// No damage to a file makes the parser throw or crash, and none makes it succeed and fail at once.
// (The sanitizer presets run this too; tests/fuzz/config_fuzz.cpp goes further.)
#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <random>
#include <string>

#include "config/parse.h"
#include "tests/engine/file_content.h"
#include "tests/sim/rounds.h"

namespace config {
namespace {

using namespace std::string_literals;

std::string example() {
  return engine::file_content(std::string(FOREBAY_CONFIG_SOURCE) + "/example.yaml");
}

// A verdict of either kind, consistent in itself and sorted.
void expect_verdict(const std::string& text) {
  const ParseOutcome outcome = parse_text(text, "f.yaml");
  bool has_errors = false;
  Position last;
  for (const Message& message : outcome.messages) {
    has_errors = has_errors || message.severity == Severity::error;
    if (message.at.line != 0) {
      ASSERT_LE(last, message.at) << text;
      last = message.at;
    }
    ASSERT_FALSE(message.text.empty());
    ASSERT_EQ(format(message).find('\n'), std::string::npos) << text;
  }
  ASSERT_EQ(outcome.config.has_value(), !has_errors) << text;
}

// FOREBAY_SEED repeats a failure.
std::uint64_t seed_of_this_run() {
  const char* wanted = std::getenv("FOREBAY_SEED");
  return wanted != nullptr ? std::strtoull(wanted, nullptr, 10) : std::random_device{}();
}

TEST(Robustness, EveryTruncationEndsInAVerdict) {
  const std::string whole = example();
  ASSERT_GT(whole.size(), 1000U);
  for (std::size_t length = 0; length <= whole.size(); length += engine::stride()) {
    expect_verdict(whole.substr(0, length));
    if (HasFatalFailure()) return;
  }
}

TEST(Robustness, EveryLineMayBeMissing) {
  const std::string whole = example();
  for (std::size_t begin = 0; begin < whole.size();) {
    const std::size_t end = whole.find('\n', begin) + 1;
    expect_verdict(whole.substr(0, begin) + whole.substr(end));
    if (HasFatalFailure()) return;
    begin = end;
  }
}

TEST(Robustness, RandomDamageEndsInAVerdict) {
  const std::string whole = example();
  const std::string marks = "{}[]:,-#*&!|>'\"%@`?~ \n\t\r0a\\\x00\x7f\xff\xc3"s;
  const std::uint64_t seed = seed_of_this_run();
  SCOPED_TRACE("FOREBAY_SEED=" + std::to_string(seed));
  std::mt19937_64 random(seed);
  const auto below = [&](std::size_t limit) { return random() % limit; };
  for (unsigned round = 0; round < engine::rounds(5000); ++round) {
    std::string text = whole;
    for (std::size_t edits = 1 + below(6); edits > 0; --edits) {
      const std::size_t at = below(text.size());
      switch (below(4)) {
        case 0:
          text[at] = marks[below(marks.size())];
          break;
        case 1:
          text.insert(at, 1, marks[below(marks.size())]);
          break;
        case 2:
          text.erase(at, 1 + below(40));
          break;
        default:
          text.insert(at, whole, below(whole.size()), 1 + below(80));
      }
      if (text.empty()) text = "x";
    }
    expect_verdict(text);
    if (HasFatalFailure()) return;
  }
}

}  // namespace
}  // namespace config
