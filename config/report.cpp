#include "config/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <numeric>
#include <utility>

#include "config/parse.h"

namespace config {
namespace {

constexpr std::size_t kept_messages =
    4096;                                  // while collecting: sorting may still choose among them
constexpr std::size_t longest_text = 300;  // an NQN of 223 bytes is shown whole
constexpr std::size_t longest_list = 12;

// Edits (insert, delete, replace, swap of neighbours) that make `a` of `b`; both are short.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before(b.size() + 1);
  std::vector<std::size_t> last(b.size() + 1);
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(last.begin(), last.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, replaced});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        row[j] = std::min(row[j], before[j - 2] + 1);
      }
    }
    std::swap(before, last);
    std::swap(last, row);
  }
  return last[b.size()];
}

}  // namespace

std::string format(const Message& message) {
  std::string line = printable(message.file);
  if (message.at.line != 0) line += fmt::format(":{}:{}", message.at.line, message.at.column);
  line += ": ";
  if (message.severity == Severity::warning) line += "warning: ";
  if (!message.path.empty()) line += message.path + ": ";
  return line + message.text;
}

void Report::error(Position at, std::string path, std::string text) {
  ++errors_;
  add(at, std::move(path), std::move(text), Severity::error);
}

void Report::warning(Position at, std::string path, std::string text) {
  add(at, std::move(path), std::move(text), Severity::warning);
}

void Report::add(Position at, std::string path, std::string text, Severity severity) {
  if (messages_.size() == kept_messages) {
    ++dropped_;
    return;
  }
  messages_.push_back({file_, at, std::move(path), std::move(text), severity});
}

std::vector<Message> Report::take() {
  std::stable_sort(messages_.begin(), messages_.end(),
                   [](const Message& a, const Message& b) { return a.at < b.at; });
  if (messages_.size() > max_messages) {
    // An error must not hide behind warnings: the caller tells success by the absence of errors.
    std::stable_partition(messages_.begin(), messages_.end(),
                          [](const Message& m) { return m.severity == Severity::error; });
    const std::size_t rest = messages_.size() - max_messages + dropped_;
    messages_.resize(max_messages);
    std::stable_sort(messages_.begin(), messages_.end(),
                     [](const Message& a, const Message& b) { return a.at < b.at; });
    messages_.push_back({file_,
                         {},
                         "",
                         fmt::format("{} more messages are not shown.", rest),
                         errors_ > 0 ? Severity::error : Severity::warning});
  }
  return std::move(messages_);
}

std::string printable(std::string_view text) {
  std::string shown;
  for (const char c : text.substr(0, longest_text)) {
    if (c >= ' ' && c <= '~') {
      shown += c;
    } else {
      shown += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    }
  }
  if (text.size() > longest_text) shown += "...";
  return shown;
}

std::string in_quotes(std::string_view text) { return '"' + printable(text) + '"'; }

std::string join_path(std::string_view path, std::string_view key) {
  return path.empty() ? printable(key) : fmt::format("{}.{}", path, printable(key));
}

std::string listed(const std::vector<std::string>& names) {
  std::string list;
  for (std::size_t i = 0; i < std::min(names.size(), longest_list); ++i) {
    if (i > 0) list += ", ";
    list += printable(names[i]);
  }
  if (names.size() > longest_list) list += fmt::format(", ... ({} in all)", names.size());
  return list;
}

std::string nearest(std::string_view text, const std::vector<std::string>& candidates) {
  constexpr std::size_t longest_compared = 64;
  if (text.size() > longest_compared) return {};
  constexpr std::size_t shortest_prefix = 3;  // "dir" means directory, "warning" means warn
  std::string best;
  std::size_t best_distance = std::max<std::size_t>(1, text.size() / 3) + 1;
  for (const std::string& candidate : candidates) {
    if (candidate.size() > longest_compared) continue;
    if (std::min(text.size(), candidate.size()) >= shortest_prefix &&
        (candidate.starts_with(text) || text.starts_with(candidate))) {
      return candidate;
    }
    const std::size_t distance = edit_distance(text, candidate);
    if (distance < best_distance && distance < candidate.size()) {
      best = candidate;
      best_distance = distance;
    }
  }
  return best;
}

}  // namespace config
