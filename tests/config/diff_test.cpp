#include "config/diff.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <map>
#include <set>

#include "config/keys.h"
#include "config/parse.h"
#include "config/renaming.h"

namespace config {
namespace {

std::string example_text() {
  std::ifstream file(std::string(FOREBAY_CONFIG_SOURCE) + "/example.yaml");
  return {std::istreambuf_iterator<char>(file), {}};
}

Config config_of(const std::string& text) {
  auto outcome = parse_text(text, "test.yaml");
  for (const auto& message : outcome.messages) {
    EXPECT_NE(message.severity, Severity::error) << format(message);
  }
  return outcome.config ? std::move(*outcome.config) : Config{};
}

const std::string base = R"(apiVersion: forebay/v1
node: store1
listeners:
  a: {protocol: nvme-tcp, address: 127.0.0.1, port: 4420}
  s: {protocol: iscsi, address: 127.0.0.1}
pools:
  p: {kind: file, directory: /srv/p}
volumes:
  one: {pool: p, size: 1GiB}
  two: {pool: p, size: 2GiB}
hosts:
  h: {nqn: "nqn.2014-08.org.nvmexpress:uuid:1b4e28ba-2fa1-11d2-883f-0016d3cca427"}
subsystems:
  nqn.2026-11.com.example:store:
    listeners: [a]
    hosts: [h]
    namespaces:
      1: {volume: one}
      2: {volume: two}
targets:
  iqn.2026-11.com.example:store:
    listeners: [s]
    allow_any_host: true
    luns:
      0: {volume: one}
)";

// `base` with one text in the place of another.
std::string with(const std::string& what, const std::string& by) {
  std::string text = base;
  const std::size_t at = text.find(what);
  EXPECT_NE(at, std::string::npos) << what;
  return text.replace(at, what.size(), by);
}

std::vector<Change> changes(const std::string& after) {
  return diff(config_of(base), config_of(after));
}

TEST(Diff, OfTheSameIsEmpty) {
  EXPECT_TRUE(diff(config_of(example_text()), config_of(example_text())).empty());
  EXPECT_TRUE(changes(base + "\n# a comment\n").empty());
}

TEST(Diff, ADefaultThatIsWrittenIsNoChange) {
  EXPECT_TRUE(changes(with("port: 4420}", "port: 4420, max_r2t: 4}")).empty());
}

TEST(Diff, ChangedKeysHaveBothValuesAndThePlaceInTheNewFile) {
  const auto found = changes(with("one: {pool: p, size: 1GiB}", "one: {pool: p,  size: 3GiB}"));
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].subject, (Subject{.part = Part::volume, .name = "one"}));
  EXPECT_EQ(found[0].path, "volumes.one");
  const auto& keys = std::get<Changed>(found[0].what).keys;
  ASSERT_EQ(keys.size(), 1U);
  EXPECT_EQ(
      keys[0],
      (KeyChange{
          .key = "size", .before = "1GiB", .after = "3GiB", .at = {.line = 9, .column = 25}}));
}

TEST(Diff, ACacheThatComesAndGoesIsAChangeOfItsKeys) {
  const std::string cached =
      with("one: {pool: p, size: 1GiB}", "one: {pool: p, size: 1GiB, cache: {device: d}}") +
      "cache_devices:\n  d: {path: /dev/dax0.0}\n";
  const auto come = diff(config_of(base), config_of(cached));
  ASSERT_EQ(come.size(), 2U);
  EXPECT_TRUE(std::holds_alternative<Added>(come[0].what));
  EXPECT_EQ(come[0].path, "cache_devices.d");
  const auto& keys = std::get<Changed>(come[1].what).keys;
  EXPECT_EQ(keys[0].key, "cache.device");
  EXPECT_EQ(keys[0].before, "");
  EXPECT_EQ(keys[0].after, "d");
  const auto go = diff(config_of(cached), config_of(base));
  ASSERT_EQ(go.size(), 2U);
  EXPECT_TRUE(std::holds_alternative<Removed>(go[0].what));
  EXPECT_EQ(std::get<Changed>(go[1].what).keys[0].after, "");
}

TEST(Diff, ExportsAreEntriesOfTheirOwn) {
  const auto gone = changes(with("      2: {volume: two}\n", ""));
  ASSERT_EQ(gone.size(), 1U);
  EXPECT_TRUE(std::holds_alternative<Removed>(gone[0].what));
  EXPECT_EQ(gone[0].path, "subsystems.nqn.2026-11.com.example:store.namespaces.2");
  const auto moved = changes(with("0: {volume: one}", "0: {volume: two}"));
  ASSERT_EQ(moved.size(), 1U);
  EXPECT_EQ(moved[0].subject.part, Part::lun);
  EXPECT_EQ(std::get<Changed>(moved[0].what).keys[0].after, "two");
}

TEST(Diff, OfAWholeTargetThatGoesItsLunsGoToo) {
  const std::string without = base.substr(0, base.find("targets:"));
  const auto found = changes(without);
  ASSERT_EQ(found.size(), 2U);
  EXPECT_EQ(found[0].subject.part, Part::target);
  EXPECT_EQ(found[1].subject.part, Part::lun);
  for (const auto& change : found) EXPECT_TRUE(std::holds_alternative<Removed>(change.what));
}

TEST(Diff, HostsAndAllowAnyHostAreTold) {
  const auto found = changes(with("hosts: [h]", "allow_any_host: true"));
  ASSERT_EQ(found.size(), 1U);
  const auto& keys = std::get<Changed>(found[0].what).keys;
  ASSERT_EQ(keys.size(), 2U);
  EXPECT_EQ(keys[0].before, "[h]");
  EXPECT_EQ(keys[0].after, "");
  EXPECT_EQ(keys[1].after, "true");
}

// Whoever adds a key to the file has to say here what its change is.
TEST(Diff, EveryKeyOfTheFileIsCompared) {
  const std::map<std::string_view, std::pair<Part, std::string>> places{
      {"", {Part::settings, ""}},
      {"reactors", {Part::settings, "reactors."}},
      {"iscsi", {Part::settings, "iscsi."}},
      {"iscsi.discovery_chap", {Part::settings, "iscsi.discovery_chap."}},
      {"metrics", {Part::settings, "metrics."}},
      {"control", {Part::settings, "control."}},
      {"scrub", {Part::settings, "scrub."}},
      {"log", {Part::settings, "log."}},
      {"listeners.*", {Part::listener, ""}},
      {"listeners.*.iscsi", {Part::listener, "iscsi."}},
      {"cache_devices.*", {Part::cache_device, ""}},
      {"pools.*", {Part::pool, ""}},
      {"volumes.*", {Part::volume, ""}},
      {"volumes.*.cache", {Part::volume, "cache."}},
      {"volumes.*.overload", {Part::volume, "overload."}},
      {"volumes.*.qos", {Part::volume, "qos."}},
      {"hosts.*", {Part::host, ""}},
      {"hosts.*.chap", {Part::host, "chap."}},
      {"hosts.*.dhchap", {Part::host, "dhchap."}},
      {"hosts.*.dhchap.previous", {Part::host, "dhchap.previous."}},
      {"subsystems.*", {Part::subsystem, ""}},
      {"subsystems.*.namespaces.*", {Part::space, ""}},
      {"targets.*", {Part::target, ""}},
      {"targets.*.chap", {Part::target, "chap."}},
      {"targets.*.luns.*", {Part::lun, ""}},
  };
  for (const Section& section : all_sections()) {
    const auto place = places.find(section.pattern);
    ASSERT_NE(place, places.end()) << section.pattern;
    const auto compared = compared_keys(place->second.first);
    for (const Key& key : section.keys) {
      const bool is_no_value =
          key.kind == Kind::section || key.kind == Kind::named || key.name == "apiVersion";
      if (is_no_value) continue;
      const std::string name = place->second.second + std::string(key.name);
      EXPECT_NE(std::ranges::find(compared, name), compared.end())
          << section.pattern << ": " << name;
    }
  }
}

// Wherever a volume is named; and what else has changed of it is still told.
TEST(Renaming, IsWhatAVolumeWasAndNoVolumeTheLess) {
  std::string text = with("one: {pool: p, size: 1GiB}", "uno: {was: one, pool: p, size: 3GiB}");
  for (std::size_t at = text.find("volume: one"); at != std::string::npos;
       at = text.find("volume: one")) {
    text.replace(at, 11, "volume: uno");
  }
  const Config before = config_of(base);
  const Config after = config_of(text);
  const auto names = renamed_volumes(before, after);
  ASSERT_EQ(names, (std::map<std::string, std::string>{{"one", "uno"}}));
  const auto found = diff(renamed(before, names), after);
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].path, "volumes.uno");
  const auto& keys = std::get<Changed>(found[0].what).keys;
  ASSERT_EQ(keys.size(), 2U);
  EXPECT_EQ(keys[0].key, "was");
  EXPECT_EQ(keys[0].before, "");
  EXPECT_EQ(keys[0].after, "one");
  EXPECT_EQ(keys[1].key, "size");

  // What is taken back says nothing of what it was.
  const auto back = renamed_volumes(after, before);
  ASSERT_EQ(back, (std::map<std::string, std::string>{{"uno", "one"}}));
  const auto undone = diff(renamed(after, back), before);
  ASSERT_EQ(undone.size(), 1U);
  EXPECT_EQ(undone[0].path, "volumes.one");
  EXPECT_EQ(std::get<Changed>(undone[0].what).keys[0].before, "uno");

  // Once it is called so, it is so by either file.
  const Config without = config_of(text.replace(text.find("was: one, "), 10, ""));
  EXPECT_TRUE(renamed_volumes(after, without).empty());
  EXPECT_TRUE(renamed_volumes(before, without).empty()) << "another one";
}

}  // namespace
}  // namespace config
