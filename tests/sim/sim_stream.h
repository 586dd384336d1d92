// SimStream: the simulated twin of TcpStream. The test holds the other end, decides how much of
// what is written finds room and how finely what is read is cut, and can end or break the
// connection.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "target/net/byte_stream.h"
#include "target/reactor/reactor.h"

namespace target {

// The wire between the two ends; outlives both.
struct SimWire {
  static constexpr std::size_t unlimited = std::numeric_limits<std::size_t>::max();

  std::vector<std::byte> to_target;  // sent by the host, not read yet
  std::vector<std::byte> to_host;    // written by the target, not taken by the host yet
  std::size_t room = unlimited;      // to_host holds no more
  std::size_t largest_read = unlimited;
  std::size_t largest_write = unlimited;
  bool host_closed = false;
  bool broken = false;
  bool evicted = false;
  bool unreadable = false;  // what the target writes next
  bool target_finished = false;
  bool target_closed = false;
  bool settled = false;
  std::size_t reads = 0;
  std::size_t writes = 0;
  std::function<void()> readable;
  std::function<void()> writable;
};

class SimStream final : public ByteStream {
 public:
  explicit SimStream(std::shared_ptr<SimWire> wire) : wire_(std::move(wire)) {}
  ~SimStream() override { close(); }

  engine::Result<std::size_t, StreamError> read(std::span<const iovec> into) override {
    if (wire_->evicted) return StreamError::evicted;
    if (wire_->target_closed || wire_->broken) return StreamError::broken;
    ++wire_->reads;
    std::vector<std::byte>& source = wire_->to_target;
    if (source.empty()) return wire_->host_closed ? StreamError::closed : StreamError::would_block;
    const std::size_t limit = std::min(source.size(), wire_->largest_read);
    std::size_t moved = 0;
    for (const iovec& piece : into) {
      const std::size_t part = std::min(limit - moved, piece.iov_len);
      if (part != 0) std::memcpy(piece.iov_base, source.data() + moved, part);
      moved += part;
    }
    source.erase(source.begin(), source.begin() + static_cast<std::ptrdiff_t>(moved));
    return moved;
  }

  engine::Result<std::size_t, StreamError> write(std::span<const iovec> from) override {
    if (wire_->evicted) return StreamError::evicted;
    if (wire_->target_closed || wire_->broken) return StreamError::broken;
    if (wire_->unreadable) return StreamError::unreadable;
    ++wire_->writes;
    std::vector<std::byte>& sink = wire_->to_host;
    const std::size_t room = wire_->room - std::min(wire_->room, sink.size());
    std::size_t limit = std::min(room, wire_->largest_write);
    if (limit == 0) return StreamError::would_block;
    std::size_t moved = 0;
    for (const iovec& piece : from) {
      const std::size_t part = std::min(limit, piece.iov_len);
      const auto* begin = static_cast<const std::byte*>(piece.iov_base);
      sink.insert(sink.end(), begin, begin + part);
      moved += part;
      limit -= part;
    }
    return moved;
  }

  void when_readable(std::function<void()> callback) override {
    wire_->readable = std::move(callback);
  }
  void when_writable(std::function<void()> callback) override {
    wire_->writable = std::move(callback);
  }
  void finish_writing() override { wire_->target_finished = true; }
  void settle() override { wire_->settled = true; }
  void close() override {
    wire_->target_closed = true;
    wire_->readable = {};
    wire_->writable = {};
  }
  const std::string& peer_address() const override { return peer_; }
  const std::string& local_address() const override { return local_; }

 private:
  std::shared_ptr<SimWire> wire_;
  const std::string peer_ = "192.0.2.1:51000";
  const std::string local_ = "192.0.2.10:4420";
};

// Calls whoever waits for something that has come true; the test's part of the kernel.
inline bool notify(SimWire& wire) {
  bool any = false;
  if (wire.readable &&
      (!wire.to_target.empty() || wire.host_closed || wire.broken || wire.evicted)) {
    std::exchange(wire.readable, {})();
    any = true;
  }
  if (wire.writable && (wire.to_host.size() < wire.room || wire.broken || wire.evicted)) {
    std::exchange(wire.writable, {})();
    any = true;
  }
  return any;
}

}  // namespace target
