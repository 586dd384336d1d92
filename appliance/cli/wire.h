// Wire: the connection that a request goes by, whatever it is made of.
#pragma once

#include <boost/asio/buffer.hpp>
#include <boost/system/error_code.hpp>
#include <boost/system/system_error.hpp>
#include <cstddef>
#include <memory>
#include <string>

#include "engine/foundation/result.h"

namespace cli {

class Wire {
 public:
  using Error = boost::system::error_code;

  Wire() = default;
  Wire(const Wire&) = delete;
  Wire& operator=(const Wire&) = delete;
  virtual ~Wire() = default;

  // Of Asio's synchronous streams: what the first buffer takes, or has.
  template <class Buffers>
  std::size_t read_some(const Buffers& buffers, Error& error) {
    return read(boost::asio::mutable_buffer(*boost::asio::buffer_sequence_begin(buffers)), error);
  }
  template <class Buffers>
  std::size_t write_some(const Buffers& buffers, Error& error) {
    for (auto each = boost::asio::buffer_sequence_begin(buffers);
         each != boost::asio::buffer_sequence_end(buffers); ++each) {
      const boost::asio::const_buffer buffer(*each);
      if (buffer.size() != 0) return write(buffer, error);
    }
    return 0;
  }
  template <class Buffers>
  std::size_t read_some(const Buffers& buffers) {
    Error error;
    const std::size_t bytes = read_some(buffers, error);
    if (error) throw boost::system::system_error(error);
    return bytes;
  }
  template <class Buffers>
  std::size_t write_some(const Buffers& buffers) {
    Error error;
    const std::size_t bytes = write_some(buffers, error);
    if (error) throw boost::system::system_error(error);
    return bytes;
  }

 private:
  virtual std::size_t read(boost::asio::mutable_buffer space, Error& error) = 0;
  virtual std::size_t write(boost::asio::const_buffer bytes, Error& error) = 0;
};

// Instead of the control socket: a daemon over TCP.
struct Server {
  std::string name{};  // as it was given: "https://store1:9931"
  bool has_tls = true;
  std::string host{};
  std::string port{};
  std::string ca{};  // file with the authorities of its certificate; empty: those of this machine
  std::string token{};  // empty: none is shown
};
// "https://HOST:PORT", or http:// where nobody is on the way; without a port, 9931.
[[nodiscard]] engine::Result<Server, std::string> parse_server(const std::string& url);

// The error is one line that says what to do.
using WireResult = engine::Result<std::unique_ptr<Wire>, std::string>;
[[nodiscard]] WireResult connect_socket(const std::string& path);
// Refused: a token over HTTP without TLS to another machine.
[[nodiscard]] WireResult connect_server(const Server& server);

}  // namespace cli
