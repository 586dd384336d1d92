#include "appliance/cli/redaction.h"

#include <fmt/format.h>

#include <algorithm>
#include <regex>

namespace cli {
namespace {

constexpr std::string_view redacted = "[REDACTED]";

std::string hex_of(std::string_view bytes, bool upper) {
  std::string out;
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    out += upper ? fmt::format("{:02X}", byte) : fmt::format("{:02x}", byte);
  }
  return out;
}

// Of `bytes` that stand behind `before` others: without the characters that those have a part in.
std::string base64_of(std::string_view bytes, std::size_t before) {
  constexpr std::string_view digits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  const std::string all = std::string(before, '\0') + std::string(bytes);
  std::string out;
  for (std::size_t bit = 0; bit + 6 <= all.size() * 8; bit += 6) {
    unsigned value = 0;
    for (std::size_t i = bit; i < bit + 6; ++i) {
      const unsigned byte = static_cast<unsigned char>(all[i / 8]);
      value = value << 1 | (byte >> (7 - i % 8) & 1);
    }
    out += digits[value];
  }
  return out.substr((before * 8 + 5) / 6);
}

std::size_t indent_of(std::string_view line) {
  return std::min(line.find_first_not_of(" -"), line.size());
}

bool is_reference(std::string_view value) {
  return value.starts_with("credential:") || value.starts_with("file:");
}

// Quotes and brackets around a value.
constexpr std::string_view wrapping = " \t\"'[";

const std::regex& secret_key() {
  static const std::regex key(R"([\w-]*(secret|psk|passw|passphrase|token|key)[\w-]*["']?\s*:)",
                              std::regex::icase);
  return key;
}

}  // namespace

void Redaction::add(std::string_view secret) {
  const auto from = secret.find_first_not_of(" \t\r\n");
  if (from == std::string_view::npos) return;
  const auto to = secret.find_last_not_of(" \t\r\n");
  for (const std::string_view form : {secret, secret.substr(from, to - from + 1)}) {
    if (form.size() < least_bytes) continue;
    forms_.emplace(form);
    forms_.insert(hex_of(form, false));
    forms_.insert(hex_of(form, true));
    for (const std::size_t before : {0, 1, 2}) forms_.insert(base64_of(form, before));
  }
}

std::string Redaction::of_configuration(std::string_view yaml) {
  std::string out;
  std::size_t hidden_from = std::string::npos;  // lines that are indented more belong to a secret
  while (!yaml.empty()) {
    const std::size_t end = std::min(yaml.find('\n'), yaml.size());
    std::string line(yaml.substr(0, end));
    yaml.remove_prefix(std::min(end + 1, yaml.size()));
    const bool is_blank = line.find_first_not_of(" \t\r") == std::string::npos;
    if (hidden_from != std::string::npos && (is_blank || indent_of(line) > hidden_from)) {
      add(line);
      out += std::string(redacted) + '\n';
      continue;
    }
    hidden_from = std::string::npos;
    std::smatch found;
    std::string kept;
    std::string rest = line;
    while (std::regex_search(rest, found, secret_key())) {
      kept += found.prefix().str() + found.str();
      rest = found.suffix();
      const std::size_t value = rest.find_first_not_of(wrapping);
      if (value != std::string::npos && is_reference(std::string_view(rest).substr(value))) {
        continue;
      }
      hidden_from = indent_of(line);
      for (std::size_t at = 0; at < rest.size();) {
        const std::size_t stop = std::min(rest.find_first_of(" \t\"',[]{}", at), rest.size());
        add(rest.substr(at, stop - at));
        at = stop + 1;
      }
      add(rest);
      rest = " " + std::string(redacted);
      break;
    }
    out += kept + rest + '\n';
  }
  return of_text(std::move(out));
}

std::vector<std::string> Redaction::references_in(std::string_view yaml) {
  static const std::regex reference(R"((credential|file):[^\s"',\]}]+)");
  const std::string text(yaml);
  std::vector<std::string> all;
  for (std::sregex_iterator at(text.begin(), text.end(), reference), end; at != end; ++at) {
    all.push_back(at->str());
  }
  return all;
}

std::string Redaction::of_text(std::string text) const {
  // The longest first: what is part of another one must not leave the rest of it.
  std::vector<std::string> forms(forms_.begin(), forms_.end());
  std::ranges::sort(forms, std::ranges::greater(), &std::string::size);
  for (const std::string& form : forms) {
    if (form.empty()) continue;
    for (std::size_t at = text.find(form); at != std::string::npos; at = text.find(form, at)) {
      text.replace(at, form.size(), redacted);
      at += redacted.size();
    }
  }
  return text;
}

}  // namespace cli
