// Reads a page by the byte offsets of the specification and not by our structs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include "engine/foundation/byte_cursor.h"

namespace protocol::nvme {

class PageBytes {
 public:
  template <class Page>
  explicit PageBytes(const Page& page) {
    const auto bytes = engine::bytes_of(page);
    bytes_.assign(bytes.begin(), bytes.end());
  }
  explicit PageBytes(std::vector<std::byte> bytes) : bytes_(std::move(bytes)) {}

  [[nodiscard]] std::size_t size() const { return bytes_.size(); }
  // The little endian number of `size` bytes at `offset`; all ones if it is not all there.
  [[nodiscard]] std::uint64_t number(std::size_t offset, std::size_t size) const {
    if (offset + size > bytes_.size()) return ~std::uint64_t{0};
    std::uint64_t value = 0;
    for (std::size_t i = size; i-- > 0;)
      value = value << 8 | std::to_integer<std::uint64_t>(bytes_[offset + i]);
    return value;
  }
  [[nodiscard]] std::string text(std::size_t offset, std::size_t size) const {
    std::string text;
    for (std::size_t i = offset; i < offset + size && i < bytes_.size(); ++i) {
      text.push_back(static_cast<char>(bytes_[i]));
    }
    return text;
  }
  // Whether [begin, end) is all zeros.
  [[nodiscard]] bool is_zero(std::size_t begin, std::size_t end) const {
    for (std::size_t i = begin; i < end; ++i) {
      if (bytes_.at(i) != std::byte{0}) return false;
    }
    return true;
  }

 private:
  std::vector<std::byte> bytes_;
};

}  // namespace protocol::nvme
