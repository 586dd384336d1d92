// SysBlock: a block device as sysfs shows it.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

namespace engine {

// Where a machine tells of its disks; tests give directories of their own.
struct SystemRoots {
  std::string sys = "/sys";
  std::string proc = "/proc";
  std::string dev = "/dev";
  std::string udev = "/run/udev";
};

// What is not there, or not readable, is empty: sysfs changes while it is read. One thread.
class SysBlock {
 public:
  // nullopt: no block device of that number.
  [[nodiscard]] static std::optional<SysBlock> find(dev_t number, const SystemRoots& roots);
  // By a path in /dev that somebody has noted down, also where udev has renamed it.
  [[nodiscard]] static std::optional<SysBlock> find(const std::string& node,
                                                    const SystemRoots& roots);

  [[nodiscard]] dev_t number() const { return number_; }
  // As the kernel calls it: "sdb1".
  [[nodiscard]] std::string name() const;
  [[nodiscard]] bool is_partition() const { return !attribute("partition").empty(); }
  // The disk that a partition lies on; of anything else the device itself.
  [[nodiscard]] SysBlock disk() const;
  [[nodiscard]] std::vector<SysBlock> partitions() const;
  // What is built on it (dm, md, bcache), and what it is built on.
  [[nodiscard]] std::vector<SysBlock> holders() const { return linked("holders"); }
  [[nodiscard]] std::vector<SysBlock> slaves() const { return linked("slaves"); }
  // The text of a file below its directory, without white space around it.
  [[nodiscard]] std::string attribute(const std::string& file) const;
  // The same with every byte.
  [[nodiscard]] std::string bytes(const std::string& file) const;

  friend bool operator==(const SysBlock& one, const SysBlock& other) {
    return one.number_ == other.number_;
  }

 private:
  SysBlock(std::string directory, dev_t number)
      : directory_(std::move(directory)), number_(number) {}
  [[nodiscard]] static std::optional<SysBlock> at(const std::string& directory);
  [[nodiscard]] std::vector<SysBlock> linked(const char* folder) const;

  std::string directory_;  // without links
  dev_t number_ = 0;
};

// "8:16"; nullopt for anything else.
[[nodiscard]] std::optional<dev_t> parse_device_number(const std::string& text);
[[nodiscard]] std::string device_number_text(dev_t number);

}  // namespace engine
