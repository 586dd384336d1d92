// file_content: all of a file, read at once. A byte at a time, a cache takes a sanitizer seconds.
#pragma once

#include <filesystem>
#include <fstream>
#include <string>

namespace engine {

// Of a regular file. Empty if it cannot be read.
[[nodiscard]] inline std::string file_content(const std::string& path) {
  std::error_code unreadable;
  const auto size = std::filesystem::file_size(path, unreadable);
  if (unreadable) return {};
  std::string content(size, '\0');
  std::ifstream file(path, std::ios::binary);
  file.read(content.data(), static_cast<std::streamsize>(size));
  content.resize(static_cast<std::size_t>(file.gcount()));
  return content;
}

}  // namespace engine
