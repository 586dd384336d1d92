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
#include <utility>
#include <vector>

namespace target::control {

// What a caller may do; each may do what those before it may.
enum class Role : std::uint8_t {
  anyone,
  viewer,     // look
  operator_,  // what can be taken back: modes, draining
  admin,      // everything
};

// Who is at the other end: for the routes' roles, and for the audit.
struct Caller {
  std::optional<std::uint32_t> uid{};  // of a Unix socket's peer
  // Of that user, "uid 1234" if it has none; of a token, with the address it comes from; or an
  // address.
  std::string name{};
  Role role = Role::anyone;
  std::string token{};  // the name of the one that it has shown; empty: none
  // Its address without the port, of IPv6 the /64 that it lies in: whose clients are counted
  // together. Empty: by a Unix socket.
  std::string network{};
};

enum class Method : std::uint8_t { get, post };

struct Request {
  Method method = Method::get;
  std::string path{};  // without its query
  std::string name{};  // what {name} of the route's pattern stands for; empty: it has none
  std::map<std::string, std::string, std::less<>> query{};
  std::string body{};
  std::string if_match{};  // the header If-Match without its quotes; empty: there is none
  Caller caller{};
};

struct Answer {
  unsigned status = 200;
  std::string body{};
  std::string content_type = "application/json";
  std::vector<std::pair<std::string, std::string>> headers{};  // beside those that all have
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
  std::string pattern;      // "/v1/status", "/v1/volumes/{name}/grow"
  Role role = Role::admin;  // who may ask; docs/openapi.yaml says the same
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

// Tells who has sent a request, where the transport does not know. Thread of the server.
class Gatekeeper {
 public:
  Gatekeeper() = default;
  Gatekeeper(const Gatekeeper&) = delete;
  Gatekeeper& operator=(const Gatekeeper&) = delete;
  virtual ~Gatekeeper() = default;

  // `caller` is known by its address so far; who it is is filled in. Else what it is refused with;
  // `authorization`: that header, empty if there is none.
  [[nodiscard]] virtual std::optional<Answer> admit(Method method, std::string_view authorization,
                                                    Caller& caller) = 0;
  // The caller's role does not reach; what it is refused with.
  [[nodiscard]] virtual Answer refuse(const Request& request, Role needed) = 0;
  // Who has come has not spoken TLS as is asked for, or not in time.
  virtual void handshake_failed(const Caller& caller) = 0;
};

[[nodiscard]] const char* text(Method method);
[[nodiscard]] const char* text(Role role);
[[nodiscard]] std::optional<Role> parse_role(std::string_view text);  // not "anyone"
// "/v1/events?since=4&x=y" becomes the path and its query; percent signs are decoded in the values
// of the query alone, because names have none.
void split_target(std::string_view target, Request& request);

}  // namespace target::control
