// What stands between bytes and the node tree: encoding, YAML's grammar, duplicates, the shapes
// YAML allows and we do not, and the limits.
#include "config/parse.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "tests/config/complaints.h"

namespace config {
namespace {

using testing::ElementsAre;
using testing::ElementsAreArray;
using testing::StartsWith;

TEST(Parse, DuplicateKeysAreFoundInEveryMap) {
  expect_complaints({
      {"node: other\n", {"f.yaml:3:1: node: defined twice (first at line 2)."}},
      {"log: {level: info, level: debug}\n",
       {"f.yaml:3:20: log.level: defined twice (first at line 3)."}},
      {"log: {}\nlog: {}\n", {"f.yaml:4:1: log: defined twice (first at line 3)."}},
      {"pools:\n  bulk: {kind: file, directory: /srv/a}\n"
       "volumes:\n  logs:\n    pool: bulk\n    size: 1GiB\n  logs:\n    pool: bulk\n    size: "
       "2GiB\n",
       {"f.yaml:9:3: volumes.logs: defined twice (first at line 6)."}},
      {"volumes:\n  \"v\": {pool: p, size: 1GiB}\n  v: {pool: p, size: 1GiB}\npools: {p: {kind: "
       "file, directory: /p}}\n",
       {"f.yaml:5:3: volumes.v: defined twice (first at line 4)."}},
      {"subsystems:\n  nqn.2026-11.com.example:a:\n    listeners: [l]\n    hosts: []\n    hosts: "
       "[x]\n"
       "    namespaces:\n      1: {volume: v, volume: w}\n      2: {volume: v}\n      1: {volume: "
       "v}\n"
       "listeners: {l: {protocol: nvme-tcp, address: 10.0.0.1}}\n"
       "pools: {p: {kind: file, directory: /p}}\nvolumes: {v: {pool: p, size: 1GiB}}\n",
       {"f.yaml:6:5: warning: subsystems.nqn.2026-11.com.example:a.hosts: is empty: no host may "
        "connect; name the hosts that may.",
        "f.yaml:7:5: subsystems.nqn.2026-11.com.example:a.hosts: defined twice (first at line 6).",
        "f.yaml:9:22: subsystems.nqn.2026-11.com.example:a.namespaces.1.volume: defined twice "
        "(first at line 9).",
        "f.yaml:10:19: subsystems.nqn.2026-11.com.example:a.namespaces.2.volume: volume \"v\" is "
        "NSID 1 of this subsystem already; remove one.",
        "f.yaml:11:7: subsystems.nqn.2026-11.com.example:a.namespaces.1: defined twice (first at "
        "line 9)."}},
      {"cache_devices:\n  c: {path: /c, path: /d}\n  c: {path: /e}\n"
       "pools: {p: {kind: file, directory: /p}}\nvolumes:\n  v:\n    pool: p\n    size: 1GiB\n"
       "    cache: {device: c, device: c}\n    cache: {device: c}\n",
       {"f.yaml:4:17: cache_devices.c.path: defined twice (first at line 4).",
        "f.yaml:5:3: cache_devices.c: defined twice (first at line 4).",
        "f.yaml:11:24: volumes.v.cache.device: defined twice (first at line 11).",
        "f.yaml:12:5: volumes.v.cache: defined twice (first at line 11)."}},
      // Also in what is not read otherwise.
      {"metrics:\n  x: {a: 1, a: 2}\n",
       {"f.yaml:4:3: metrics.x: unknown key; known: address, port, stages, "
        "status_page.",
        "f.yaml:4:13: metrics.x.a: defined twice (first at line 4)."}},
      {"nonsense: [{a: 1, a: 2}]\n",
       {"f.yaml:3:1: nonsense: unknown key; known: apiVersion, node, reactors, memory, listeners, "
        "cache_devices, pools, volumes, hosts, subsystems, targets, iscsi, ... (16 in all).",
        "f.yaml:3:19: nonsense[0].a: defined twice (first at line 3)."}},
  });
}

TEST(Parse, AnchorsAliasesMergeKeysAndTagsAreRefused) {
  expect_complaints({
      {"log: &x {level: info}\n",
       {"f.yaml:3:6: log: anchors (&), aliases (*) and merge keys (<<) are not read; write the "
        "values out, and a value that begins with * or & in quotes."}},
      {"log: {level: &x info}\n",
       {"f.yaml:3:14: log.level: anchors (&), aliases (*) and merge keys (<<) are not read; write "
        "the values out, and a value that begins with * or & in quotes."}},
      {"log: {level: &x info}\nmemory: *x\n",
       {"f.yaml:3:14: log.level: anchors (&), aliases (*) and merge keys (<<) are not read; write "
        "the values out, and a value that begins with * or & in quotes.",
        "f.yaml:4:9: memory: anchors (&), aliases (*) and merge keys (<<) are not read; write the "
        "values out, and a value that begins with * or & in quotes."}},
      {"log:\n  <<: {level: info}\n",
       {"f.yaml:4:3: log.<<: anchors (&), aliases (*) and merge keys (<<) are not read; write the "
        "values out, and a value that begins with * or & in quotes."}},
      {"log: {level: *nowhere}\n",
       {"f.yaml:3:14: log.level: aliases (*) are not read; write a value that begins with * in "
        "quotes."}},
      {"log: {&a level: info}\n",
       {"f.yaml:3:7: log.level: a key has no anchor (&) and no tag (!); remove it."}},
      {"log: {level: !!str info}\n",
       {"f.yaml:3:14: log.level: tag \"tag:yaml.org,2002:str\" is not read; remove it."}},
      {"log: !mine {level: info}\n", {"f.yaml:3:6: log: tag \"!mine\" is not read; remove it."}},
      {"? !mine log\n: {level: info}\n",
       {"f.yaml:3:3: log: a key has no anchor (&) and no tag (!); remove it."}},
      {"log: {level: ! info}\n",
       {"f.yaml:3:14: log.level: is a text block (| or >) or has a tag (!); write the value alone, "
        "on one line."}},
  });
}

TEST(Parse, BrokenYamlNamesTheUsualCause) {
  expect_complaints({
      {"metrics: {address: *, port: 9930}\n",
       {"f.yaml:3:21: metrics.address: * alone is not a value; write \"*\" in quotes."}},
      {"metrics: {address: ::, port: 9930}\n",
       {"f.yaml:3:21: a map in braces is not closed, or lacks a comma or quotes; write {a: 1, b: "
        "\"::\"}."}},
      {"metrics: {address: \"*\"\n",
       {"f.yaml:4:1: a map in braces is not closed, or lacks a comma or quotes; write {a: 1, b: "
        "\"::\"}."}},
      {"metrics: {address: \"*}\n",
       {"f.yaml:3:20: metrics.address: the quote is not closed on its line; close it."}},
      {"reactors: {cpus: [1, 2}\n",
       {"f.yaml:3:23: unexpected closing bracket or brace; remove it."}},
      {"log:\n  level: info\n   x: 1\n",
       {"f.yaml:5:5: unexpected \":\"; write a value that contains it in quotes, and check the "
        "indentation."}},
      {"log:\n    level: info\n  x: 1\n",
       {"f.yaml:5:3: does not fit the lines above; check the indentation, and that each key ends "
        "in \": \"."}},
      {"log: level: info\n",
       {"f.yaml:3:11: unexpected \":\"; write a value that contains it in quotes, and check the "
        "indentation."}},
      {"log: {level: @info}\n",
       {"f.yaml:3:14: log.level: unexpected character; write a value that begins with @, % or ` in "
        "quotes."}},
      {"log: {level: %info}\n",
       {"f.yaml:3:14: log.level: unexpected character; write a value that begins with @, % or ` in "
        "quotes."}},
      {"log: {level: `info`}\n",
       {"f.yaml:3:14: log.level: unexpected character; write a value that begins with @, % or ` in "
        "quotes."}},
      {"log: {level: \"info}\n",
       {"f.yaml:3:14: log.level: the quote is not closed on its line; close it."}},
      {"log: {level: 'info}\n",
       {"f.yaml:3:14: log.level: the quote is not closed on its line; close it."}},
      {"log: {level: \"info}",
       {"f.yaml:3:20: the quote is not closed before the file ends; close it."}},
      {"log:\n  level: \"info\nmemory: 1GiB\n",
       {"f.yaml:4:10: log.level: the quote is not closed on its line; close it."}},
      {"log:\n  level: \"in\n    fo\"\n",
       {"f.yaml:4:10: log.level: the quote is not closed on its line; close it."}},
      {"log:\n  level: \"in\\\"fo\n",
       {"f.yaml:4:10: log.level: the quote is not closed on its line; close it."}},
      {"log:\n  \"level\n", {"f.yaml:4:3: log: the quote is not closed on its line; close it."}},
      {"log:\n  level: |\n    info\n",
       {"f.yaml:4:10: log.level: is a text block (| or >) or has a tag (!); write the value alone, "
        "on one line."}},
      {"log:\n  level: >-\n    info\n",
       {"f.yaml:4:10: log.level: is a text block (| or >) or has a tag (!); write the value alone, "
        "on one line."}},
      {"- a\n",
       {"f.yaml:3:1: does not fit the lines above; check the indentation, and that each key ends "
        "in \": \"."}},
      {"log: ]\n", {"f.yaml:3:6: unexpected closing bracket or brace; remove it."}},
      {"log: {level: & }\n",
       {"f.yaml:3:15: log.level: & alone is not a value; write it in quotes."}},
      {"reactors: {cpus: [1, 2\n",
       {"f.yaml:4:1: a list in brackets is not closed, or lacks a comma or quotes; write [a, b]."}},
      {"log: \"a\n---\nb\"\n",
       {"f.yaml:4:1: the quote is not closed before the document ends; close it."}},
      {"log: - a\n", {"f.yaml:3:6: unexpected \"- \"; check the indentation."}},
      {"log: ? a\n", {"f.yaml:3:6: unexpected \"? \"; check the indentation."}},
      {"log:\n  - 'a' 'b'\n",
       {"f.yaml:4:9: does not fit the list above; check the indentation, and that each item begins "
        "with \"- \"."}},
      {"log: [[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]\n",
       {"f.yaml:3:21: log[0][0][0][0][0][0][0][0][0][0][0][0][0][0][0]: is nested more than 16 "
        "deep; check brackets and indentation."}},
      {"? [a, b]\n: c\n", {"f.yaml:3:3: a key is a single word; write \"KEY: VALUE\"."}},
      {"? {a: b}\n: c\n", {"f.yaml:3:3: a key is a single word; write \"KEY: VALUE\"."}},
      {"~: c\n", {"f.yaml:3:1: ~ means no value in YAML; write \"~\" in quotes."}},
      {"log: {: info}\n", {"f.yaml:3:7: a key is a single word; write \"KEY: VALUE\"."}},
      {"log: \"\\q\"\n",
       {"f.yaml:3:9: not YAML (unknown escape character: q); check quotes, brackets and "
        "indentation."}},
      {"log: {level: info} memory: 1GiB\n",
       {"f.yaml:3:20: does not fit the lines above; check the indentation, and that each key ends "
        "in \": \"."}},
  });
}

TEST(Parse, FilesThatAreNoMapAreRefused) {
  const std::vector<std::pair<std::string, std::string>> files{
      {"", "f.yaml: the file is empty; begin with apiVersion: forebay/v1."},
      {"# only a comment\n", "f.yaml: the file is empty; begin with apiVersion: forebay/v1."},
      {"---\n...\n", "f.yaml: the file is empty; begin with apiVersion: forebay/v1."},
      {"~\n", "f.yaml: the file is empty; begin with apiVersion: forebay/v1."},
      {"hello\n", "f.yaml:1:1: the file is not a map; begin with apiVersion: forebay/v1."},
      {"- a\n- b\n", "f.yaml:1:1: the file is not a map; begin with apiVersion: forebay/v1."},
      {"a: 1\n---\nb: 2\n", "f.yaml:2:1: a second document begins here; keep one in the file."},
      {"a: 1\n...\nb: 2\n", "f.yaml:3:1: a second document begins here; keep one in the file."},
  };
  for (const auto& [text, message] : files) {
    EXPECT_THAT(complaints_about_text(text), ElementsAre(message)) << text;
  }
}

TEST(Parse, OneDocumentMayHaveItsMarkers) {
  EXPECT_THAT(complaints_about_text("---\napiVersion: forebay/v1\nnode: a\n...\n"), ElementsAre());
  EXPECT_THAT(complaints_about_text("apiVersion: forebay/v1\r\nnode: a\r\n"), ElementsAre());
}

TEST(Parse, BytesThatAreNoTextAreRefusedWithTheirPlace) {
  const std::vector<std::pair<std::string, std::string>> files{
      {"\xef\xbb\xbf"
       "a: 1\n",
       "f.yaml:1:1: the file begins with a byte order mark; save it as UTF-8 without one."},
      {std::string("\xff\xfe"
                   "a\0:\0",
                   6),
       "f.yaml:1:1: the file is UTF-16; save it as UTF-8."},
      {"a: \xe4\n", "f.yaml:1:4: byte e4 is not UTF-8; save the file as UTF-8."},
      {"a: \xc0\xaf\n", "f.yaml:1:4: byte c0 is not UTF-8; save the file as UTF-8."},
      {"a: \xed\xa0\x80\n", "f.yaml:1:4: byte ed is not UTF-8; save the file as UTF-8."},
      {"a: \xf4\x90\x80\x80\n", "f.yaml:1:4: byte f4 is not UTF-8; save the file as UTF-8."},
      {"a: \xe2\x82", "f.yaml:1:4: byte e2 is not UTF-8; save the file as UTF-8."},
      {std::string("a: \0\n", 5), "f.yaml:1:4: control character 00; remove it."},
      {"a: \x1b[31m\n", "f.yaml:1:4: control character 1b; remove it."},
      {"a:\n\tb: 1\n", "f.yaml:2:1: tab in the indentation; indent with blanks."},
      {"a:\n  \tb: 1\n", "f.yaml:2:3: tab in the indentation; indent with blanks."},
  };
  for (const auto& [text, message] : files) {
    EXPECT_THAT(complaints_about_text(text), ElementsAre(message)) << text;
  }
  // Comments may be in any language, and a tab elsewhere harms nobody.
  EXPECT_THAT(
      complaints("# \xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\n\t# c\nlog: {level:\tinfo}\t# c\n\t\n"),
      ElementsAre());
}

TEST(Parse, BombsEndInAMessage) {
  const auto repeated = [](const std::string& piece, std::size_t bytes) {
    std::string text;
    while (text.size() < bytes) text += piece;
    return text;
  };
  constexpr std::size_t large = 256 << 10;
  for (const char* piece :
       {"[",         "{",     "- ",   "? ", "a: ", "a",     "!",     "&a ",        "[a,",
        "{a: ",      "- a\n", "a:\n", "*",  "\"",  "---\n", "? a\n", "%TAG ! a\n", "- - a\n",
        "a: &b x\n", "|\n",   "'",    ",",  "]",   "}",     ": "}) {
    EXPECT_FALSE(complaints_about_text(repeated(piece, large)).empty()) << piece;
  }
  EXPECT_THAT(complaints(repeated("- ", 100)), testing::Not(ElementsAre()));
  EXPECT_THAT(complaints("x: " + repeated("[", 100)), testing::Not(ElementsAre()));
  EXPECT_THAT(complaints_about_text(repeated("# x\n", max_file_bytes + 1)),
              ElementsAre("f.yaml: is larger than 4MiB; no configuration needs that."));
  EXPECT_THAT(
      complaints_about_text("a:\n" + repeated("- b\n", 1 << 20)),
      ElementsAre("f.yaml:199999:3: more than 200000 values; no configuration needs that many."));
}

TEST(Parse, MessagesAreBoundedAndTheRestIsCounted) {
  std::string body;
  for (int i = 0; i < 1000; ++i) body += "wrong" + std::to_string(i) + ": 1\n";
  const auto lines = complaints(body);
  ASSERT_EQ(lines.size(), max_messages + 1);
  EXPECT_THAT(lines.front(), StartsWith("f.yaml:3:1: wrong0: unknown key"));
  EXPECT_EQ(lines.back(), "f.yaml: 800 more messages are not shown.");
}

TEST(Parse, MessagesShowNoControlCharactersOfTheFile) {
  expect_complaints({
      {"\"a\\e[31m\\n\": 1\n",
       {"f.yaml:3:1: a\\x1b[31m\\x0a: unknown key; known: apiVersion, node, reactors, memory, "
        "listeners, cache_devices, pools, volumes, hosts, subsystems, targets, iscsi, ... (16 in "
        "all)."}},
      {"log: {level: \"\\x07\\u20ac\"}\n",
       {"f.yaml:3:14: log.level: unknown value \"\\x07\\xe2\\x82\\xac\"; use one of error, warn, "
        "info, debug."}},
  });
}

TEST(Parse, AFileThatCannotBeReadIsAMessage) {
  const auto lines = [](const std::string& path) {
    std::vector<std::string> messages;
    for (const Message& message : parse_file(path).messages) messages.push_back(format(message));
    return messages;
  };
  EXPECT_THAT(lines("/nowhere/f.yaml"),
              ElementsAre("/nowhere/f.yaml: cannot be read: No such file or directory; check the "
                          "path and its permissions."));
  EXPECT_THAT(
      lines("/"),
      ElementsAre("/: cannot be read: Is a directory; check the path and its permissions."));
  EXPECT_THAT(lines("/dev/zero"),
              ElementsAre("/dev/zero: is larger than 4MiB; no configuration needs that."));
}

TEST(Parse, AFileIsReadAsItsText) {
  const std::filesystem::path path = std::filesystem::temp_directory_path() /
                                     ("forebay-config-" + std::to_string(::getpid()) + ".yaml");
  std::ofstream(path) << heading << "log: {level: loud}\n";
  const ParseOutcome outcome = parse_file(path.string());
  std::filesystem::remove(path);
  ASSERT_EQ(outcome.messages.size(), 1U);
  EXPECT_EQ(format(outcome.messages[0]),
            path.string() +
                ":3:14: log.level: unknown value \"loud\"; use one of error, warn, info, debug.");
}

}  // namespace
}  // namespace config
