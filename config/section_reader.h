// Reads the keys of one section as the key table describes them, and reports everything that is not
// so.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/keys.h"
#include "config/node.h"
#include "config/report.h"
#include "config/values.h"

namespace config {

// A getter answers nullopt if the key is absent, or wrong and reported. The report, the section and
// the node outlive the reader.
class SectionReader {
 public:
  // `at` is where the section's own name stands. A node that is no map is reported, and read as
  // empty.
  SectionReader(Report& report, const Section& section, std::string path, Position at,
                const Node& node);

  // Reports unknown keys, keys of later features and missing required ones.
  void check_keys();
  // Reports those of `keys` that are there: `owner` (a pool of some kind, a listener of some
  // protocol) has none of them.
  void refuse(std::string_view owner, std::span<const std::string_view> keys);

  [[nodiscard]] bool has(std::string_view key) const { return find(key) != nullptr; }
  // After check_keys(): the key is absent, and nothing reported so far was meant to be it (a slip
  // of its name, a key of a later feature, a section of the wrong shape).
  [[nodiscard]] bool lacks(std::string_view key) const;
  // Where the key stands (not its value).
  [[nodiscard]] Position at(std::string_view key) const;
  [[nodiscard]] std::string path_of(std::string_view key) const;
  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] Position at() const { return at_; }

  [[nodiscard]] std::optional<Located<std::string>> text(std::string_view key);
  [[nodiscard]] std::optional<Located<std::string>> choice(std::string_view key);
  [[nodiscard]] std::optional<Located<std::uint64_t>> integer(std::string_view key);
  [[nodiscard]] std::optional<Located<bool>> boolean(std::string_view key);
  [[nodiscard]] std::optional<Located<engine::ByteCount>> size(std::string_view key);
  // Bytes per second.
  [[nodiscard]] std::optional<Located<engine::ByteCount>> rate(std::string_view key);
  [[nodiscard]] std::optional<Located<std::chrono::milliseconds>> duration(std::string_view key);
  [[nodiscard]] std::optional<Located<std::uint32_t>> percent(std::string_view key);
  // Each name once; a bad one is reported and stands at line 0, so that the others keep their
  // index.
  [[nodiscard]] std::optional<std::vector<Located<std::string>>> names(std::string_view key);
  // The same of paths, in normal form.
  [[nodiscard]] std::optional<std::vector<Located<std::string>>> paths(std::string_view key,
                                                                       std::size_t max_bytes);
  // The same of places where secrets lie.
  [[nodiscard]] std::optional<std::vector<Located<SecretRef>>> secrets(std::string_view key);
  // The same of networks ("10.0.0.0/8").
  [[nodiscard]] std::optional<std::vector<IpNetwork>> networks(std::string_view key);
  // The same of addresses with ports ("10.0.0.5:9931").
  [[nodiscard]] std::optional<std::vector<Located<IpEndpoint>>> endpoints(std::string_view key);
  [[nodiscard]] std::optional<std::pair<std::uint64_t, std::uint64_t>> range(std::string_view key);
  // The reader of a key that is a section; `pattern` is its own.
  [[nodiscard]] SectionReader below(std::string_view key, std::string_view pattern) const {
    return {report_, section_of(pattern), path_of(key), at(key), node(key)};
  }
  // The node of a key that is a section or a map of names; an empty map if absent.
  [[nodiscard]] const Node& node(std::string_view key) const;
  [[nodiscard]] Report& report() { return report_; }

  // text(key) through one of the parsers of identity.h.
  template <class Parser>
  [[nodiscard]] auto parsed(std::string_view key, Parser parse)
      -> std::optional<Located<typename decltype(parse(std::string_view{}))::value_type>> {
    const auto value = text(key);
    if (!value) return std::nullopt;
    auto result = parse(std::string_view(value->value));
    if (result) return {{std::move(result).value(), value->at}};
    report_.error(value->at, path_of(key), result.error().text);
    return std::nullopt;
  }

 private:
  [[nodiscard]] const Node::Entry* find(std::string_view key) const;
  // The key's scalar; nullptr if absent, or no scalar and reported.
  const Node* scalar(std::string_view key);

  Report& report_;
  const Section& section_;
  std::string path_;
  Position at_;
  const Node& node_;
  bool has_wrong_shape_ = false;  // the node is a value or a list: reported, and all else is noise
  std::vector<std::string> misspelt_;  // the keys that unknown ones were meant to be
};

// Reports `node` unless it is one value; for list items too.
[[nodiscard]] bool expect_scalar(Report& report, const Node& node, const std::string& path);
// Reports a plain scalar that YAML 1.1 takes for something else than a string.
[[nodiscard]] bool expect_string(Report& report, const Node& scalar, const std::string& path);
// The same where a name belongs: of the traps only the boolean words look like names.
[[nodiscard]] bool expect_name(Report& report, const Node& scalar, const std::string& path);
// Reports `node` unless it is a map, or nothing; `entry` shows what stands in one.
[[nodiscard]] bool expect_map(Report& report, const Node& node, const std::string& path,
                              std::string_view entry = "NAME: ...");
// A key that the user chose, as a value: the same traps wait in it.
[[nodiscard]] Node as_scalar(const Node::Entry& entry);
// Reports a size that is no multiple of 4 KiB.
void check_multiple(SectionReader& reader, std::string_view key,
                    const std::optional<Located<engine::ByteCount>>& size);

// An option keeps its default where nothing is written.
template <class T, class Value>
void assign(T& option, const std::optional<Located<Value>>& value) {
  if (value) option = static_cast<T>(value->value);
}
template <class T>
void assign(Located<T>& option, const std::optional<Located<T>>& value) {
  if (value) option = *value;
}

}  // namespace config
