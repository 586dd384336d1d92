// Memory that makes a write from it hang inside the kernel, as a disk does that does not answer.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <span>

namespace engine {

// Memory whose pages never come until release(): a write from it blocks a kernel worker, as a hung
// disk does.
class HungMemory {
 public:
  HungMemory() {
    descriptor_ = static_cast<int>(syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK));
    EXPECT_GE(descriptor_, 0)
        << "userfaultfd is needed (as root, or vm.unprivileged_userfaultfd=1)";
    uffdio_api api{.api = UFFD_API, .features = 0, .ioctls = 0};
    EXPECT_EQ(ioctl(descriptor_, UFFDIO_API, &api), 0);
    memory_ = mmap(nullptr, page_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    uffdio_register range{};
    range.range = {.start = reinterpret_cast<std::uintptr_t>(memory_), .len = page_bytes};
    range.mode = UFFDIO_REGISTER_MODE_MISSING;
    EXPECT_EQ(ioctl(descriptor_, UFFDIO_REGISTER, &range), 0);
  }
  ~HungMemory() {
    munmap(memory_, page_bytes);
    close(descriptor_);
  }
  [[nodiscard]] std::span<std::byte> bytes() const {
    return {static_cast<std::byte*>(memory_), page_bytes};
  }
  // Until so many kernel workers wait for the page.
  void await_blocked(int count) const {
    while (count > 0) {
      pollfd event{.fd = descriptor_, .events = POLLIN, .revents = 0};
      ASSERT_EQ(poll(&event, 1, 60000), 1);
      uffd_msg message{};
      if (read(descriptor_, &message, sizeof(message)) == sizeof(message)) --count;
    }
  }
  void release() {
    uffdio_zeropage zero{};
    zero.range = {.start = reinterpret_cast<std::uintptr_t>(memory_), .len = page_bytes};
    EXPECT_EQ(ioctl(descriptor_, UFFDIO_ZEROPAGE, &zero), 0);
  }

 private:
  static constexpr std::size_t page_bytes = 4096;
  int descriptor_ = -1;
  void* memory_ = nullptr;
};

}  // namespace engine
