#include "engine/pool/sys_block.h"

#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <iterator>

namespace engine {
namespace {

namespace fs = std::filesystem;

constexpr const char* white_space = " \t\n\r";
constexpr std::size_t longest_attribute = 65536;

// Names of what is in a directory, in their order.
std::vector<std::string> names_in(const std::string& directory) {
  std::vector<std::string> names;
  std::error_code error;
  for (auto at = fs::directory_iterator(directory, error); !error && at != fs::directory_iterator();
       at.increment(error)) {
    names.push_back(at->path().filename());
  }
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace

std::optional<dev_t> parse_device_number(const std::string& text) {
  unsigned major_number = 0;
  unsigned minor_number = 0;
  const char* const end = text.data() + text.size();
  const auto first = std::from_chars(text.data(), end, major_number);
  if (first.ec != std::errc{} || first.ptr == end || *first.ptr != ':') return std::nullopt;
  const auto second = std::from_chars(first.ptr + 1, end, minor_number);
  if (second.ec != std::errc{} || second.ptr != end) return std::nullopt;
  return makedev(major_number, minor_number);
}

std::string device_number_text(dev_t number) {
  return std::to_string(major(number)) + ":" + std::to_string(minor(number));
}

std::optional<SysBlock> SysBlock::at(const std::string& directory) {
  std::error_code error;
  const fs::path real = fs::canonical(directory, error);
  if (error) return std::nullopt;
  SysBlock found(real, 0);
  const auto number = parse_device_number(found.attribute("dev"));
  if (!number) return std::nullopt;
  found.number_ = *number;
  return found;
}

std::optional<SysBlock> SysBlock::find(dev_t number, const SystemRoots& roots) {
  return at(roots.sys + "/dev/block/" + device_number_text(number));
}

std::optional<SysBlock> SysBlock::find(const std::string& node, const SystemRoots& roots) {
  constexpr std::string_view devices = "/dev/";
  if (!node.starts_with(devices)) return std::nullopt;
  const std::string path = roots.dev + "/" + node.substr(devices.size());
  struct stat status {};
  if (stat(path.c_str(), &status) == 0 && S_ISBLK(status.st_mode)) {
    return find(status.st_rdev, roots);
  }
  // A node that is gone, or not made yet: what it was called.
  std::error_code error;
  const fs::path real = fs::weakly_canonical(path, error);
  const std::string name = error ? fs::path(path).filename() : real.filename();
  return name.empty() ? std::nullopt : at(roots.sys + "/class/block/" + name);
}

std::string SysBlock::name() const { return fs::path(directory_).filename(); }

SysBlock SysBlock::disk() const {
  if (!is_partition()) return *this;
  const auto parent = at(fs::path(directory_).parent_path());
  return parent ? *parent : *this;
}

std::vector<SysBlock> SysBlock::partitions() const {
  std::vector<SysBlock> found;
  if (is_partition()) return found;
  for (const std::string& entry : names_in(directory_)) {
    if (auto part = at(directory_ + "/" + entry); part && part->is_partition()) {
      found.push_back(std::move(*part));
    }
  }
  return found;
}

std::vector<SysBlock> SysBlock::linked(const char* folder) const {
  std::vector<SysBlock> found;
  const std::string path = directory_ + "/" + folder;
  for (const std::string& entry : names_in(path)) {
    if (auto device = at(path + "/" + entry)) found.push_back(std::move(*device));
  }
  return found;
}

std::string SysBlock::bytes(const std::string& file) const {
  std::ifstream stream(directory_ + "/" + file, std::ios::binary);
  std::string text(longest_attribute, '\0');
  stream.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(std::max<std::streamsize>(stream.gcount(), 0)));
  return text;
}

std::string SysBlock::attribute(const std::string& file) const {
  const std::string text = bytes(file);
  const auto begin = text.find_first_not_of(white_space);
  if (begin == std::string::npos) return {};
  return text.substr(begin, text.find_last_not_of(white_space) - begin + 1);
}

}  // namespace engine
