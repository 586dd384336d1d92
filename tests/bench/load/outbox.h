// Bytes on their way to a socket: everything queued in a turn goes out in as few sendmsg calls as
// the kernel allows.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace bench {

// Headers are copied in, data is referred to and must stay until it is sent. No allocation once the
// vectors have grown to what a full queue needs.
class Outbox {
 public:
  void reserve(std::size_t segments, std::size_t header_bytes);

  // Space for a header of `bytes` at the queue's end; write it before the next call.
  [[nodiscard]] std::span<std::byte> header(std::size_t bytes);
  void data(std::span<const std::byte> bytes);

  [[nodiscard]] bool empty() const { return first_ == segments_.size(); }
  // Sends what the socket takes. 0, or the errno of a failure; a full socket is no failure.
  [[nodiscard]] int flush(int socket);
  // Instead, for who sends in another way: copies from the queue's front what `into` has room for,
  // and gives the filled part out; then says how much of it went.
  [[nodiscard]] std::span<const std::byte> gather(std::span<std::byte> into) const;
  void sent(std::size_t bytes);

 private:
  struct Segment {
    const std::byte* data;  // nullptr: in headers_ at `offset`
    std::size_t offset;
    std::size_t bytes;
  };
  void advance(std::size_t sent);
  void compact();
  void clear();

  std::vector<Segment> segments_;
  std::vector<std::byte> headers_;
  std::size_t first_ = 0;  // the first segment not yet wholly sent
};

}  // namespace bench
