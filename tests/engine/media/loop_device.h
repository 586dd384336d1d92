// LoopDevice: a block device of the kernel's (root only), for what no simulated disk can say.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/loop.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "engine/foundation/units.h"

namespace engine {

class LoopDevice {
 public:
  explicit LoopDevice(ByteCount size) {
    image_ = mkostemp(image_path_.data(), O_CLOEXEC);
    EXPECT_GE(image_, 0) << image_path_;
    EXPECT_EQ(ftruncate(image_, static_cast<off_t>(size.value)), 0);
    const int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
    EXPECT_GE(control, 0) << "no loop devices: the module loop, and root";
    // Somebody else may have taken the free one meanwhile.
    for (int attempts = 0; attempts < 100 && device_ < 0; ++attempts) {
      path_ = "/dev/loop" + std::to_string(ioctl(control, LOOP_CTL_GET_FREE));
      device_ = open(path_.c_str(), O_RDWR | O_CLOEXEC);
      if (device_ >= 0 && ioctl(device_, LOOP_SET_FD, image_) != 0) {
        close(device_);
        device_ = -1;
      }
    }
    EXPECT_GE(device_, 0) << path_;
    close(control);
  }
  ~LoopDevice() {
    ioctl(device_, LOOP_CLR_FD, 0);
    close(device_);
    close(image_);
    unlink(image_path_.c_str());
  }
  LoopDevice(const LoopDevice&) = delete;
  LoopDevice& operator=(const LoopDevice&) = delete;

  [[nodiscard]] const std::string& path() const { return path_; }
  // As a disk that is pulled: 0; the content is lost.
  void resize(ByteCount size) {
    EXPECT_EQ(ftruncate(image_, static_cast<off_t>(size.value)), 0);
    EXPECT_EQ(ioctl(device_, LOOP_SET_CAPACITY), 0);
  }

 private:
  std::string image_path_ = "forebay-loop-XXXXXX";
  std::string path_;
  int image_ = -1;
  int device_ = -1;
};

}  // namespace engine
