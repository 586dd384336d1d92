// Setting up what the load runs on, by the client library: associations, the namespace, negotiated
// I/O queues.
#pragma once

#include <memory>
#include <vector>

#include "tests/bench/load/connection.h"
#include "tests/bench/load/options.h"
#include "tests/client/controller.h"

namespace bench {

// The admin side of every association, kept alive by the main thread; I/O queues have been handed
// over.
class Session {
 public:
  // Connects everything. Errors are those of the client, with what was being done.
  static client::Result<std::unique_ptr<Session>> open(const LoadOptions& options);

  // One for each I/O queue; each may be taken once (the taker owns the socket).
  [[nodiscard]] std::vector<ConnectionSettings>& connections() { return connections_; }
  [[nodiscard]] const client::NamespaceData& space() const { return space_; }
  [[nodiscard]] std::size_t associations() const { return controllers_.size(); }

  // Sends Keep Alive on every association that is due at `now`; at most every third of KATO.
  [[nodiscard]] client::Result<void> keep_alive(std::chrono::steady_clock::time_point now);
  // Connects options.setups associations, one after the other, each parting as soon as its
  // controller is ready. Errors as of open().
  [[nodiscard]] static client::Result<std::chrono::nanoseconds> set_up_and_part(
      const LoadOptions& options);

  // Shuts every controller down in an orderly way.
  void close();

 private:
  Session() = default;
  std::vector<std::unique_ptr<client::Controller>> controllers_;
  std::vector<ConnectionSettings> connections_;
  std::vector<std::unique_ptr<client::Queue>> idle_queues_;
  client::NamespaceData space_;
  std::chrono::steady_clock::duration keep_alive_every_{};
  std::chrono::steady_clock::time_point keep_alive_last_{};
};

}  // namespace bench
