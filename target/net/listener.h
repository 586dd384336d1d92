// Listener: one address that hosts connect to. Accepts on one reactor and deals the connections out
// to all of them in turn.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/foundation/result.h"
#include "target/net/byte_stream.h"
#include "target/reactor/reactor.h"

namespace target {

struct ListenerOptions {
  std::string name;     // in the configuration
  std::string address;  // as SocketAddress::parse takes it
  std::uint16_t port = 4420;
  std::uint32_t max_connections = 4096;
  int backlog = 1024;
  engine::Duration retry_interval = std::chrono::seconds(1);
  // Told why it cannot listen yet, once for each reason; any thread, must not call the listener.
  std::function<void(const std::string& reason)> tell_waiting = {};
};

enum class ListenerState : std::uint8_t {
  closed,
  listening,
  waiting,  // it cannot listen yet and tries again; the reason says why
};

struct ListenerStatus {
  ListenerState state = ListenerState::closed;
  std::string address;  // "192.0.2.1:4420"; with the kernel's port if 0 was asked for
  std::string reason;   // waiting: one line that says what to change; empty otherwise
  std::uint32_t connections = 0;
  std::uint64_t accepted = 0;
  std::uint64_t turned_away = 0;  // more than max_connections
  std::uint64_t evicted = 0;      // had to go for others, before they had shown to be hosts
};

struct ListenError {
  enum class Kind : std::uint8_t {
    bad_address,     // not an IP address
    address_in_use,  // another process has the port
    not_permitted,   // a port below 1024 without the capability
    unsupported,     // no such address family on this machine
    other,
  };
  Kind kind = Kind::other;
  std::string text;  // one line that says what to change
};

class Listener {
 public:
  // Called on the thread of the given reactor, which shall serve the stream.
  using Serve = std::function<void(Reactor&, std::unique_ptr<ByteStream>)>;

  // The first of `reactors` accepts; all must outlive the listener and be started.
  Listener(ListenerOptions options, std::vector<Reactor*> reactors, Serve serve);
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;
  ~Listener();

  // Whether open() would succeed now, found out by doing it for a moment; nobody is accepted.
  [[nodiscard]] static engine::Result<void, ListenError> probe(const ListenerOptions& options);

  // Listens, or, where the address is not up yet, begins to try again and again: see status(). Any
  // thread. After an error nothing is open.
  [[nodiscard]] engine::Result<void, ListenError> open();
  // No connection is accepted once it returns; those that are open stay. Any thread.
  void close();

  // Any thread.
  [[nodiscard]] ListenerStatus status() const;
  [[nodiscard]] const ListenerOptions& options() const;

 private:
  class Acceptor;
  std::shared_ptr<Acceptor> acceptor_;
};

}  // namespace target
