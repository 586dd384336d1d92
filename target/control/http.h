// HTTP as the daemon speaks it: requests and answers as values, and the table of routes that says
// who answers what. Nothing here knows whether a client has come by a Unix socket or by TCP.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace target::control {

// Who is at the other end, as far as the transport knows: for the audit.
struct Caller {
  std::optional<std::uint32_t> uid{};  // of a Unix socket's peer
  std::string name{};                  // of that user, "uid 1234" if it has none; or an address
};

enum class Method : std::uint8_t { get, post };

struct Request {
  Method method = Method::get;
  std::string path{};  // without its query
  std::string name{};  // what {name} of the route's pattern stands for; empty: it has none
  std::map<std::string, std::string, std::less<>> query{};
  std::string body{};
  Caller caller{};
};

struct Answer {
  unsigned status = 200;
  std::string body{};
  std::string content_type = "application/json";
};

// {"error": `text`} with `status`.
[[nodiscard]] Answer error_answer(unsigned status, std::string_view text);

// An answer without an end. Thread of the server.
class OpenAnswer {
 public:
  OpenAnswer() = default;
  OpenAnswer(const OpenAnswer&) = delete;
  OpenAnswer& operator=(const OpenAnswer&) = delete;
  virtual ~OpenAnswer() = default;

  // False: the client has gone, or was sent away, because it does not take what it is sent.
  virtual bool write(std::string_view text) = 0;
  [[nodiscard]] virtual bool is_open() const = 0;
  virtual void close() = 0;
};

// The one answer of one request.
class Responder {
 public:
  Responder() = default;
  Responder(const Responder&) = delete;
  Responder& operator=(const Responder&) = delete;
  virtual ~Responder() = default;

  // Any thread. Only the first answer counts; one that comes when the client has gone is dropped.
  virtual void answer(Answer answer) = 0;
  // Instead of it, on the thread of the server only.
  virtual std::shared_ptr<OpenAnswer> open(const std::string& content_type) = 0;
};
using Reply = std::shared_ptr<Responder>;

struct Route {
  Method method = Method::get;
  std::string pattern;  // "/v1/status", "/v1/volumes/{name}/grow"
  // What its body must be, for a client whose body is something else.
  std::string body{};
  // Thread of the server, one at a time. The reply is answered there or later on any thread. False:
  // the body is not what it must be, and `reply` is not used.
  std::function<bool(const Request& request, const Reply& reply)> handle{};
  std::size_t largest_body = 64 << 10;
  // What is not answered by then is answered for it: `late`, or a general sentence.
  std::chrono::seconds patience{30};
  std::string late{};
};

// The first route that matches answers. A HEAD request is one for what GET answers.
class RouteTable {
 public:
  RouteTable() = default;
  explicit RouteTable(std::vector<Route> routes) : routes_(std::move(routes)) {}

  struct Match {
    const Route* route = nullptr;  // nullptr: none
    std::string name{};
    // Of routes that match but for the method: "POST"; empty: the path is unknown.
    std::string other_methods{};
  };
  [[nodiscard]] Match find(Method method, std::string_view path) const;
  [[nodiscard]] const std::vector<Route>& all() const { return routes_; }

 private:
  std::vector<Route> routes_;
};

[[nodiscard]] const char* text(Method method);
// "/v1/events?since=4&x=y" becomes the path and its query; percent signs are decoded in the values
// of the query alone, because names have none.
void split_target(std::string_view target, Request& request);

}  // namespace target::control
