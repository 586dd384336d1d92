#include "target/applied_copy.h"

#include <fmt/format.h>

#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <span>
#include <vector>

#include "engine/foundation/crc32c.h"
#include "target/control/state_file.h"

namespace target {
namespace {

// The last line of the file, a comment; its fields are separated by tabs.
constexpr std::string_view mark = "# forebay applied 1";
constexpr const char* file_name = "applied.yaml";
constexpr const char* change_name = "changing";

}  // namespace

std::string content_hash(std::string_view text) {
  return fmt::format("{:08x}", engine::crc32c(std::as_bytes(std::span(text))));
}

std::string state_directory() {
  const char* by_service_manager = std::getenv("STATE_DIRECTORY");
  return by_service_manager != nullptr ? by_service_manager : "/var/lib/forebay";
}

engine::Result<void, std::string> write_applied_copy(const std::string& directory,
                                                     const AppliedCopy& copy) {
  // Secrets do not stand in it.
  auto written = control::write_state_file(
      directory, file_name,
      fmt::format("{}\n{}\t{}\t{}\t{}\t{}\n", copy.text, mark, content_hash(copy.text),
                  copy.applied_ms, copy.by, copy.file));
  if (written) return written;
  return written.error() + "; a start with a broken file could not fall back to it";
}

engine::Result<void, std::string> mark_change(const std::string& directory,
                                              const std::string& hash) {
  if (!hash.empty()) return control::write_state_file(directory, change_name, hash);
  // What stays of it names what runs by then, and means nothing.
  (void)std::remove((directory + "/" + change_name).c_str());
  return engine::success();
}

std::string marked_change(const std::string& directory) {
  std::ifstream file(directory + "/" + change_name, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::optional<AppliedCopy> read_applied_copy(const std::string& directory) {
  std::ifstream file(directory + "/" + file_name, std::ios::binary);
  const std::string all{std::istreambuf_iterator<char>(file), {}};
  const std::size_t at = all.rfind("\n" + std::string(mark));
  if (at == std::string::npos || !all.ends_with('\n')) return std::nullopt;
  const auto fields =
      control::tab_fields(std::string_view(all).substr(at + 1, all.size() - at - 2));
  AppliedCopy copy{.text = all.substr(0, at)};
  if (fields.size() != 5 || fields[1] != content_hash(copy.text)) return std::nullopt;
  const char* const end = fields[2].data() + fields[2].size();
  if (std::from_chars(fields[2].data(), end, copy.applied_ms).ptr != end) return std::nullopt;
  copy.by = fields[3];
  copy.file = fields[4];
  return copy;
}

}  // namespace target
