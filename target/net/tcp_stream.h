// TcpStream: the ByteStream over a TCP socket. Reads and writes go straight to the kernel; the
// reactor's io_context only tells of readiness.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include "target/net/byte_stream.h"
#include "target/net/unique_fd.h"
#include "target/reactor/reactor.h"

namespace target {

// How many connections a listener has open; outlives it with its last stream. Any thread.
class ConnectionLimit {
 public:
  explicit ConnectionLimit(std::uint32_t most) : most_(most) {}

  // A place among the connections, given back when destroyed.
  class Place {
   public:
    Place() = default;
    explicit Place(std::shared_ptr<ConnectionLimit> limit) : limit_(std::move(limit)) {}
    Place(Place&&) = default;
    Place& operator=(Place&&) = delete;
    ~Place() {
      if (limit_ != nullptr) limit_->open_.fetch_sub(1, std::memory_order_relaxed);
    }

   private:
    std::shared_ptr<ConnectionLimit> limit_;
  };

  // nullopt: there are as many as there may be.
  [[nodiscard]] static std::optional<Place> take(const std::shared_ptr<ConnectionLimit>& limit) {
    if (limit->open_.fetch_add(1, std::memory_order_relaxed) >= limit->most_) {
      limit->open_.fetch_sub(1, std::memory_order_relaxed);
      return std::nullopt;
    }
    return Place(limit);
  }
  [[nodiscard]] std::uint32_t open() const { return open_.load(std::memory_order_relaxed); }
  [[nodiscard]] std::uint32_t most() const { return most_; }

 private:
  const std::uint32_t most_;
  std::atomic<std::uint32_t> open_{0};
};

class TcpStream final : public ByteStream {
 public:
  // `socket` is connected and non-blocking. On the reactor's thread; it must outlive the stream.
  TcpStream(Reactor& reactor, UniqueFd socket, ConnectionLimit::Place place = {});
  ~TcpStream() override;

  [[nodiscard]] engine::Result<std::size_t, StreamError> read(std::span<const iovec> into) override;
  [[nodiscard]] engine::Result<std::size_t, StreamError> write(
      std::span<const iovec> from) override;
  void when_readable(std::function<void()> callback) override;
  void when_writable(std::function<void()> callback) override;
  void finish_writing() override;
  void close() override;
  [[nodiscard]] const std::string& peer_address() const override { return peer_address_; }
  [[nodiscard]] const std::string& local_address() const override { return local_address_; }

 private:
  struct Readiness;  // shared with waits under way, which may end after the stream

  // Declared first, destroyed last: the place is free when the descriptor is.
  ConnectionLimit::Place place_;
  std::string peer_address_;
  std::string local_address_;
  int socket_ = -1;
  std::shared_ptr<Readiness> readiness_;
};

}  // namespace target
