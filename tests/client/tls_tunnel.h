// A connection through TLS that looks like a socket: whoever speaks NVMe/TCP to socket() speaks it
// to the target, inside TLS.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "tests/client/byte_connection.h"
#include "tests/client/tls_client.h"

namespace client {

// Lives as long as the socket shall work; a thread carries bytes from one side to the other.
class TlsTunnel {
 public:
  // Connected, the handshake done. Errors: refused (the target's alert), closed, reset, time_out.
  static Result<std::unique_ptr<TlsTunnel>> open(const Endpoint& endpoint,
                                                 const TlsOptions& options,
                                                 Milliseconds time_out = default_time_out);
  TlsTunnel(const TlsTunnel&) = delete;
  TlsTunnel& operator=(const TlsTunnel&) = delete;
  ~TlsTunnel();

  // The plain side; the caller owns it.
  [[nodiscard]] int take_socket();
  [[nodiscard]] std::string suite() const { return suite_; }

  struct Direct {
    int socket = -1;  // to the target; the caller owns it
    std::shared_ptr<TlsClient> tls;
  };
  // Carries nothing any more: the caller speaks TLS on the socket himself. Nothing may be under way
  // in either direction.
  [[nodiscard]] Direct take_over();

  // Any thread: between two pieces of data.
  void update_keys(bool also_peer);
  // How the target ended it; nullopt while it has not.
  [[nodiscard]] std::optional<Error> end() const;

 private:
  class Wire;
  TlsTunnel(std::unique_ptr<Wire> wire, std::unique_ptr<TlsClient> tls);
  void carry();
  void finish(const Error& why);

  std::unique_ptr<Wire> wire_;
  mutable std::mutex mutex_;  // guards tls_ and end_
  std::unique_ptr<TlsClient> tls_;
  std::optional<Error> end_;
  std::string suite_;
  int plain_ = -1;  // the caller's end
  int inner_ = -1;  // ours
  std::atomic<bool> stop_{false};
  std::thread carrier_;
};

}  // namespace client
