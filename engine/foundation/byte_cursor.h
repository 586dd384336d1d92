// A cursor over borrowed bytes: every bounds check of the codecs lives here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <type_traits>

namespace engine {

// Reads wire or media structs front to back. Nothing is consumed when a read does not fit.
class ByteReader {
 public:
  explicit ByteReader(std::span<const std::byte> bytes) : rest_(bytes) {}

  // A copy of the next sizeof(T) bytes as T; nullopt if fewer remain.
  template <class T>
  requires std::is_trivially_copyable_v<T>
  [[nodiscard]] std::optional<T> read() {
    if (rest_.size() < sizeof(T)) return std::nullopt;
    T value;
    std::memcpy(&value, rest_.data(), sizeof(T));
    rest_ = rest_.subspan(sizeof(T));
    return value;
  }

  // A view of the next `count` bytes (same lifetime as the source); nullopt if fewer remain.
  [[nodiscard]] std::optional<std::span<const std::byte>> take(std::size_t count) {
    if (rest_.size() < count) return std::nullopt;
    auto taken = rest_.first(count);
    rest_ = rest_.subspan(count);
    return taken;
  }

  [[nodiscard]] std::span<const std::byte> rest() const { return rest_; }
  [[nodiscard]] std::size_t remaining() const { return rest_.size(); }

 private:
  std::span<const std::byte> rest_;
};

// Writes structs front to back into borrowed space; false (and nothing written) when they do not
// fit.
class ByteWriter {
 public:
  explicit ByteWriter(std::span<std::byte> space) : space_(space) {}

  template <class T>
  requires std::is_trivially_copyable_v<T>
  [[nodiscard]] bool write(const T& value) {
    return write_bytes(std::as_bytes(std::span<const T, 1>(&value, 1)));
  }

  [[nodiscard]] bool write_bytes(std::span<const std::byte> bytes) {
    if (space_.size() - used_ < bytes.size()) return false;
    if (!bytes.empty()) std::memcpy(space_.data() + used_, bytes.data(), bytes.size());
    used_ += bytes.size();
    return true;
  }

  [[nodiscard]] bool write_zeros(std::size_t count) {
    if (space_.size() - used_ < count) return false;
    if (count != 0) std::memset(space_.data() + used_, 0, count);
    used_ += count;
    return true;
  }

  [[nodiscard]] std::size_t used() const { return used_; }
  [[nodiscard]] std::span<const std::byte> written() const { return space_.first(used_); }

 private:
  std::span<std::byte> space_;
  std::size_t used_ = 0;
};

// The bytes of a struct, for sending or comparing.
template <class T>
requires std::is_trivially_copyable_v<T>
[[nodiscard]] std::span<const std::byte> bytes_of(const T& value) {
  return std::as_bytes(std::span<const T, 1>(&value, 1));
}

}  // namespace engine
