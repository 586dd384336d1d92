// Rows of text under a heading, each column as wide as its widest cell.
#pragma once

#include <string>
#include <vector>

namespace cli {

class Table {
 public:
  explicit Table(std::vector<std::string> heading);
  void add(std::vector<std::string> row);
  [[nodiscard]] bool empty() const { return rows_.size() == 1; }
  // Begins with an empty line: one table under another.
  [[nodiscard]] std::string text() const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

[[nodiscard]] std::string or_dash(const std::string& text);
// "a, b, c"
[[nodiscard]] std::string joined(const std::vector<std::string>& words,
                                 const std::string& between = ", ");

}  // namespace cli
