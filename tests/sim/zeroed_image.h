// ZeroedImage: the bytes of a simulated disk.
#pragma once

#include <sys/mman.h>

#include <algorithm>
#include <cstddef>
#include <span>
#include <utility>

#include "engine/foundation/check.h"

namespace engine {

// Zeros take neither memory nor time until they are written: tests make many large disks of which
// they touch little.
class ZeroedImage {
 public:
  explicit ZeroedImage(std::size_t bytes) : size_(bytes) {
    if (size_ == 0) return;
    void* const mapped = ::mmap(nullptr, size_, PROT_READ | PROT_WRITE,
                                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    CHECK(mapped != MAP_FAILED);
    bytes_ = static_cast<std::byte*>(mapped);
  }
  ~ZeroedImage() {
    if (bytes_ != nullptr) ::munmap(bytes_, size_);
  }
  ZeroedImage(const ZeroedImage& other) : ZeroedImage(other.size_) {
    std::ranges::copy(other.bytes(), bytes_);
  }
  ZeroedImage& operator=(ZeroedImage other) {
    std::swap(bytes_, other.bytes_);
    std::swap(size_, other.size_);
    return *this;
  }

  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] std::span<std::byte> bytes() { return {bytes_, size_}; }
  [[nodiscard]] std::span<const std::byte> bytes() const { return {bytes_, size_}; }

  void grow(std::size_t bytes) {
    CHECK(size_ > 0 && bytes >= size_);
    void* const moved = ::mremap(bytes_, size_, bytes, MREMAP_MAYMOVE);
    CHECK(moved != MAP_FAILED);
    bytes_ = static_cast<std::byte*>(moved);
    size_ = bytes;
  }

 private:
  std::size_t size_;
  std::byte* bytes_ = nullptr;
};

}  // namespace engine
