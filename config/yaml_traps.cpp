#include "config/yaml_traps.h"

#include <algorithm>
#include <array>

#include "config/character.h"

namespace config {
namespace {

using std::string_view;

constexpr std::array<string_view, 11> true_words{"y",    "Y",    "yes", "Yes", "YES", "true",
                                                 "True", "TRUE", "on",  "On",  "ON"};
constexpr std::array<string_view, 11> false_words{"n",     "N",     "no",  "No",  "NO", "false",
                                                  "False", "FALSE", "off", "Off", "OFF"};

bool all_digits(string_view text) { return !text.empty() && std::ranges::all_of(text, is_digit); }

string_view without_sign(string_view text) {
  if (!text.empty() && (text[0] == '+' || text[0] == '-')) text.remove_prefix(1);
  return text;
}

bool is_float(string_view text) {
  if (text == ".inf" || text == ".Inf" || text == ".INF") return true;
  bool digits = false;
  std::size_t at = 0;
  const auto skip_digits = [&] {
    for (; at < text.size() && (is_digit(text[at]) || text[at] == '_'); ++at) digits = true;
  };
  skip_digits();
  if (at < text.size() && text[at] == '.') ++at;
  skip_digits();
  if (!digits) return false;
  if (at == text.size()) return true;
  if (text[at] != 'e' && text[at] != 'E') return false;
  return all_digits(without_sign(text.substr(at + 1)));
}

}  // namespace

bool is_true_word(string_view plain) { return std::ranges::count(true_words, plain) > 0; }

bool is_boolean_word(string_view plain) {
  return is_true_word(plain) || std::ranges::count(false_words, plain) > 0;
}

bool is_null_word(string_view plain) {
  return plain == "~" || plain == "null" || plain == "Null" || plain == "NULL";
}

bool is_base_60(string_view plain) {
  plain = without_sign(plain);
  std::size_t groups = 0;
  while (true) {
    const std::size_t colon = plain.find(':');
    const string_view group = plain.substr(0, colon);
    if (!all_digits(group)) return false;
    if (groups > 0 && (group.size() > 2 || (group.size() == 2 && group[0] > '5'))) return false;
    ++groups;
    if (colon == string_view::npos) return groups > 1;
    plain.remove_prefix(colon + 1);
  }
}

bool is_date(string_view plain) {
  return plain.size() >= 10 && all_digits(plain.substr(0, 4)) && plain[4] == '-' &&
         all_digits(plain.substr(5, 2)) && plain[7] == '-' && all_digits(plain.substr(8, 2));
}

bool is_number(string_view plain) {
  if (plain == ".nan" || plain == ".NaN" || plain == ".NAN") return true;
  plain = without_sign(plain);
  if (plain.size() > 2 && plain[0] == '0' &&
      (plain[1] == 'x' || plain[1] == 'o' || plain[1] == 'b')) {
    return std::ranges::all_of(plain.substr(2), [](char c) {
      return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F') || c == '_';
    });
  }
  return is_float(plain);
}

}  // namespace config
