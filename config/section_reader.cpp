#include "config/section_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <limits>

#include "config/identity.h"
#include "config/yaml_traps.h"

namespace config {
namespace {

using std::string_view;

std::string_view kind_noun(const Node& node) {
  return node.kind == Node::Kind::map ? "a map" : "a list";
}

std::vector<std::string> strings(std::span<const string_view> views) {
  return {views.begin(), views.end()};
}

// What is wrong with a plain scalar where a string belongs; empty if nothing.
std::string string_trap(string_view plain) {
  const std::string shown = printable(plain);
  if (is_boolean_word(plain)) {
    return fmt::format("{} is a boolean in YAML 1.1; write \"{}\" in quotes.", shown, shown);
  }
  if (is_base_60(plain)) {
    return fmt::format("{} is a base-60 number in YAML 1.1; write \"{}\" in quotes.", shown, shown);
  }
  if (is_number(plain)) {
    return fmt::format("{} is a number; write \"{}\" in quotes.", shown, shown);
  }
  if (is_date(plain)) {
    return fmt::format("{} is a date in YAML 1.1; write \"{}\" in quotes.", shown, shown);
  }
  return {};
}

const Node& empty_map() {
  static const Node node = [] {
    Node made;
    made.kind = Node::Kind::map;
    return made;
  }();
  return node;
}

// Limits of sizes, rates, durations and percentages in the words of the file.
std::string outside(string_view value, const std::string& min, const std::string& max) {
  return fmt::format("{} is outside {} to {}.", printable(value), min, max);
}

// Reports it, if it is none, or has too few items or too many.
bool is_list(Report& report, const Node::Entry& entry, const Key& rule, const std::string& path,
             string_view of_what) {
  const std::size_t items = entry.value.items.size();
  if (entry.value.kind == Node::Kind::sequence && items >= rule.min && items <= rule.max) {
    return true;
  }
  report.error(entry.value.kind == Node::Kind::null ? entry.at : entry.value.at, path,
               fmt::format("is not a list of {} to {} {}.", rule.min, rule.max, of_what));
  return false;
}

}  // namespace

bool expect_scalar(Report& report, const Node& node, const std::string& path) {
  switch (node.kind) {
    case Node::Kind::scalar:
      return true;
    case Node::Kind::null:
      report.error(node.at, path, "has no value; write one, or remove the key.");
      return false;
    case Node::Kind::sequence:
    case Node::Kind::map:
      report.error(node.at, path, fmt::format("is {}; write one value.", kind_noun(node)));
      return false;
    case Node::Kind::reported:
      return false;
  }
  return false;
}

bool expect_string(Report& report, const Node& scalar, const std::string& path) {
  if (!scalar.plain) return true;
  std::string trap = string_trap(scalar.text);
  if (trap.empty()) return true;
  report.error(scalar.at, path, std::move(trap));
  return false;
}

bool expect_name(Report& report, const Node& scalar, const std::string& path) {
  return !is_boolean_word(scalar.text) || expect_string(report, scalar, path);
}

bool expect_map(Report& report, const Node& node, const std::string& path, string_view entry) {
  if (node.kind == Node::Kind::map || node.kind == Node::Kind::null) return true;
  if (node.kind != Node::Kind::reported) {
    report.error(node.at, path, fmt::format("is not a map; write \"{}\" entries below it.", entry));
  }
  return false;
}

Node as_scalar(const Node::Entry& entry) {
  Node node;
  node.kind = Node::Kind::scalar;
  node.at = entry.at;
  node.text = entry.key;
  node.plain = entry.plain;
  return node;
}

void check_multiple(SectionReader& reader, string_view key,
                    const std::optional<Located<engine::ByteCount>>& size) {
  constexpr engine::ByteCount alignment = 4_KiB;
  if (!size || size->value.value % alignment.value == 0) return;
  const std::uint64_t next = size->value.value / alignment.value + 1;
  reader.report().error(size->at, reader.path_of(key),
                        fmt::format("is not a multiple of {}; write {}.", size_text(alignment),
                                    size_text({next * alignment.value})));
}

SectionReader::SectionReader(Report& report, const Section& section, std::string path, Position at,
                             const Node& node)
    : report_(report),
      section_(section),
      path_(std::move(path)),
      at_(at),
      node_(node.kind == Node::Kind::map ? node : empty_map()),
      has_wrong_shape_(node.kind != Node::Kind::map && node.kind != Node::Kind::null) {
  if (node.kind == Node::Kind::scalar || node.kind == Node::Kind::sequence) {
    report_.error(node.at, path_,
                  fmt::format("is {}; write keys and values below it.",
                              node.kind == Node::Kind::scalar ? "a single value" : "a list"));
  }
}

void SectionReader::check_keys() {
  if (has_wrong_shape_) return;
  std::vector<std::string> known;
  for (const Key& key : section_.keys) known.emplace_back(key.name);
  for (const Node::Entry& entry : node_.entries) {
    if (std::ranges::count(section_.keys, string_view(entry.key), &Key::name) != 0) continue;
    const std::string near = nearest(entry.key, known);
    report_.error(entry.at, path_of(entry.key),
                  near.empty() ? fmt::format("unknown key; known: {}.", listed(known))
                               : fmt::format("unknown key; did you mean \"{}\"?", near));
    misspelt_.push_back(near);
  }
  for (const Key& key : section_.keys) {
    if (key.need == Need::required && lacks(key.name)) {
      report_.error(at_, path_, fmt::format("\"{}\" is missing; add {}.", key.name, key.example));
    }
  }
}

void SectionReader::refuse(string_view owner, std::span<const string_view> keys) {
  for (const string_view key : keys) {
    if (has(key))
      report_.error(at(key), path_of(key), fmt::format("{} has none; remove it.", owner));
  }
}

bool SectionReader::lacks(string_view key) const {
  return !has(key) && !has_wrong_shape_ && std::ranges::count(misspelt_, key) == 0;
}

const Node::Entry* SectionReader::find(string_view key) const {
  const auto found = std::ranges::find(node_.entries, key, &Node::Entry::key);
  return found == node_.entries.end() ? nullptr : &*found;
}

Position SectionReader::at(string_view key) const {
  const Node::Entry* entry = find(key);
  return entry == nullptr ? at_ : entry->at;
}

std::string SectionReader::path_of(string_view key) const { return join_path(path_, key); }

const Node& SectionReader::node(string_view key) const {
  const Node::Entry* entry = find(key);
  return entry == nullptr ? empty_map() : entry->value;
}

const Node* SectionReader::scalar(string_view key) {
  const Node::Entry* entry = find(key);
  if (entry == nullptr) return nullptr;
  if (entry->value.kind == Node::Kind::null) {
    report_.error(entry->at, path_of(key), "has no value; write one, or remove the key.");
    return nullptr;
  }
  return expect_scalar(report_, entry->value, path_of(key)) ? &entry->value : nullptr;
}

std::optional<Located<std::string>> SectionReader::text(string_view key) {
  const Node* value = scalar(key);
  if (value == nullptr) return std::nullopt;
  const Kind kind = key_of(section_, key).kind;
  const bool good = kind == Kind::name ? expect_name(report_, *value, path_of(key))
                    : kind == Kind::cpus && is_number(value->text)
                        ? true  // a single CPU
                        : expect_string(report_, *value, path_of(key));
  if (!good) return std::nullopt;
  return {{value->text, value->at}};
}

std::optional<Located<std::string>> SectionReader::choice(string_view key) {
  const Node* value = scalar(key);
  if (value == nullptr) return std::nullopt;
  const Key& rule = key_of(section_, key);
  if (std::ranges::count(rule.choices, string_view(value->text)) > 0) {
    return {{value->text, value->at}};
  }
  const std::vector<std::string> choices = strings(rule.choices);
  const std::string shown = printable(value->text);
  std::string text;
  if (value->plain && is_boolean_word(value->text)) {
    text = fmt::format("{} is a boolean in YAML 1.1; use one of {}.", shown, listed(choices));
  } else if (const std::string near = nearest(value->text, choices); !near.empty()) {
    text = fmt::format("unknown value {}; did you mean \"{}\"?", in_quotes(value->text), near);
  } else {
    text = fmt::format("unknown value {}; use one of {}.", in_quotes(value->text), listed(choices));
  }
  report_.error(value->at, path_of(key), std::move(text));
  return std::nullopt;
}

std::optional<Located<std::uint64_t>> SectionReader::integer(string_view key) {
  const Node* value = scalar(key);
  if (value == nullptr) return std::nullopt;
  const Key& rule = key_of(section_, key);
  const bool has_choices = !rule.choices.empty();
  const auto number =
      parse_integer(*value, has_choices ? 0 : rule.min,
                    has_choices ? std::numeric_limits<std::uint64_t>::max() : rule.max);
  const bool is_choice = std::ranges::count(rule.choices, string_view(value->text)) > 0;
  // A number that YAML reads in two ways has a message of its own; anything else is just no choice.
  if (!number && (!has_choices || is_choice || is_number(value->text))) {
    report_.error(value->at, path_of(key), number.error().text);
    return std::nullopt;
  }
  if (has_choices && (!number || !is_choice)) {
    report_.error(value->at, path_of(key),
                  fmt::format("{} is not possible; use one of {}.", printable(value->text),
                              listed(strings(rule.choices))));
    return std::nullopt;
  }
  return {{number.value(), value->at}};
}

std::optional<Located<bool>> SectionReader::boolean(string_view key) {
  const Node* value = scalar(key);
  if (value == nullptr) return std::nullopt;
  const auto answer = parse_boolean(*value);
  if (answer) return {{answer.value(), value->at}};
  report_.error(value->at, path_of(key), answer.error().text);
  return std::nullopt;
}

std::optional<Located<engine::ByteCount>> SectionReader::size(string_view key) {
  const Node* value = scalar(key);
  if (value == nullptr) return std::nullopt;
  const Key& rule = key_of(section_, key);
  const auto bytes = parse_size(value->text);
  if (bytes && bytes.value().value >= rule.min && bytes.value().value <= rule.max) {
    return {{bytes.value(), value->at}};
  }
  std::string what = bytes ? outside(value->text, size_text({rule.min}), size_text({rule.max}))
                           : bytes.error().text;
  if (bytes && !rule.reason.empty()) what.append(" ").append(rule.reason);
  report_.error(value->at, path_of(key), std::move(what));
  return std::nullopt;
}

std::optional<Located<engine::ByteCount>> SectionReader::rate(string_view key) {
  const Node* value = scalar(key);
  if (value == nullptr) return std::nullopt;
  const Key& rule = key_of(section_, key);
  const auto bytes = parse_rate(value->text);
  if (bytes && bytes.value().value >= rule.min && bytes.value().value <= rule.max) {
    return {{bytes.value(), value->at}};
  }
  report_.error(value->at, path_of(key),
                bytes ? outside(value->text, rate_text({rule.min}), rate_text({rule.max}))
                      : bytes.error().text);
  return std::nullopt;
}

std::optional<Located<std::chrono::milliseconds>> SectionReader::duration(string_view key) {
  const Node* value = scalar(key);
  if (value == nullptr) return std::nullopt;
  const Key& rule = key_of(section_, key);
  const std::chrono::milliseconds min{rule.min};
  const std::chrono::milliseconds max{rule.max};
  const auto length = parse_duration(value->text);
  if (length && length.value() >= min && length.value() <= max) {
    return {{length.value(), value->at}};
  }
  report_.error(
      value->at, path_of(key),
      length ? outside(value->text, duration_text(min), duration_text(max)) : length.error().text);
  return std::nullopt;
}

std::optional<Located<std::uint32_t>> SectionReader::percent(string_view key) {
  const Node* value = scalar(key);
  if (value == nullptr) return std::nullopt;
  const Key& rule = key_of(section_, key);
  const auto percent = parse_percent(value->text);
  if (percent && percent.value() >= rule.min && percent.value() <= rule.max) {
    return {{percent.value(), value->at}};
  }
  report_.error(
      value->at, path_of(key),
      percent ? outside(value->text, fmt::format("{}%", rule.min), fmt::format("{}%", rule.max))
              : percent.error().text);
  return std::nullopt;
}

std::optional<std::vector<Located<std::string>>> SectionReader::names(string_view key) {
  const Node::Entry* entry = find(key);
  if (entry == nullptr || entry->value.kind == Node::Kind::reported) return std::nullopt;
  const std::string path = path_of(key);
  if (entry->value.kind != Node::Kind::sequence) {
    report_.error(entry->value.kind == Node::Kind::null ? entry->at : entry->value.at, path,
                  "is not a list; write names in brackets, for example [NAME], or [] for none.");
    return std::nullopt;
  }
  std::vector<Located<std::string>> names;
  for (std::size_t i = 0; i < entry->value.items.size(); ++i) {
    const Node& item = entry->value.items[i];
    const std::string item_path = fmt::format("{}[{}]", path, i);
    bool good = expect_scalar(report_, item, item_path) && expect_name(report_, item, item_path);
    if (good && std::ranges::count(names, item.text, &Located<std::string>::value) > 0) {
      report_.error(item.at, item_path,
                    fmt::format("{} is named twice; remove one.", in_quotes(item.text)));
      good = false;
    }
    names.push_back(good ? Located<std::string>{item.text, item.at} : Located<std::string>{});
  }
  return names;
}

std::optional<std::vector<Located<std::string>>> SectionReader::paths(string_view key,
                                                                      std::size_t max_bytes) {
  const Node::Entry* entry = find(key);
  if (entry == nullptr || entry->value.kind == Node::Kind::reported) return std::nullopt;
  const Key& rule = key_of(section_, key);
  const std::string path = path_of(key);
  const std::vector<Node>& items = entry->value.items;
  if (!is_list(report_, *entry, rule, path, "paths; write them in brackets")) return std::nullopt;
  std::vector<Located<std::string>> paths;
  for (std::size_t i = 0; i < items.size(); ++i) {
    const std::string item_path = fmt::format("{}[{}]", path, i);
    paths.emplace_back();
    if (!expect_scalar(report_, items[i], item_path) ||
        !expect_string(report_, items[i], item_path)) {
      continue;
    }
    const auto parsed = parse_path(items[i].text, max_bytes);
    if (!parsed) {
      report_.error(items[i].at, item_path, parsed.error().text);
    } else if (std::ranges::count(paths, parsed.value(), &Located<std::string>::value) > 0) {
      report_.error(items[i].at, item_path,
                    fmt::format("{} is named twice; remove one.", in_quotes(parsed.value())));
    } else {
      paths.back() = {parsed.value(), items[i].at};
    }
  }
  return paths;
}

std::optional<std::vector<Located<SecretRef>>> SectionReader::secrets(string_view key) {
  const Node::Entry* entry = find(key);
  if (entry == nullptr || entry->value.kind == Node::Kind::reported) return std::nullopt;
  const std::string path = path_of(key);
  const std::vector<Node>& items = entry->value.items;
  if (entry->value.kind != Node::Kind::sequence || items.empty()) {
    report_.error(entry->value.kind == Node::Kind::null ? entry->at : entry->value.at, path,
                  "is not a list of places; write them in brackets, for example "
                  "[\"credential:NAME\"].");
    return std::nullopt;
  }
  std::vector<Located<SecretRef>> secrets;
  for (std::size_t i = 0; i < items.size(); ++i) {
    const std::string item_path = fmt::format("{}[{}]", path, i);
    if (!expect_scalar(report_, items[i], item_path) ||
        !expect_string(report_, items[i], item_path)) {
      continue;
    }
    auto parsed = parse_secret(items[i].text);
    if (!parsed) {
      report_.error(items[i].at, item_path, parsed.error().text);
    } else if (std::ranges::count(secrets, parsed.value(), &Located<SecretRef>::value) > 0) {
      report_.error(items[i].at, item_path, "is named twice; remove one.");
    } else {
      secrets.push_back({std::move(parsed).value(), items[i].at});
    }
  }
  return secrets;
}

std::optional<std::vector<IpNetwork>> SectionReader::networks(string_view key) {
  const Node::Entry* entry = find(key);
  if (entry == nullptr || entry->value.kind == Node::Kind::reported) return std::nullopt;
  const std::string path = path_of(key);
  const std::vector<Node>& items = entry->value.items;
  if (entry->value.kind != Node::Kind::sequence || items.empty()) {
    report_.error(entry->value.kind == Node::Kind::null ? entry->at : entry->value.at, path,
                  "is not a list of networks; write them in brackets, for example [10.0.0.0/8].");
    return std::nullopt;
  }
  std::vector<IpNetwork> networks;
  for (std::size_t i = 0; i < items.size(); ++i) {
    const std::string item_path = fmt::format("{}[{}]", path, i);
    if (!expect_scalar(report_, items[i], item_path) ||
        !expect_string(report_, items[i], item_path)) {
      continue;
    }
    const auto parsed = parse_network(items[i].text);
    if (!parsed) {
      report_.error(items[i].at, item_path, parsed.error().text);
    } else if (std::ranges::count(networks, parsed.value()) > 0) {
      report_.error(items[i].at, item_path,
                    fmt::format("{} is named twice; remove one.", in_quotes(parsed.value().text)));
    } else {
      networks.push_back(parsed.value());
    }
  }
  return networks;
}

std::optional<std::vector<Located<IpEndpoint>>> SectionReader::endpoints(string_view key) {
  const Node::Entry* entry = find(key);
  if (entry == nullptr || entry->value.kind == Node::Kind::reported) return std::nullopt;
  const Key& rule = key_of(section_, key);
  const std::string path = path_of(key);
  const std::vector<Node>& items = entry->value.items;
  if (!is_list(report_, *entry, rule, path,
               "addresses with ports; write them in brackets, for example [\"10.0.0.5:9931\"]")) {
    return std::nullopt;
  }
  std::vector<Located<IpEndpoint>> endpoints;
  for (std::size_t i = 0; i < items.size(); ++i) {
    const std::string item_path = fmt::format("{}[{}]", path, i);
    if (!expect_scalar(report_, items[i], item_path)) continue;
    auto parsed = parse_endpoint(items[i].text);
    if (!parsed) {
      report_.error(items[i].at, item_path, parsed.error().text);
    } else {
      endpoints.push_back({.value = std::move(parsed).value(), .at = items[i].at});
    }
  }
  return endpoints;
}

std::optional<std::pair<std::uint64_t, std::uint64_t>> SectionReader::range(string_view key) {
  const Node::Entry* entry = find(key);
  if (entry == nullptr || entry->value.kind == Node::Kind::reported) return std::nullopt;
  const Key& rule = key_of(section_, key);
  const std::string path = path_of(key);
  const std::vector<Node>& items = entry->value.items;
  if (entry->value.kind != Node::Kind::sequence || items.size() != 2) {
    report_.error(
        entry->value.kind == Node::Kind::null ? entry->at : entry->value.at, path,
        fmt::format("is not a range; write two numbers in brackets, for example [{}, {}].",
                    rule.min, rule.max));
    return std::nullopt;
  }
  std::vector<std::uint64_t> ends;
  for (std::size_t i = 0; i < items.size(); ++i) {
    const std::string item_path = fmt::format("{}[{}]", path, i);
    if (!expect_scalar(report_, items[i], item_path)) continue;
    const auto number = parse_integer(items[i], rule.min, rule.max);
    if (!number) {
      report_.error(items[i].at, item_path, number.error().text);
      continue;
    }
    ends.push_back(number.value());
  }
  if (ends.size() != 2) return std::nullopt;
  if (ends[0] > ends[1]) {
    report_.error(entry->value.at, path,
                  fmt::format("the range is empty; write [{}, {}].", ends[1], ends[0]));
    return std::nullopt;
  }
  return {{ends[0], ends[1]}};
}

}  // namespace config
