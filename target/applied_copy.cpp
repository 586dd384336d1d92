#include "target/applied_copy.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <span>
#include <system_error>
#include <vector>

#include "engine/foundation/crc32c.h"
#include "target/net/unique_fd.h"

namespace target {
namespace {

// The last line of the file, a comment; its fields are separated by tabs.
constexpr std::string_view mark = "# forebay applied 1";

std::string path_in(const std::string& directory) { return directory + "/applied.yaml"; }

std::string problem_of(const std::string& path, int error) {
  return fmt::format(
      "{} cannot be written: {}; a start with a broken file could not fall back to it", path,
      std::generic_category().message(error));
}

bool write_all(int descriptor, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t put = ::write(descriptor, bytes.data(), bytes.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(put));
  }
  return true;
}

std::vector<std::string> fields_of(std::string_view line) {
  std::vector<std::string> fields;
  while (true) {
    const std::size_t tab = line.find('\t');
    fields.emplace_back(line.substr(0, tab));
    if (tab == std::string_view::npos) return fields;
    line.remove_prefix(tab + 1);
  }
}

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
  const std::string path = path_in(directory);
  const std::string fresh = path + ".new";
  // Nobody but the daemon needs to read it; secrets do not stand in it.
  const UniqueFd file(
      ::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file) return problem_of(fresh, errno);
  const std::string trailer = fmt::format("\n{}\t{}\t{}\t{}\t{}\n", mark, content_hash(copy.text),
                                          copy.applied_ms, copy.by, copy.file);
  if (!write_all(file.get(), copy.text) || !write_all(file.get(), trailer) ||
      ::fsync(file.get()) != 0) {
    return problem_of(fresh, errno);
  }
  if (std::rename(fresh.c_str(), path.c_str()) != 0) return problem_of(path, errno);
  const UniqueFd folder(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder || ::fsync(folder.get()) != 0) return problem_of(path, errno);
  return engine::success();
}

std::optional<AppliedCopy> read_applied_copy(const std::string& directory) {
  std::ifstream file(path_in(directory), std::ios::binary);
  const std::string all{std::istreambuf_iterator<char>(file), {}};
  const std::size_t at = all.rfind("\n" + std::string(mark));
  if (at == std::string::npos || !all.ends_with('\n')) return std::nullopt;
  const auto fields = fields_of(std::string_view(all).substr(at + 1, all.size() - at - 2));
  AppliedCopy copy{.text = all.substr(0, at)};
  if (fields.size() != 5 || fields[1] != content_hash(copy.text)) return std::nullopt;
  const char* const end = fields[2].data() + fields[2].size();
  if (std::from_chars(fields[2].data(), end, copy.applied_ms).ptr != end) return std::nullopt;
  copy.by = fields[3];
  copy.file = fields[4];
  return copy;
}

}  // namespace target
