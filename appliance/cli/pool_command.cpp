#include "appliance/cli/pool_command.h"

#include <fmt/format.h>

#include <cstdio>

#include "engine/pool/file_pool.h"

namespace cli {

int pool_init(const std::string& directory) {
  const auto uuid = engine::init_file_pool(directory);
  if (!uuid) {
    fmt::print(stderr, "forebayctl: {}\n", uuid.error().text);
    return 1;
  }
  fmt::print("{} is now the pool {}\n", directory, uuid.value().text());
  return 0;
}

}  // namespace cli
