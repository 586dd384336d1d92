#include "tests/bench/load/outbox.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace bench {
namespace {
constexpr std::size_t segments_a_call = 1024;  // the kernel's UIO_MAXIOV
constexpr std::size_t compact_after = 4096;
}  // namespace

void Outbox::reserve(std::size_t segments, std::size_t header_bytes) {
  segments_.reserve(segments);
  headers_.reserve(header_bytes);
}

std::span<std::byte> Outbox::header(std::size_t bytes) {
  const std::size_t at = headers_.size();
  headers_.resize(at + bytes);
  // Headers in a row are one segment.
  if (!empty() && segments_.back().data == nullptr) {
    segments_.back().bytes += bytes;
  } else {
    segments_.push_back({.data = nullptr, .offset = at, .bytes = bytes});
  }
  return std::span(headers_).subspan(at, bytes);
}

void Outbox::data(std::span<const std::byte> bytes) {
  segments_.push_back({.data = bytes.data(), .offset = 0, .bytes = bytes.size()});
}

int Outbox::flush(int socket) {
  std::array<iovec, segments_a_call> vectors;
  while (!empty()) {
    std::size_t count = 0;
    for (std::size_t i = first_; i < segments_.size() && count < vectors.size(); ++i, ++count) {
      const Segment& segment = segments_[i];
      const std::byte* from =
          segment.data != nullptr ? segment.data : headers_.data() + segment.offset;
      vectors[count] = {.iov_base = const_cast<std::byte*>(from), .iov_len = segment.bytes};
    }
    msghdr message{};
    message.msg_iov = vectors.data();
    message.msg_iovlen = count;
    const ssize_t sent = ::sendmsg(socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0) {
      if (errno == EINTR) continue;
      if (errno != EAGAIN) return errno;
      compact();
      return 0;
    }
    advance(static_cast<std::size_t>(sent));
  }
  clear();
  return 0;
}

void Outbox::clear() {
  segments_.clear();
  headers_.clear();
  first_ = 0;
}

std::span<const std::byte> Outbox::gather(std::span<std::byte> into) const {
  std::size_t filled = 0;
  for (std::size_t i = first_; i < segments_.size() && filled < into.size(); ++i) {
    const Segment& segment = segments_[i];
    const std::byte* const from =
        segment.data != nullptr ? segment.data : headers_.data() + segment.offset;
    const std::size_t bytes = std::min(segment.bytes, into.size() - filled);
    std::memcpy(into.data() + filled, from, bytes);
    filled += bytes;
  }
  return into.first(filled);
}

void Outbox::sent(std::size_t bytes) {
  advance(bytes);
  if (empty()) {
    clear();
  } else {
    compact();
  }
}

void Outbox::advance(std::size_t sent) {
  while (sent != 0) {
    Segment& segment = segments_[first_];
    if (sent < segment.bytes) {
      if (segment.data != nullptr) segment.data += sent;
      segment.offset += sent;
      segment.bytes -= sent;
      return;
    }
    sent -= segment.bytes;
    ++first_;
  }
}

void Outbox::compact() {
  if (first_ < compact_after) return;
  segments_.erase(segments_.begin(), segments_.begin() + static_cast<std::ptrdiff_t>(first_));
  first_ = 0;
  std::size_t used = headers_.size();
  for (const Segment& segment : segments_) {
    if (segment.data == nullptr) {
      used = segment.offset;
      break;
    }
  }
  headers_.erase(headers_.begin(), headers_.begin() + static_cast<std::ptrdiff_t>(used));
  for (Segment& segment : segments_) {
    if (segment.data == nullptr) segment.offset -= used;
  }
}

}  // namespace bench
