#include "target/control/state_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <system_error>

#include "target/net/unique_fd.h"

namespace target::control {
namespace {

std::string not_written(const std::string& path, int error) {
  return fmt::format("{} cannot be written: {}", path, std::generic_category().message(error));
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

}  // namespace

engine::Result<void, std::string> write_state_file(const std::string& directory,
                                                   const std::string& name, std::string_view text) {
  const std::string path = directory + "/" + name;
  const std::string fresh = path + ".new";
  (void)::unlink(fresh.c_str());  // of a daemon that was killed here
  const UniqueFd file(::open(fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!file) return not_written(fresh, errno);
  if (!write_all(file.get(), text) || ::fsync(file.get()) != 0) return not_written(fresh, errno);
  if (std::rename(fresh.c_str(), path.c_str()) != 0) return not_written(path, errno);
  const UniqueFd folder(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder || ::fsync(folder.get()) != 0) return not_written(path, errno);
  return engine::success();
}

std::vector<std::string> tab_fields(std::string_view line) {
  std::vector<std::string> fields;
  while (true) {
    const std::size_t tab = line.find('\t');
    fields.emplace_back(line.substr(0, tab));
    if (tab == std::string_view::npos) return fields;
    line.remove_prefix(tab + 1);
  }
}

}  // namespace target::control
