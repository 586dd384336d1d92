// Collects what is wrong with a file, so that all of it is told at once; and the phrases all
// messages share.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "config/message.h"

namespace config {

class Report {
 public:
  explicit Report(std::string file) : file_(std::move(file)) {}

  void error(Position at, std::string path, std::string text);
  void warning(Position at, std::string path, std::string text);
  [[nodiscard]] bool has_errors() const { return errors_ > 0; }

  // Sorted by line, at most max_messages and one that counts the rest. Ends the report.
  [[nodiscard]] std::vector<Message> take();

 private:
  void add(Position at, std::string path, std::string text, Severity severity);

  std::string file_;
  std::vector<Message> messages_;
  std::size_t errors_ = 0;
  std::size_t dropped_ = 0;
};

// `text` fit for a terminal and a log line: control and non-ASCII bytes as \xNN, cut when very
// long.
[[nodiscard]] std::string printable(std::string_view text);
// The same in double quotes.
[[nodiscard]] std::string in_quotes(std::string_view text);
// "volumes" and "db01" make "volumes.db01".
[[nodiscard]] std::string join_path(std::string_view path, std::string_view key);
// "a, b, c"; of a long list the first ones and how many there are.
[[nodiscard]] std::string listed(const std::vector<std::string>& names);
// The candidate that `text` is most likely a slip of; empty if none is near.
[[nodiscard]] std::string nearest(std::string_view text,
                                  const std::vector<std::string>& candidates);

}  // namespace config
