// FakeSystem: the parts of /sys, /proc, /dev and udev's database that tell of disks, in a
// directory.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>

#include "engine/pool/sys_block.h"
#include "tests/engine/test_directory.h"

namespace engine {

class FakeSystem {
 public:
  FakeSystem() {
    for (const char* const folder :
         {"sys/dev/block", "sys/class/block", "proc/self", "dev/disk/by-id", "udev/data"}) {
      std::filesystem::create_directories(root_ / folder);
    }
  }
  FakeSystem(const FakeSystem&) = delete;
  FakeSystem& operator=(const FakeSystem&) = delete;

  [[nodiscard]] SystemRoots roots() const {
    return {
        .sys = root_ / "sys", .proc = root_ / "proc", .dev = root_ / "dev", .udev = root_ / "udev"};
  }
  [[nodiscard]] std::filesystem::path path() const { return root_; }

  // `name` with its number "8:16"; `disk`: which it is a partition of.
  void add(const std::string& name, const std::string& number, const std::string& disk = {}) {
    const auto place = root_ / "sys/devices" / disk / name;
    std::filesystem::create_directories(place / "holders");
    std::filesystem::create_directories(place / "slaves");
    std::filesystem::create_directories(place / "queue");
    places_[name] = place;
    write(name, "dev", number + "\n");
    if (!disk.empty()) write(name, "partition", "1\n");
    std::filesystem::create_directory_symlink(place, root_ / "sys/dev/block" / number);
    std::filesystem::create_directory_symlink(place, root_ / "sys/class/block" / name);
    std::ofstream(root_ / "dev" / name) << "";  // stands for the node
  }
  void write(const std::string& name, const std::string& attribute, const std::string& text) {
    const auto file = places_.at(name) / attribute;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file, std::ios::binary) << text;
  }
  // `upper` is built on `lower`.
  void stack(const std::string& upper, const std::string& lower) {
    std::filesystem::create_directory_symlink(places_.at(upper),
                                              places_.at(lower) / "holders" / upper);
    std::filesystem::create_directory_symlink(places_.at(lower),
                                              places_.at(upper) / "slaves" / lower);
  }
  void link(const std::string& path, const std::string& target) const {
    std::filesystem::create_directories((root_ / "dev" / path).parent_path());
    std::filesystem::create_symlink(target, root_ / "dev" / path);
  }
  void mount(const std::string& number, const std::string& place, const std::string& source) {
    std::ofstream(root_ / "proc/self/mountinfo", std::ios::app)
        << "36 25 " << number << " / " << place << " rw,relatime shared:1 - ext4 " << source
        << " rw\n";
  }
  void swaps(const std::string& lines) const {
    std::ofstream(root_ / "proc/swaps") << "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"
                                        << lines;
  }
  void udev(const std::string& number, const std::string& lines) const {
    std::ofstream(root_ / "udev/data" / ("b" + number)) << lines;
  }
  [[nodiscard]] SysBlock block(const std::string& name) const {
    const auto found = SysBlock::find("/dev/" + name, roots());
    EXPECT_TRUE(found) << name;
    return *found;
  }

 private:
  const TestDirectory directory_{"system"};
  const std::filesystem::path root_ = directory_.path();
  std::map<std::string, std::filesystem::path> places_;
};

}  // namespace engine
