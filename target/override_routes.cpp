#include "target/override_routes.h"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <optional>
#include <utility>

#include "target/control/api.h"
#include "target/reload_routes.h"

namespace target {
namespace {

namespace json = boost::json;
using RequestKind = Reloader::Request::Kind;
using Find = std::function<Reloader*()>;
// nullopt: the body is not what it must be.
using Wish = std::optional<Reloader::Request> (*)(const control::Request& request,
                                                  const json::object& body);

std::string string_in(const json::object& object, const char* key) {
  const auto* value = object.if_contains(key);
  if (value == nullptr || !value->is_string()) return {};
  return {value->get_string().data(), value->get_string().size()};
}

bool is_true(const json::object& object, const char* key) {
  const auto* value = object.if_contains(key);
  return value != nullptr && value->is_bool() && value->get_bool();
}

std::optional<Reloader::Request> wish_of_mode(const control::Request& request,
                                              const json::object& body) {
  Reloader::Request wish{.kind = RequestKind::set_mode, .volume = request.name};
  if (is_true(body, "clear")) {
    wish.kind = RequestKind::clear_overrides;
    return wish;
  }
  wish.mode = string_in(body, "mode");
  if (wish.mode.empty()) return std::nullopt;
  return wish;
}

std::optional<Reloader::Request> wish_of_access(const control::Request& request,
                                                const json::object& body) {
  Reloader::Request wish{.kind = RequestKind::set_access, .path = request.name};
  wish.access = string_in(body, "state");
  if (wish.access.empty()) return std::nullopt;
  return wish;
}

std::optional<Reloader::Request> wish_of_clearing(const control::Request& /*request*/,
                                                  const json::object& body) {
  Reloader::Request wish{.kind = RequestKind::clear_overrides,
                         .volume = string_in(body, "volume"),
                         .path = string_in(body, "path")};
  const int said = static_cast<int>(!wish.volume.empty()) + static_cast<int>(!wish.path.empty()) +
                   static_cast<int>(is_true(body, "all"));
  if (said != 1) return std::nullopt;
  return wish;
}

control::Answer answer_of(const Reloader& reloader, const Reloader::Answer& answer) {
  if (!answer.error.empty()) {
    return tagged(control::error_answer(answer.is_stale ? 412 : 409, answer.error), reloader);
  }
  return tagged({.body = json::serialize(json::object{
                     {"overrides", to_json(reloader.status().overrides)}, {"note", answer.note}})},
                reloader);
}

control::Route change_route(const char* pattern, const char* body_text, Wish wish_of,
                            const Find& find) {
  control::Route route{.method = control::Method::post,
                       .pattern = pattern,
                       .role = control::Role::operator_,
                       .body = body_text};
  route.late = "{}: it has not been done yet; it may still be";
  route.handle = [wish_of, find](const control::Request& request, const control::Reply& reply) {
    const auto body = control::body_object(request);
    auto wish = body ? wish_of(request, *body) : std::nullopt;
    if (!wish) return false;
    Reloader* const reloader = find();
    if (reloader == nullptr) {
      reply->answer(control::error_answer(503, "the daemon is starting; try again"));
      return true;
    }
    wish->by = request.caller.name;
    wish->if_match = request.if_match;
    reloader->ask(std::move(*wish), [reloader, reply](const Reloader::Answer& answer) {
      reply->answer(answer_of(*reloader, answer));
    });
    return true;
  };
  return route;
}

}  // namespace

json::array to_json(const std::vector<Override>& all) {
  json::array out;
  for (const Override& one : all) {
    out.push_back(json::object{{"kind", text(one.kind)},
                               {"subject", one.subject},
                               {"value", one.value},
                               {"file_value", one.file_value},
                               {"by", one.by},
                               {"since_ms", one.since_ms},
                               {"text", sentence(one)}});
  }
  return out;
}

std::vector<control::Route> override_routes(Find find, const control::Audit& audit) {
  std::vector<control::Route> routes;
  routes.push_back({.method = control::Method::get,
                    .pattern = "/v1/overrides",
                    .role = control::Role::viewer,
                    .handle = [find](const control::Request&, const control::Reply& reply) {
                      const Reloader* const reloader = find();
                      reply->answer(
                          reloader == nullptr
                              ? control::error_answer(503, "the daemon is starting; try again")
                              : answer_of(*reloader, {}));
                      return true;
                    }});
  for (auto& route :
       {change_route("/v1/overrides/clear", R"({"volume": NAME}, {"path": NAME} or {"all": true})",
                     &wish_of_clearing, find),
        change_route("/v1/volumes/{name}/mode", R"({"mode": "write-back"}, or another mode)",
                     &wish_of_mode, find),
        change_route("/v1/paths/{name}/access", R"({"state": "inaccessible"}, or another state)",
                     &wish_of_access, find)}) {
    routes.push_back(audit ? control::audited(route, audit) : route);
  }
  return routes;
}

}  // namespace target
