// Overrides: what operators have changed of what runs, over what the configuration file says, and
// what outlives a restart for that.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.h"
#include "engine/foundation/result.h"
#include "target/access_states.h"

namespace target {

struct Override {
  // One of each kind for one subject.
  enum class Kind : std::uint8_t {
    mode,    // of a volume's cache, instead of the file's; value: its name
    drain,   // of a volume, under way: begun again by the next start; no value
    access,  // of a listener, or a group of them; value: how it is to be reached
  };
  Kind kind = Kind::mode;
  std::string subject{};  // the volume, listener or group
  std::string value{};
  std::string by{};
  std::uint64_t since_ms = 0;  // since 1970
  // Not kept: what the file says instead; empty: it has none.
  std::string file_value{};
};
[[nodiscard]] const char* text(Override::Kind kind);
// One sentence for the operator: "mode of db01 is write-through (the file says write-back), by root
// since 2026-11-29 08:20 UTC".
[[nodiscard]] std::string sentence(const Override& one);

// Any thread, but for what is said to wait for a disk.
class Overrides {
 public:
  // Those that are kept below `directory`; empty: nothing is kept. May wait for a disk.
  explicit Overrides(std::string directory);
  Overrides(const Overrides&) = delete;
  Overrides& operator=(const Overrides&) = delete;

  // What is wrong with the file that was there, which is ignored then; empty: nothing.
  [[nodiscard]] const std::string& damage() const { return damage_; }
  // By kind and subject.
  [[nodiscard]] std::vector<Override> all() const;
  [[nodiscard]] std::size_t size() const;
  // In place of the one of that kind and subject.
  void set(Override one);
  // False: there is none.
  bool erase(Override::Kind kind, const std::string& subject);
  void replace(std::vector<Override> all);
  // Brings them to the disk as they are now, all or not at all, unless they are there. May wait for
  // it; one thread at a time. The error is one line for the operator: they hold until the daemon
  // ends.
  [[nodiscard]] engine::Result<void, std::string> keep() { return keep(all()); }
  // The same of those that are about to be in force.
  [[nodiscard]] engine::Result<void, std::string> keep(const std::vector<Override>& wanted);

 private:
  const std::string directory_;
  std::string damage_;
  // What is on the disk; a file that is damaged counts as empty until it changes. nullopt: who
  // knows, it could not be written to its end.
  std::optional<std::string> kept_;
  mutable std::mutex mutex_;  // guards all_; a leaf
  std::vector<Override> all_;
};

// As the file of them has it, with its checksum; and back: nullopt, not all of it is as written.
[[nodiscard]] std::string to_text(const std::vector<Override>& all);
[[nodiscard]] std::optional<std::vector<Override>> parse_overrides(std::string_view text);

// How listeners are to be reached, of all that is said of them.
[[nodiscard]] AccessStates access_states(const std::vector<Override>& all);
// What is served: the file's configuration with what overrides it.
[[nodiscard]] std::shared_ptr<const config::Config> overridden(
    const std::shared_ptr<const config::Config>& file, const std::vector<Override>& all);
// What the file says instead of it; empty: it knows no such volume or cache, or says nothing of it.
[[nodiscard]] std::string file_value(const config::Config& file, const Override& one);
[[nodiscard]] std::vector<Override> with_file_values(const config::Config& file,
                                                     std::vector<Override> all);

}  // namespace target
