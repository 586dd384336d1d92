// EventStreams: the clients that follow events (server-sent events), and the routes by which events
// are asked for.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "target/control/event_log.h"
#include "target/control/http.h"

namespace target::control {

// Control thread.
class EventStreams {
 public:
  static constexpr std::size_t most_streams = 16;

  // `log` outlives it.
  explicit EventStreams(const EventLog& log) : log_(log) {}
  EventStreams(const EventStreams&) = delete;
  EventStreams& operator=(const EventStreams&) = delete;

  // GET /v1/events?since=ID, GET /v1/events/stream?since=ID: they live no longer than this.
  [[nodiscard]] std::vector<Route> routes();
  // Sends what is new. A client that does not take what it is sent is sent away: with the last id
  // that it has it can come again.
  void flush();
  // A comment to everybody, so that those that have gone without a word are found out.
  void keep_alive();
  [[nodiscard]] std::size_t size() const { return streams_.size(); }

 private:
  struct Stream {
    std::shared_ptr<OpenAnswer> answer;
    std::uint64_t last_id = 0;
  };
  // False: it has ended.
  [[nodiscard]] bool send_news(Stream& stream);
  void begin(const Request& request, const Reply& reply);

  const EventLog& log_;
  std::vector<Stream> streams_;
};

}  // namespace target::control
