// PDUs that stock kernels sent, from the files in golden/.
#pragma once

#include <cstddef>
#include <fstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/protocol/wire/hex.h"

namespace protocol {

// The bytes of golden/NAME.hex. Throws if there is no such file. FOREBAY_SOURCE_DIR is the root.
[[nodiscard]] inline std::vector<std::byte> golden_frame(const std::string& name) {
  const std::string path =
      std::string(FOREBAY_SOURCE_DIR) + "/tests/protocol/nvme_tcp/golden/" + name + ".hex";
  std::ifstream file(path);
  if (!file) throw std::runtime_error("no golden frame " + path);
  std::string text;
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with('#')) text += line + '\n';
  }
  return wire::bytes_from_hex(text);
}

}  // namespace protocol
