#include "config/dhchap_reader.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <span>

#include "config/identity.h"

namespace config {
namespace {

constexpr std::string_view hash_words[] = {"sha256", "sha384", "sha512"};
constexpr std::string_view group_words[] = {"ffdhe2048", "ffdhe3072", "ffdhe4096",
                                            "ffdhe6144", "ffdhe8192", "none"};

// One word, or a list of them.
std::vector<Located<std::string>> read_words(SectionReader& reader, std::string_view key,
                                             std::span<const std::string_view> known) {
  std::vector<Located<std::string>> words;
  if (!reader.has(key)) return words;
  if (reader.node(key).kind == Node::Kind::scalar) {
    if (auto word = reader.text(key)) words.push_back(std::move(*word));
  } else if (auto list = reader.names(key)) {
    words = std::move(*list);
    if (words.empty()) {
      reader.report().error(reader.at(key), reader.path_of(key),
                            "is an empty list, so no host could be let in; remove it for all of "
                            "them, or name some.");
    }
  }
  for (const auto& word : words) {
    if (word.at.line == 0 || std::ranges::count(known, word.value) > 0) continue;
    reader.report().error(
        word.at, reader.path_of(key),
        fmt::format("{} is none of {}.", in_quotes(word.value), fmt::join(known, ", ")));
  }
  return words;
}

// Old and new keys; only the keys differ.
void check_distinct(const DhchapKeys& keys, SectionReader& reader) {
  if (!keys.controller_key || keys.key.at.line == 0) return;
  if (keys.controller_key->value != keys.key.value) return;
  reader.report().error(keys.controller_key->at, reader.path_of("controller_key"),
                        "is the key of the other direction; make another.");
}

DhchapKeys read_dhchap_keys(SectionReader& reader) {
  DhchapKeys keys;
  assign(keys.key, reader.parsed("key", parse_secret));
  keys.controller_key = reader.parsed("controller_key", parse_secret);
  check_distinct(keys, reader);
  return keys;
}

}  // namespace

std::optional<Dhchap> read_dhchap(SectionReader& host) {
  if (!host.has("dhchap")) return std::nullopt;
  SectionReader reader = host.below("dhchap", "hosts.*.dhchap");
  reader.check_keys();
  Dhchap dhchap;
  dhchap.at = reader.at();
  dhchap.keys = read_dhchap_keys(reader);
  dhchap.hashes = read_words(reader, "hash", hash_words);
  dhchap.groups = read_words(reader, "dhgroup", group_words);
  assign(dhchap.required, reader.boolean("required"));
  assign(dhchap.discovery, reader.boolean("discovery"));
  if (dhchap.discovery && !dhchap.required) {
    reader.report().error(
        reader.at("discovery"), reader.path_of("discovery"),
        "asks at discovery for what is not required (required: false); remove one "
        "of them.");
  }
  if (const auto concat = reader.choice("concat")) {
    dhchap.concat = concat->value == "required"    ? Concat::required
                    : concat->value == "permitted" ? Concat::permitted
                                                   : Concat::none;
  }
  if (dhchap.concat == Concat::required && !dhchap.required) {
    reader.report().error(reader.at("concat"), reader.path_of("concat"),
                          "makes keys by a proof that is not required (required: false); remove "
                          "one of them.");
  }
  if (reader.has("previous")) {
    SectionReader previous = reader.below("previous", "hosts.*.dhchap.previous");
    previous.check_keys();
    Dhchap::Previous old;
    old.at = previous.at();
    old.keys = read_dhchap_keys(previous);
    assign(old.until, previous.parsed("until", parse_time));
    dhchap.previous = std::move(old);
  }
  return dhchap;
}

}  // namespace config
