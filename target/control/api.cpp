#include "target/control/api.h"

#include <fmt/format.h>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <memory>
#include <optional>
#include <utility>

namespace target::control {
namespace {

namespace json = boost::json;

std::optional<std::string> text_in(const json::object& object, const char* key) {
  const auto* value = object.if_contains(key);
  if (value == nullptr || !value->is_string()) return std::nullopt;
  return std::string(value->get_string().data(), value->get_string().size());
}

std::optional<std::vector<std::string>> texts_in(const json::object& object, const char* key) {
  const auto* value = object.if_contains(key);
  if (value == nullptr || !value->is_array()) return std::nullopt;
  std::vector<std::string> texts;
  for (const auto& item : value->get_array()) {
    if (!item.is_string()) return std::nullopt;
    texts.emplace_back(item.get_string().data(), item.get_string().size());
  }
  return texts;
}

std::optional<std::uint64_t> number_in(const json::object& object, const char* key) {
  const auto* value = object.if_contains(key);
  if (value == nullptr) return std::nullopt;
  boost::system::error_code error;
  const auto number = value->to_number<std::uint64_t>(error);
  return error ? std::nullopt : std::optional(number);
}

std::optional<bool> flag_in(const json::object& object, const char* key) {
  const auto* value = object.if_contains(key);
  return value == nullptr || !value->is_bool() ? std::nullopt : std::optional(value->get_bool());
}

ControlRoutes::Done empty_answer(const Reply& reply) {
  return [reply](const auto& done) {
    reply->answer(done ? Answer{.body = "{}"} : error_answer(409, done.error()));
  };
}

// Of a change that has something to tell.
template <class Done, class Tell>
Done answer_of(const Reply& reply, Tell tell) {
  return [reply, tell](const auto& done) {
    reply->answer(done ? Answer{.body = json::serialize(tell(done.value()))}
                       : error_answer(409, done.error()));
  };
}

json::object adopted(const ControlRoutes::Adopted& volume) {
  return {{"uuid", volume.uuid},
          {"size_bytes", volume.size_bytes},
          {"provisioning", volume.provisioning}};
}

json::object grown_pool(const ControlRoutes::GrownPool& pool) {
  return {{"members", json::array(pool.members.begin(), pool.members.end())},
          {"was_member", pool.was_member},
          {"is_configured", pool.is_configured},
          {"free_bytes", pool.free_bytes}};
}

json::object destroyed(const ControlRoutes::Destroyed& volume) {
  return {{"cache_text", volume.cache_text}, {"cache_freed_bytes", volume.cache_freed_bytes}};
}

json::object abandoned(const ControlRoutes::Abandoned& volume) {
  return {{"what_is_left", volume.what_is_left}};
}

using Routes = std::shared_ptr<const ControlRoutes>;
// False: the body is not what it must be, and nothing has begun.
using Begin = bool (*)(const ControlRoutes& routes, const std::string& name,
                       const json::object& wanted, const Reply& reply);

bool grow(const ControlRoutes& routes, const std::string& name, const json::object& wanted,
          const Reply& reply) {
  const auto bytes = number_in(wanted, "size_bytes");
  if (bytes) routes.grow(name, *bytes, empty_answer(reply));
  return bytes.has_value();
}

bool destroy(const ControlRoutes& routes, const std::string& name, const json::object& wanted,
             const Reply& reply) {
  const auto uuid = text_in(wanted, "uuid");
  const auto cache = text_in(wanted, "cache");
  if (!uuid || (wanted.contains("cache") && !cache)) return false;
  routes.destroy(name, {.uuid = *uuid, .cache = cache.value_or("")},
                 answer_of<ControlRoutes::DestroyDone>(reply, destroyed));
  return true;
}

bool rename(const ControlRoutes& routes, const std::string& name, const json::object& wanted,
            const Reply& reply) {
  const auto uuid = text_in(wanted, "uuid");
  const auto to = text_in(wanted, "to");
  if (!uuid || !to) return false;
  routes.rename(name, *uuid, *to, empty_answer(reply));
  return true;
}

bool adopt(const ControlRoutes& routes, const std::string& name, const json::object& wanted,
           const Reply& reply) {
  const auto pool = text_in(wanted, "pool");
  const auto file = text_in(wanted, "file");
  const auto block_size = number_in(wanted, "block_size");
  if (!pool || !file || !block_size) return false;
  routes.adopt(name, {.pool = *pool, .file = *file, .block_size = *block_size},
               answer_of<ControlRoutes::AdoptDone>(reply, adopted));
  return true;
}

bool drain(const ControlRoutes& routes, const std::string& name, const json::object& wanted,
           const Reply& reply) {
  const auto cancel = flag_in(wanted, "cancel");
  if (cancel) routes.drain(name, *cancel, empty_answer(reply));
  return cancel.has_value();
}

bool detach(const ControlRoutes& routes, const std::string& name, const json::object& /*wanted*/,
            const Reply& reply) {
  routes.detach(name, empty_answer(reply));
  return true;
}

bool attach(const ControlRoutes& routes, const std::string& name, const json::object& wanted,
            const Reply& reply) {
  const auto device = text_in(wanted, "cache");
  if (device) routes.attach(name, *device, empty_answer(reply));
  return device.has_value();
}

bool abandon(const ControlRoutes& routes, const std::string& name, const json::object& wanted,
             const Reply& reply) {
  const auto cache = text_in(wanted, "cache");
  if (cache) routes.abandon(name, *cache, answer_of<ControlRoutes::AbandonDone>(reply, abandoned));
  return cache.has_value();
}

bool give_up_lost(const ControlRoutes& routes, const std::string& name,
                  const json::object& /*wanted*/, const Reply& reply) {
  routes.give_up_lost(name, empty_answer(reply));
  return true;
}

bool protect(const ControlRoutes& routes, const std::string& name, const json::object& wanted,
             const Reply& reply) {
  const auto on = flag_in(wanted, "on");
  if (on) routes.protect(name, *on, empty_answer(reply));
  return on.has_value();
}

bool add_member(const ControlRoutes& routes, const std::string& name, const json::object& wanted,
                const Reply& reply) {
  const auto disk = text_in(wanted, "disk");
  const auto overwrite = texts_in(wanted, "overwrite");
  if (!disk || !overwrite) return false;
  routes.add_member(name, {.disk = *disk, .overwrite = *overwrite},
                    answer_of<ControlRoutes::AddMemberDone>(reply, grown_pool));
  return true;
}

bool retire(const ControlRoutes& routes, const std::string& name, const json::object& /*wanted*/,
            const Reply& reply) {
  routes.retire(name, empty_answer(reply));
  return true;
}

// What can be asked of something that has a name.
struct Change {
  const char* noun;
  const char* pattern;
  Role role;
  Begin begin;
  const char* body;
};
constexpr Change changes[] = {
    {"volume", "/v1/volumes/{name}/grow", Role::admin, &grow, R"({"size_bytes": N})"},
    {"volume", "/v1/volumes/{name}/destroy", Role::admin, &destroy,
     R"({"uuid": UUID, "cache": UUID})"},
    {"volume", "/v1/volumes/{name}/rename", Role::admin, &rename, R"({"uuid": UUID, "to": NAME})"},
    {"volume", "/v1/volumes/{name}/adopt", Role::admin, &adopt,
     R"({"pool": POOL, "file": FILE, "block_size": 512 or 4096})"},
    {"volume", "/v1/volumes/{name}/drain", Role::operator_, &drain,
     R"({"cancel": false}, or true)"},
    {"volume", "/v1/volumes/{name}/detach", Role::operator_, &detach, "{}"},
    {"volume", "/v1/volumes/{name}/attach", Role::operator_, &attach, R"({"cache": DEVICE})"},
    {"volume", "/v1/volumes/{name}/abandon", Role::admin, &abandon, R"({"cache": UUID})"},
    {"volume", "/v1/volumes/{name}/give-up-lost", Role::admin, &give_up_lost, "{}"},
    {"volume", "/v1/volumes/{name}/write-protection", Role::operator_, &protect,
     R"({"on": true}, or false)"},
    {"pool", "/v1/pools/{name}/add-member", Role::admin, &add_member,
     R"({"disk": PATH, "overwrite": [WORD, ...]})"},
    {"cache", "/v1/caches/{name}/retire", Role::admin, &retire, "{}"}};

Route route_of(const Change& change, const Routes& routes) {
  Route route{
      .method = Method::post, .pattern = change.pattern, .role = change.role, .body = change.body};
  route.late = std::string(change.noun) +
               " {}: its disk or cache has not answered yet; it may still be done";
  route.handle = [routes, begin = change.begin](const Request& request, const Reply& reply) {
    const auto body = body_object(request);
    if (routes->asked) routes->asked(request.caller);
    return body && begin(*routes, request.name, *body, reply);
  };
  return routes->audit ? audited(std::move(route), routes->audit) : route;
}

}  // namespace

std::optional<json::object> body_object(const Request& request) {
  boost::system::error_code error;
  auto value = json::parse(request.body, error);
  if (error || !value.is_object()) return std::nullopt;
  return std::move(value.get_object());
}

std::vector<Route> api_routes(ControlRoutes routes) {
  const auto shared = std::make_shared<const ControlRoutes>(std::move(routes));
  std::vector<Route> all;
  all.push_back({.method = Method::get,
                 .pattern = "/v1/status",
                 .role = Role::viewer,
                 .handle = [shared](const Request& /*request*/, const Reply& reply) {
                   reply->answer({.body = shared->status()});
                   return true;
                 }});
  for (const Change& change : changes) all.push_back(route_of(change, shared));
  return all;
}

}  // namespace target::control
