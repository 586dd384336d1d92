#include "target/control/event_streams.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

namespace target::control {
namespace {

// At a time, so that what is unsent of one client stays small.
constexpr std::size_t most_at_once = 256;

// Without one 0; nullopt: it is no number.
std::optional<std::uint64_t> since_of(const Request& request) {
  const auto found = request.query.find("since");
  if (found == request.query.end()) return 0;
  const std::string& text = found->second;
  std::uint64_t id = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), id);
  if (read.ec != std::errc() || read.ptr != text.data() + text.size()) return std::nullopt;
  return id;
}

Answer bad_since() { return error_answer(400, "since must be the id of an event"); }

}  // namespace

std::vector<Route> EventStreams::routes() {
  Route list{.method = Method::get, .pattern = "/v1/events", .role = Role::viewer};
  list.handle = [this](const Request& request, const Reply& reply) {
    const auto since = since_of(request);
    reply->answer(since ? Answer{.body = to_json(log_.after(*since), log_.began_ms())}
                        : bad_since());
    return true;
  };
  Route stream{.method = Method::get, .pattern = "/v1/events/stream", .role = Role::viewer};
  stream.handle = [this](const Request& request, const Reply& reply) {
    begin(request, reply);
    return true;
  };
  return {std::move(list), std::move(stream)};
}

void EventStreams::begin(const Request& request, const Reply& reply) {
  const auto since = since_of(request);
  if (!since) return reply->answer(bad_since());
  std::erase_if(streams_, [](const Stream& one) { return !one.answer->is_open(); });
  if (streams_.size() >= most_streams) {
    return reply->answer(error_answer(
        503, fmt::format("{} clients follow events already; end one of them", most_streams)));
  }
  Stream stream{.answer = reply->open("text/event-stream"), .last_id = *since};
  // Something at once: who follows knows by it that the daemon is there.
  if (stream.answer->write(": events of forebayd\n\n") && send_news(stream)) {
    streams_.push_back(std::move(stream));
  }
}

bool EventStreams::send_news(Stream& stream) {
  for (;;) {
    const EventLog::Slice news = log_.after(stream.last_id, most_at_once);
    if (news.events.empty()) return stream.answer->is_open();
    for (const Event& event : news.events) {
      if (!stream.answer->write(fmt::format("id: {}\nevent: {}\ndata: {}\n\n", event.id,
                                            event.kind.text, to_json(event)))) {
        return false;
      }
      stream.last_id = event.id;
    }
  }
}

void EventStreams::flush() {
  std::erase_if(streams_, [this](Stream& stream) { return !send_news(stream); });
}

void EventStreams::keep_alive() {
  std::erase_if(streams_, [](const Stream& stream) { return !stream.answer->write(":\n\n"); });
}

}  // namespace target::control
