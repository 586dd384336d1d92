#include "engine/pool/disk_use.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <optional>
#include <set>
#include <sstream>
#include <tuple>

namespace engine {
namespace {

namespace fs = std::filesystem;

// What a machine needs to start, and to run.
constexpr std::array boot_places{"/", "/boot", "/boot/efi", "/efi", "/usr"};
// A stack of devices is no higher; it ends the search should sysfs show a circle.
constexpr std::size_t most_devices_beneath = 4096;

// The kernel writes white space and backslashes in names as \040.
std::string unescaped(const std::string& text) {
  const auto digit = [&text](std::size_t at) {
    return at < text.size() && text[at] >= '0' && text[at] <= '7' ? text[at] - '0' : -1;
  };
  std::string plain;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const int high = digit(at + 1);
    const int middle = digit(at + 2);
    const int low = digit(at + 3);
    if (text[at] == '\\' && high >= 0 && high <= 3 && middle >= 0 && low >= 0) {
      plain.push_back(static_cast<char>(high * 64 + middle * 8 + low));
      at += 3;
    } else {
      plain.push_back(text[at]);
    }
  }
  return plain;
}

struct Mount {
  std::vector<SysBlock> devices;
  std::string place;
};

// Of each mount the device that its number names, and the one that its source names: btrfs and
// others have numbers that belong to no device.
std::vector<Mount> mounts(const SystemRoots& roots) {
  std::vector<Mount> found;
  std::ifstream file(roots.proc + "/self/mountinfo");
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string id, parent, number, root, place, word, type, source;
    if (!(words >> id >> parent >> number >> root >> place)) continue;
    while (words >> word && word != "-") {
    }
    words >> type >> source;
    Mount mount{.devices = {}, .place = unescaped(place)};
    if (const auto parsed = parse_device_number(number)) {
      if (auto device = SysBlock::find(*parsed, roots)) mount.devices.push_back(*device);
    }
    if (auto device = SysBlock::find(unescaped(source), roots)) mount.devices.push_back(*device);
    if (!mount.devices.empty()) found.push_back(std::move(mount));
  }
  return found;
}

std::vector<std::string> swap_places(const SystemRoots& roots) {
  std::vector<std::string> found;
  std::ifstream file(roots.proc + "/swaps");
  std::string line;
  std::getline(file, line);  // the heading
  while (std::getline(file, line)) found.push_back(unescaped(line.substr(0, line.find(' '))));
  return found;
}

// Everything that `top` is built on, with itself, and the disks of what are partitions.
std::vector<SysBlock> beneath(const SysBlock& top) {
  std::vector<SysBlock> all{top};
  const auto add = [&all](const SysBlock& device) {
    if (std::find(all.begin(), all.end(), device) == all.end()) all.push_back(device);
  };
  for (std::size_t at = 0; at < all.size() && at < most_devices_beneath; ++at) {
    const SysBlock device = all[at];
    add(device.disk());
    for (const SysBlock& slave : device.slaves()) add(slave);
    // What a partition is built on stands at its disk: an md device may have partitions.
  }
  return all;
}

std::string holder_text(const SysBlock& holder) {
  const std::string name = holder.attribute("dm/name");
  return name.empty() ? holder.name() : holder.name() + " (" + name + ")";
}

bool is_boot_place(const std::string& place) {
  return std::find(boot_places.begin(), boot_places.end(), place) != boot_places.end();
}

std::vector<DiskUse> in_order(std::vector<DiskUse> uses) {
  const auto key = [](const DiskUse& use) { return std::tie(use.kind, use.device, use.what); };
  std::sort(uses.begin(), uses.end(),
            [&key](const DiskUse& one, const DiskUse& other) { return key(one) < key(other); });
  uses.erase(std::unique(uses.begin(), uses.end()), uses.end());
  return uses;
}

bool is_same_file(const std::string& path, const struct stat& file) {
  struct stat other {};
  return stat(path.c_str(), &other) == 0 && S_ISREG(other.st_mode) && other.st_dev == file.st_dev &&
         other.st_ino == file.st_ino;
}

}  // namespace

std::vector<DiskUse> uses_of(const SysBlock& device, const SystemRoots& roots) {
  // The disk itself of a partition: who has mounted or taken it as a whole has that, too.
  std::vector<SysBlock> parts = device.partitions();
  parts.push_back(device);
  if (device.is_partition()) parts.push_back(device.disk());
  const auto has = [](const std::vector<SysBlock>& devices, const SysBlock& one) {
    return std::find(devices.begin(), devices.end(), one) != devices.end();
  };

  std::vector<DiskUse> uses;
  for (const Mount& mount : mounts(roots)) {
    for (const SysBlock& mounted : mount.devices) {
      if (is_boot_place(mount.place) && has(beneath(mounted), device)) {
        uses.push_back({DiskUse::Kind::boot, mounted.name(), mount.place});
      }
      if (has(parts, mounted)) {
        uses.push_back({DiskUse::Kind::mounted, mounted.name(), mount.place});
      }
    }
  }
  for (const std::string& place : swap_places(roots)) {
    const auto swap = SysBlock::find(place, roots);
    if (swap && has(parts, *swap)) uses.push_back({DiskUse::Kind::swap, swap->name(), place});
  }
  for (const SysBlock& part : parts) {
    for (const SysBlock& holder : part.holders()) {
      uses.push_back({DiskUse::Kind::held, part.name(), holder_text(holder)});
    }
  }
  return in_order(std::move(uses));
}

std::vector<DiskUse> uses_of(const struct stat& file, const SystemRoots& roots) {
  std::vector<DiskUse> uses;
  for (const std::string& place : swap_places(roots)) {
    if (is_same_file(place, file)) uses.push_back({DiskUse::Kind::swap, "", place});
  }
  std::error_code error;
  for (auto at = fs::directory_iterator(roots.sys + "/class/block", error);
       !error && at != fs::directory_iterator(); at.increment(error)) {
    const auto device = SysBlock::find("/dev/" + at->path().filename().string(), roots);
    if (!device) continue;
    const std::string beneath_it = device->attribute("loop/backing_file");
    if (!beneath_it.empty() && is_same_file(beneath_it, file)) {
      uses.push_back({DiskUse::Kind::held, "", device->name()});
    }
  }
  return in_order(std::move(uses));
}

}  // namespace engine
