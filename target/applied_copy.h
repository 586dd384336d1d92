// AppliedCopy: the configuration that was served last, for a start whose file is broken.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "engine/foundation/result.h"

namespace target {

struct AppliedCopy {
  std::string text{};            // as it stood in the file
  std::string file{};            // which
  std::uint64_t applied_ms = 0;  // since 1970
  std::string by{};              // who applied it
};

// Names the content, for status: two files with one hash are the same configuration.
[[nodiscard]] std::string content_hash(std::string_view text);

// Where the daemon keeps what it remembers: $STATE_DIRECTORY, or /var/lib/forebay.
[[nodiscard]] std::string state_directory();

// Below `directory`: in place of the one before it at once, or not at all, and on the disk when it
// returns. The error is one line for the operator.
[[nodiscard]] engine::Result<void, std::string> write_applied_copy(const std::string& directory,
                                                                   const AppliedCopy& copy);
// Beside the copy, while what runs is changed from that to the content with `hash`; empty: no
// change is under way. A start that finds it knows that a crash has cut one off.
[[nodiscard]] engine::Result<void, std::string> mark_change(const std::string& directory,
                                                            const std::string& hash);
[[nodiscard]] std::string marked_change(const std::string& directory);

// nullopt: there is none, or not all of it is as it was written.
[[nodiscard]] std::optional<AppliedCopy> read_applied_copy(const std::string& directory);

}  // namespace target
