#include "target/config_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <iterator>
#include <utility>

#include "target/applied_copy.h"
#include "target/utc_text.h"

namespace target {
namespace {

std::string first_error(const std::vector<config::Message>& messages) {
  const auto found =
      std::ranges::find(messages, config::Severity::error, &config::Message::severity);
  return found == messages.end() ? std::string() : config::format(*found);
}

// The change from the copy to the file was cut off: the copy is served, so that it can be made as
// what it is. A start with the new file would, for one, not serve a volume that is to leave its
// cache, because that has not been written back.
bool resumes(BootConfig& boot, const AppliedCopy& copy, const std::string& directory) {
  if (!boot.file.outcome.config) return false;
  const std::string hash = content_hash(boot.file.text);
  if (hash == content_hash(copy.text) || hash != marked_change(directory)) return false;
  auto outcome = config::parse_text(copy.text, copy.file);
  if (!outcome.config) return false;
  boot.config = std::move(outcome.config);
  boot.text = copy.text;
  boot.status.hash = content_hash(copy.text);
  boot.status.applied_ms = copy.applied_ms;
  boot.status.applied_by = copy.by;
  boot.status.resumes = true;
  return true;
}

}  // namespace

ConfigFile read_config_file(const std::string& path) {
  ConfigFile read;
  std::ifstream file(path, std::ios::binary);
  read.text.assign(std::istreambuf_iterator<char>(file), {});
  // What cannot be read is said in one place.
  read.outcome = read.text.empty() ? config::parse_file(path) : config::parse_text(read.text, path);
  return read;
}

BootConfig boot_config(const std::string& path, const std::string& directory) {
  BootConfig boot{.file = read_config_file(path)};
  auto copy = directory.empty() ? std::nullopt : read_applied_copy(directory);
  if (copy && copy->file != path) copy.reset();
  if (copy && resumes(boot, *copy, directory)) return boot;
  if (boot.file.outcome.config) {
    boot.config = std::move(boot.file.outcome.config);
    boot.text = boot.file.text;
    boot.status.hash = content_hash(boot.text);
    const bool is_known = copy && content_hash(copy->text) == boot.status.hash;
    boot.status.applied_by = is_known ? copy->by : "start";
    boot.status.applied_ms =
        is_known
            ? copy->applied_ms
            : static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(
                                             std::chrono::system_clock::now().time_since_epoch())
                                             .count());
    return boot;
  }
  if (!copy) return boot;
  auto outcome = config::parse_text(copy->text, path);
  if (!outcome.config) return boot;
  boot.config = std::move(outcome.config);
  boot.text = std::move(copy->text);
  boot.status.hash = content_hash(boot.text);
  boot.status.applied_ms = copy->applied_ms;
  boot.status.applied_by = copy->by;
  boot.status.is_copy = true;
  boot.status.note = fmt::format("last applied copy of {}, because {}", utc_text(copy->applied_ms),
                                 first_error(boot.file.outcome.messages));
  return boot;
}

}  // namespace target
