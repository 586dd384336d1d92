// OutputQueue: what a connection has to send, in order, ready for one gathered write. Headers are
// written into small chunks; payload is sent from the buffer it lies in, which is given back as
// soon as the kernel has the bytes.
#pragma once

#include <sys/uio.h>

#include <array>
#include <boost/circular_buffer.hpp>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "engine/media/buffer_pool.h"

namespace target::nvmf {

// Invariants: bytes() is the sum of the pieces; a chunk lives while a piece lies in it, or while it
// is the one being filled. Allocates nothing in steady state and nothing at all before the first
// append.
class OutputQueue {
 public:
  OutputQueue() = default;
  OutputQueue(const OutputQueue&) = delete;
  OutputQueue& operator=(const OutputQueue&) = delete;
  ~OutputQueue() { clear(); }

  static constexpr std::size_t chunk_bytes = 4096;

  // Space for the next `bytes` (at most chunk_bytes) of output, to be filled in by the caller now.
  [[nodiscard]] std::span<std::byte> append(std::size_t bytes);
  // `data` lies in `lease`.
  void append_payload(std::span<const std::byte> data, engine::BufferLease lease);

  // Describes the front of the queue; returns how many elements of `into` were filled.
  [[nodiscard]] std::size_t gather(std::span<iovec> into) const;
  // The first `bytes` have been sent.
  void sent(std::size_t bytes);
  void clear();

  [[nodiscard]] bool empty() const { return bytes_ == 0; }
  [[nodiscard]] std::size_t bytes() const { return bytes_; }
  // Length of the buffers that are kept for payload.
  [[nodiscard]] std::size_t leased_bytes() const { return leased_bytes_; }

  void check_invariants() const;

 private:
  struct Chunk {
    std::array<std::byte, chunk_bytes> space;
    std::size_t used = 0;
    std::size_t pieces = 0;  // not sent yet
  };
  struct Piece {
    const std::byte* data = nullptr;
    std::size_t bytes = 0;
    Chunk* chunk = nullptr;  // nullptr: payload
    engine::BufferLease lease;
  };

  void push(Piece piece);
  void start_chunk();
  void leave_chunk(Chunk& chunk);

  static constexpr std::size_t first_capacity = 16;
  static constexpr std::size_t most_spare_chunks = 4;

  boost::circular_buffer<Piece> pieces_;
  std::size_t bytes_ = 0;
  std::size_t leased_bytes_ = 0;
  std::unique_ptr<Chunk> filling_;
  std::vector<std::unique_ptr<Chunk>> sending_;  // full ones, oldest first
  std::vector<std::unique_ptr<Chunk>> spare_;
};

}  // namespace target::nvmf
