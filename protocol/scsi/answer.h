// Parameter data for a host, written front to back into a buffer that may be shorter than it: what
// does not fit is counted and left out (SPC-4, "Allocation length"). So a length field always tells
// the whole, and nothing has to be measured first.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <type_traits>

namespace protocol::scsi {

class Answer {
 public:
  // `space`: no larger than the command's ALLOCATION LENGTH; it outlives the Answer.
  explicit Answer(std::span<std::byte> space) : space_(space) {}

  void put_bytes(std::span<const std::byte> bytes) {
    if (full_bytes_ < space_.size()) {
      const auto fits = std::min(bytes.size(), space_.size() - full_bytes_);
      if (fits != 0) std::memcpy(space_.data() + full_bytes_, bytes.data(), fits);
    }
    full_bytes_ += bytes.size();
  }
  template <class T>
  requires std::is_trivially_copyable_v<T> &&(alignof(T) == 1) void put(const T& value) {
    put_bytes(std::as_bytes(std::span<const T, 1>(&value, 1)));
  }
  void put_text(std::string_view text) { put_bytes(std::as_bytes(std::span(text))); }
  void put_zeros(std::size_t count) {
    for (; count != 0; --count) put(std::uint8_t{0});
  }
  // Writes over what was put at `at` before: a length that is known only at the end.
  template <class T>
  requires std::is_trivially_copyable_v<T> &&
      (alignof(T) == 1) void put_at(std::size_t at, const T& value) {
    const auto bytes = std::as_bytes(std::span<const T, 1>(&value, 1));
    if (at >= space_.size()) return;
    std::memcpy(space_.data() + at, bytes.data(), std::min(bytes.size(), space_.size() - at));
  }

  // As if the buffer were long enough.
  [[nodiscard]] std::size_t full_bytes() const { return full_bytes_; }
  // What the host gets.
  [[nodiscard]] std::span<const std::byte> written() const {
    return space_.first(std::min(full_bytes_, space_.size()));
  }

 private:
  std::span<std::byte> space_;
  std::size_t full_bytes_ = 0;
};

}  // namespace protocol::scsi
