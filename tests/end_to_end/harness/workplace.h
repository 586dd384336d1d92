// Where a daemon under test lives: a directory that is removed afterwards, and ports that nobody
// else has.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace end_to_end {

class Workplace {
 public:
  Workplace();
  Workplace(const Workplace&) = delete;
  Workplace& operator=(const Workplace&) = delete;
  ~Workplace();

  // On a disk, with a path short enough for a socket's name.
  [[nodiscard]] const std::string& directory() const { return directory_; }
  [[nodiscard]] std::string path(std::string_view name) const {
    return directory_ + "/" + std::string(name);
  }
  // A TCP port outside the range of outgoing connections, kept from other tests that run at the
  // same time.
  std::uint16_t free_port();
  // A directory that `forebayctl pool init` has made a file pool.
  std::string make_pool(std::string_view name);
  // A file that `forebay-media format` has made a cache, with checksums; `environment`: as the
  // daemon will have it.
  std::string make_cache(std::string_view name, std::string_view size,
                         const std::vector<std::string>& environment = {});

 private:
  std::string directory_;
  std::vector<int> port_claims_;
};

void write_file(const std::string& path, std::string_view text);

}  // namespace end_to_end
