#include "target/control/control_server.h"

#include <fmt/format.h>
#include <grp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <boost/json.hpp>
#include <cstring>
#include <optional>
#include <string_view>
#include <thread>
#include <vector>

namespace target::control {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using Local = asio::local::stream_protocol;

constexpr std::size_t largest_request_bytes = 64 << 10;
constexpr std::chrono::seconds request_timeout{10};
constexpr std::chrono::seconds change_timeout{30};

// One request, one answer, then closed: clients are command lines.
class Exchange : public std::enable_shared_from_this<Exchange> {
 public:
  Exchange(Local::socket socket, const ControlRoutes& routes)
      : stream_(std::move(socket)), routes_(routes), patience_(stream_.get_executor()) {
    parser_.body_limit(largest_request_bytes);
  }

  void start() {
    stream_.expires_after(request_timeout);
    http::async_read(stream_, buffer_, parser_,
                     [self = shared_from_this()](beast::error_code error, std::size_t) {
                       if (!error) self->answer();
                     });
  }

 private:
  void answer() {
    const auto& request = parser_.get();
    const std::string_view target(request.target().data(), request.target().size());
    if (target == "/v1/status") {
      if (request.method() != http::verb::get) return refuse_method("GET");
      return respond(http::status::ok, routes_.status());
    }
    const std::size_t slash = target.rfind('/');
    for (const Change& known : changes) {
      const std::size_t name = known.kind.path.size();
      if (!target.starts_with(known.kind.path) || slash <= name) continue;
      if (target.substr(slash + 1) != known.action) continue;
      if (request.method() != http::verb::post) return refuse_method("POST");
      target_name_ = target.substr(name, slash - name);
      return change(known, request.body());
    }
    respond(http::status::not_found,
            error_body("no such resource; known: /v1/status, /v1/volumes/NAME/ with grow, destroy, "
                       "rename, adopt, mode, drain, detach, attach, abandon or give-up-lost, "
                       "/v1/pools/NAME/add-member and /v1/caches/NAME/retire"));
  }

  // What something can be asked of.
  struct Kind {
    std::string_view path;  // its name follows
    std::string_view noun;
  };
  static constexpr Kind volume_kind{.path = "/v1/volumes/", .noun = "volume"};
  static constexpr Kind pool_kind{.path = "/v1/pools/", .noun = "pool"};
  static constexpr Kind cache_kind{.path = "/v1/caches/", .noun = "cache"};

  // What can be asked: `begin` false, the body is not what `body` says.
  struct Change {
    Kind kind;
    std::string_view action;
    bool (Exchange::*begin)(const boost::json::object& wanted);
    const char* body;
  };
  static const std::array<Change, 12> changes;

  void change(const Change& change, const std::string& body) {
    boost::system::error_code error;
    const auto value = boost::json::parse(body, error);
    const auto* object = error ? nullptr : value.if_object();
    // Whichever comes first answers: who does it, or the end of patience.
    patience_.expires_after(change_timeout);
    patience_.async_wait(
        [self = shared_from_this(), noun = change.kind.noun](beast::error_code stopped) {
          if (stopped) return;
          self->respond(http::status::gateway_timeout,
                        error_body(fmt::format(
                            "{} {}: its disk or cache has not answered yet; it may still be done",
                            noun, self->target_name_)));
        });
    if (object != nullptr && (this->*change.begin)(*object)) return;
    patience_.cancel();
    respond(http::status::bad_request, error_body(std::string("the body must be ") + change.body));
  }

  bool grow(const boost::json::object& wanted) {
    const auto bytes = number_in(wanted, "size_bytes");
    if (bytes) routes_.grow(target_name_, *bytes, answer_when_done());
    return bytes.has_value();
  }

  bool destroy(const boost::json::object& wanted) {
    const auto uuid = text_in(wanted, "uuid");
    if (uuid) routes_.destroy(target_name_, *uuid, answer_when_done());
    return uuid.has_value();
  }

  bool rename(const boost::json::object& wanted) {
    const auto uuid = text_in(wanted, "uuid");
    const auto to = text_in(wanted, "to");
    if (!uuid || !to) return false;
    routes_.rename(target_name_, *uuid, *to, answer_when_done());
    return true;
  }

  bool adopt(const boost::json::object& wanted) {
    const auto pool = text_in(wanted, "pool");
    const auto file = text_in(wanted, "file");
    const auto block_size = number_in(wanted, "block_size");
    if (!pool || !file || !block_size) return false;
    routes_.adopt(target_name_, {.pool = *pool, .file = *file, .block_size = *block_size},
                  answer_when_adopted());
    return true;
  }

  bool add_member(const boost::json::object& wanted) {
    const auto disk = text_in(wanted, "disk");
    const auto overwrite = texts_in(wanted, "overwrite");
    if (!disk || !overwrite) return false;
    routes_.add_member(target_name_, {.disk = *disk, .overwrite = *overwrite}, answer_when_added());
    return true;
  }

  bool set_mode(const boost::json::object& wanted) {
    const auto mode = text_in(wanted, "mode");
    if (mode) routes_.set_mode(target_name_, *mode, answer_when_done());
    return mode.has_value();
  }

  bool abandon(const boost::json::object& wanted) {
    const auto cache = text_in(wanted, "cache");
    if (cache) routes_.abandon(target_name_, *cache, answer_when_abandoned());
    return cache.has_value();
  }

  bool detach(const boost::json::object& /*wanted*/) {
    routes_.detach(target_name_, answer_when_done());
    return true;
  }

  bool attach(const boost::json::object& wanted) {
    const auto device = text_in(wanted, "cache");
    if (device) routes_.attach(target_name_, *device, answer_when_done());
    return device.has_value();
  }

  bool retire(const boost::json::object& /*wanted*/) {
    routes_.retire(target_name_, answer_when_done());
    return true;
  }

  bool give_up_lost(const boost::json::object& /*wanted*/) {
    routes_.give_up_lost(target_name_, answer_when_done());
    return true;
  }

  static std::optional<std::string> text_in(const boost::json::object& object, const char* key) {
    const auto* value = object.if_contains(key);
    if (value == nullptr || !value->is_string()) return std::nullopt;
    return std::string(value->get_string().data(), value->get_string().size());
  }

  static std::optional<std::vector<std::string>> texts_in(const boost::json::object& object,
                                                          const char* key) {
    const auto* value = object.if_contains(key);
    if (value == nullptr || !value->is_array()) return std::nullopt;
    std::vector<std::string> texts;
    for (const auto& item : value->get_array()) {
      if (!item.is_string()) return std::nullopt;
      texts.emplace_back(item.get_string().data(), item.get_string().size());
    }
    return texts;
  }

  static std::optional<std::uint64_t> number_in(const boost::json::object& object,
                                                const char* key) {
    const auto* value = object.if_contains(key);
    if (value == nullptr) return std::nullopt;
    boost::system::error_code error;
    const auto number = value->to_number<std::uint64_t>(error);
    return error ? std::nullopt : std::optional(number);
  }

  bool drain(const boost::json::object& wanted) {
    const auto* cancel = wanted.if_contains("cancel");
    if (cancel == nullptr || !cancel->is_bool()) return false;
    routes_.drain(target_name_, cancel->get_bool(), answer_when_done());
    return true;
  }

  ControlRoutes::Done answer_when_done() {
    return [self = shared_from_this()](const auto& done) {
      self->answer_later(done ? http::status::ok : http::status::conflict,
                         done ? "{}" : error_body(done.error()));
    };
  }

  ControlRoutes::AdoptDone answer_when_adopted() {
    return [self = shared_from_this()](const auto& done) {
      if (!done) return self->answer_later(http::status::conflict, error_body(done.error()));
      const ControlRoutes::Adopted& adopted = done.value();
      self->answer_later(http::status::ok, boost::json::serialize(boost::json::object{
                                               {"uuid", adopted.uuid},
                                               {"size_bytes", adopted.size_bytes},
                                               {"provisioning", adopted.provisioning}}));
    };
  }

  ControlRoutes::AddMemberDone answer_when_added() {
    return [self = shared_from_this()](const auto& done) {
      if (!done) return self->answer_later(http::status::conflict, error_body(done.error()));
      const ControlRoutes::GrownPool& pool = done.value();
      const boost::json::array members(pool.members.begin(), pool.members.end());
      self->answer_later(http::status::ok, boost::json::serialize(boost::json::object{
                                               {"members", members},
                                               {"was_member", pool.was_member},
                                               {"is_configured", pool.is_configured},
                                               {"free_bytes", pool.free_bytes}}));
    };
  }

  ControlRoutes::AbandonDone answer_when_abandoned() {
    return [self = shared_from_this()](const auto& done) {
      if (!done) return self->answer_later(http::status::conflict, error_body(done.error()));
      self->answer_later(
          http::status::ok,
          boost::json::serialize(boost::json::object{{"what_is_left", done.value().what_is_left}}));
    };
  }

  // Any thread.
  void answer_later(http::status status, std::string body) {
    asio::post(stream_.get_executor(), [self = shared_from_this(), status, body = std::move(body)] {
      self->patience_.cancel();
      self->respond(status, body);
    });
  }

  static std::string error_body(const std::string& text) {
    return boost::json::serialize(boost::json::object{{"error", text}});
  }

  void refuse_method(const char* allowed) {
    respond(http::status::method_not_allowed,
            error_body(fmt::format("only {} is allowed here", allowed)));
  }

  // Only the first answer counts.
  void respond(http::status status, std::string body) {
    if (responded_) return;
    responded_ = true;
    response_.version(parser_.get().version());
    response_.keep_alive(false);
    response_.set(http::field::content_type, "application/json");
    response_.result(status);
    response_.body() = std::move(body);
    response_.prepare_payload();
    stream_.expires_after(request_timeout);
    http::async_write(stream_, response_,
                      [self = shared_from_this()](beast::error_code, std::size_t) {
                        beast::error_code ignored;
                        self->stream_.socket().shutdown(Local::socket::shutdown_send, ignored);
                      });
  }

  beast::basic_stream<Local, asio::any_io_executor> stream_;
  const ControlRoutes& routes_;
  asio::steady_timer patience_;
  std::string target_name_;
  bool responded_ = false;
  beast::flat_buffer buffer_{largest_request_bytes};
  http::request_parser<http::string_body> parser_;
  http::response<http::string_body> response_;
};

const std::array<Exchange::Change, 12> Exchange::changes{
    {{volume_kind, "grow", &Exchange::grow, R"({"size_bytes": N})"},
     {volume_kind, "destroy", &Exchange::destroy, R"({"uuid": UUID})"},
     {volume_kind, "rename", &Exchange::rename, R"({"uuid": UUID, "to": NAME})"},
     {volume_kind, "adopt", &Exchange::adopt,
      R"({"pool": POOL, "file": FILE, "block_size": 512 or 4096})"},
     {volume_kind, "mode", &Exchange::set_mode, R"({"mode": "write-back"}, or another mode)"},
     {volume_kind, "drain", &Exchange::drain, R"({"cancel": false}, or true)"},
     {volume_kind, "detach", &Exchange::detach, "{}"},
     {volume_kind, "attach", &Exchange::attach, R"({"cache": DEVICE})"},
     {volume_kind, "abandon", &Exchange::abandon, R"({"cache": UUID})"},
     {volume_kind, "give-up-lost", &Exchange::give_up_lost, "{}"},
     {pool_kind, "add-member", &Exchange::add_member,
      R"({"disk": PATH, "overwrite": [WORD, ...]})"},
     {cache_kind, "retire", &Exchange::retire, "{}"}}};

class UnixControlServer final : public ControlServer {
 public:
  UnixControlServer(std::string path, ControlRoutes routes)
      : path_(std::move(path)), routes_(std::move(routes)), acceptor_(io_) {}

  ~UnixControlServer() override {
    io_.stop();
    if (thread_.joinable()) thread_.join();
    if (bound_) ::unlink(path_.c_str());
  }

  engine::Result<void, std::string> open(const std::string& group) {
    if (path_.size() >= sizeof(sockaddr_un::sun_path)) {
      return fmt::format(
          "control socket {}: the path is longer than {} bytes; choose a shorter one", path_,
          sizeof(sockaddr_un::sun_path) - 1);
    }
    boost::system::error_code error;
    Local::socket probe(io_);
    probe.connect(Local::endpoint(path_), error);
    if (!error)
      return fmt::format("control socket {}: another forebayd answers on it; stop that one first",
                         path_);
    if (error != boost::system::errc::no_such_file_or_directory) ::unlink(path_.c_str());

    acceptor_.open(Local(), error);
    if (!error) acceptor_.bind(Local::endpoint(path_), error);
    if (error)
      return fmt::format(
          "control socket {}: {}; does its folder exist, and may this user write there?", path_,
          error.message());
    bound_ = true;
    if (::chmod(path_.c_str(), group.empty() ? 0600 : 0660) != 0) {
      return fmt::format("control socket {}: {}", path_, std::strerror(errno));
    }
    if (!group.empty()) {
      const struct group* entry = ::getgrnam(group.c_str());
      if (entry == nullptr)
        return fmt::format(
            "control.group: no group \"{}\" on this machine; create it, or leave the key out",
            group);
      if (::chown(path_.c_str(), static_cast<uid_t>(-1), entry->gr_gid) != 0) {
        return fmt::format("control socket {}: cannot be given to group {}: {}", path_, group,
                           std::strerror(errno));
      }
    }
    acceptor_.listen(asio::socket_base::max_listen_connections, error);
    if (error) return fmt::format("control socket {}: {}", path_, error.message());
    accept();
    thread_ = std::thread([this] {
      const auto work = asio::make_work_guard(io_);
      io_.run();
    });
    return engine::success();
  }

  void post(std::function<void()> task) override { asio::post(io_, std::move(task)); }

  void every(std::chrono::milliseconds period, std::function<void()> task) override {
    auto chore = std::make_shared<Chore>(Chore{asio::steady_timer(io_), period, std::move(task)});
    asio::post(io_, [chore] { repeat(chore); });
  }

 private:
  struct Chore {
    asio::steady_timer timer;
    std::chrono::milliseconds period;
    std::function<void()> task;
  };

  static void repeat(const std::shared_ptr<Chore>& chore) {
    chore->task();
    chore->timer.expires_after(chore->period);
    chore->timer.async_wait([chore](const boost::system::error_code& error) {
      if (!error) repeat(chore);
    });
  }

  void accept() {
    acceptor_.async_accept([this](const boost::system::error_code& error, Local::socket socket) {
      if (!error) std::make_shared<Exchange>(std::move(socket), routes_)->start();
      if (!error) return accept();
      if (error == asio::error::operation_aborted) return;
      retry_.expires_after(std::chrono::milliseconds(200));  // out of descriptors, say
      retry_.async_wait([this](const boost::system::error_code& stopped) {
        if (!stopped) accept();
      });
    });
  }

  const std::string path_;
  const ControlRoutes routes_;
  asio::io_context io_{1};
  Local::acceptor acceptor_;
  asio::steady_timer retry_{io_};
  bool bound_ = false;
  std::thread thread_;
};

}  // namespace

engine::Result<std::unique_ptr<ControlServer>, std::string> ControlServer::start(
    const std::string& path, const std::string& group, ControlRoutes routes) {
  auto server = std::make_unique<UnixControlServer>(path, std::move(routes));
  if (auto opened = server->open(group); !opened) return opened.error();
  return std::unique_ptr<ControlServer>(std::move(server));
}

}  // namespace target::control
