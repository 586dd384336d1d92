#include "target/control/user_name.h"

#include <fmt/format.h>
#include <pwd.h>

#include <cstdio>
#include <memory>

namespace target::control {
namespace {

// NSS would also ask whom nsswitch.conf names.
std::string name_in_file(uid_t uid, const char* path) {
  struct Closer {
    void operator()(std::FILE* file) const { (void)std::fclose(file); }
  };
  const std::unique_ptr<std::FILE, Closer> file(std::fopen(path, "re"));
  if (!file) return {};
  passwd entry{};
  passwd* found = nullptr;
  char space[4096];
  while (::fgetpwent_r(file.get(), &entry, space, sizeof(space), &found) == 0) {
    if (entry.pw_uid == uid) return entry.pw_name;
  }
  return {};
}

}  // namespace

std::string user_name(uid_t uid) {
  if (uid == 0) return "root";
  std::string name = name_in_file(uid, "/etc/passwd");
  return name.empty() ? fmt::format("uid {}", uid) : name;
}

}  // namespace target::control
