// What the schema test asks the parser: its key table ("keys"), and its verdict on files ("check
// FILE...").
#include <fmt/format.h>

#include <iterator>
#include <string_view>

#include "config/keys.h"
#include "config/parse.h"

namespace {

// One line per key: pattern, key, need, min, max, choices; tabs between, commas in the last.
void print_keys() {
  for (const config::Section& section : config::all_sections()) {
    for (const config::Key& key : section.keys) {
      const std::string_view need = key.need == config::Need::required ? "required" : "optional";
      fmt::print("{}\t{}\t{}\t{}\t{}\t{}\t{}\n", section.pattern, key.name,
                 static_cast<int>(key.kind), need, key.min, key.max, fmt::join(key.choices, ","));
    }
  }
}

// The messages, each file's last line being its verdict.
void check(const char* path) {
  const config::ParseOutcome outcome = config::parse_file(path);
  for (const config::Message& message : outcome.messages) {
    fmt::print("{}\n", config::format(message));
  }
  fmt::print("{}\t{}\n", outcome.config ? "good" : "bad", path);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 2 && std::string_view(argv[1]) == "keys") {
    print_keys();
    return 0;
  }
  if (argc < 3 || std::string_view(argv[1]) != "check") {
    fmt::print(stderr, "usage: config_probe keys | check FILE...\n");
    return 2;
  }
  for (int i = 2; i < argc; ++i) check(argv[i]);
  return 0;
}
