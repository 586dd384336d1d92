#include "engine/pool/disk_identity.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>

namespace engine {
namespace {

namespace fs = std::filesystem;

// SCSI: the unit serial number page begins with the page's code and length.
constexpr std::size_t vital_page_header = 4;

std::string trimmed(const std::string& text) {
  const auto begin = text.find_first_not_of(' ');
  if (begin == std::string::npos) return {};
  return text.substr(begin, text.find_last_not_of(' ') - begin + 1);
}

using Properties = std::map<std::string, std::string>;

Properties udev_properties(dev_t number, const SystemRoots& roots) {
  Properties found;
  std::ifstream database(roots.udev + "/data/b" + device_number_text(number));
  for (std::string line; std::getline(database, line);) {
    const auto equals = line.find('=');
    if (!line.starts_with("E:") || equals == std::string::npos) continue;
    found[line.substr(2, equals - 2)] = line.substr(equals + 1);
  }
  return found;
}

std::string first_of(const Properties& properties, std::initializer_list<const char*> keys) {
  for (const char* const key : keys) {
    if (const auto found = properties.find(key); found != properties.end()) return found->second;
  }
  return {};
}

std::string first_of(const SysBlock& disk, std::initializer_list<const char*> files) {
  for (const char* const file : files) {
    if (std::string text = disk.attribute(file); !text.empty()) return text;
  }
  return {};
}

std::string serial_in_sysfs(const SysBlock& disk) {
  // NVMe and MMC; virtio; device mapper; md.
  std::string serial = first_of(disk, {"device/serial", "serial", "dm/uuid", "md/uuid"});
  if (!serial.empty()) return serial;
  const std::string page = disk.bytes("device/vpd_pg80");
  if (page.size() <= vital_page_header) return {};
  serial = page.substr(vital_page_header);
  serial.resize(std::min(serial.size(), serial.find('\0')));
  return trimmed(serial);
}

// Lower is more telling: the bus and the serial number before a bare world-wide name.
int rank(const std::string& link) {
  if (link.starts_with("wwn-") || link.starts_with("nvme-eui.") || link.starts_with("nvme-uuid.")) {
    return 2;
  }
  return link.starts_with("scsi-") || link.starts_with("dm-uuid-") ||
                 link.starts_with("lvm-pv-uuid-")
             ? 1
             : 0;
}

std::vector<std::string> links_to(const SysBlock& device, const SystemRoots& roots) {
  std::vector<std::string> found;
  std::error_code error;
  for (auto at = fs::directory_iterator(roots.dev + "/disk/by-id", error);
       !error && at != fs::directory_iterator(); at.increment(error)) {
    const std::string name = at->path().filename();
    const auto target = SysBlock::find("/dev/disk/by-id/" + name, roots);
    if (target && *target == device) found.push_back(printable(name));
  }
  std::sort(found.begin(), found.end(), [](const std::string& one, const std::string& other) {
    return std::pair(rank(one), one) < std::pair(rank(other), other);
  });
  return found;
}

}  // namespace

std::string printable(std::string_view text) {
  std::string shown;
  for (const char character : text) {
    const bool plain =
        character >= ' ' && character <= '~' && character != '"' && character != '\\';
    shown.push_back(plain ? character : '?');
  }
  return shown;
}

DiskIdentity identity_of(const SysBlock& device, const SystemRoots& roots) {
  const SysBlock disk = device.disk();
  const Properties known = udev_properties(disk.number(), roots);
  DiskIdentity identity;
  identity.kernel_name = device.name();
  identity.model = first_of(known, {"ID_MODEL"});
  if (identity.model.empty()) {
    identity.model = first_of(disk, {"device/model", "device/name", "dm/name"});
  }
  identity.serial = first_of(known, {"ID_SERIAL_SHORT", "ID_SCSI_SERIAL"});
  if (identity.serial.empty()) identity.serial = serial_in_sysfs(disk);
  identity.wwn = first_of(known, {"ID_WWN_WITH_EXTENSION", "ID_WWN"});
  if (identity.wwn.empty()) identity.wwn = first_of(disk, {"wwid", "device/wwid"});
  for (std::string* const text : {&identity.model, &identity.serial, &identity.wwn}) {
    *text = printable(trimmed(*text));
  }
  identity.links = links_to(device, roots);
  identity.is_rotational = disk.attribute("queue/rotational") == "1";
  return identity;
}

}  // namespace engine
