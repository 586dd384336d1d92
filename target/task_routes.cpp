// Tasks::routes(): the API's part that is about tasks.
#include <boost/json/object.hpp>
#include <charconv>
#include <optional>

#include "target/control/api.h"
#include "target/control/audit.h"
#include "target/tasks.h"

namespace target {
namespace {

using control::Method;
using control::Reply;
using control::Request;
using control::Route;

std::optional<std::uint64_t> task_number(const std::string& text) {
  std::uint64_t id = 0;
  const char* const end = text.data() + text.size();
  const auto read = std::from_chars(text.data(), end, id);
  if (read.ec != std::errc() || read.ptr != end) return std::nullopt;
  return id;
}

// What can be begun by name. Detaching and retiring have routes of their own.
std::optional<control::TaskKind> kind_in(const boost::json::object& wanted) {
  const auto* const kind = wanted.if_contains("kind");
  if (kind == nullptr || !kind->is_string()) return std::nullopt;
  for (const auto known :
       {control::TaskKind::flush, control::TaskKind::drain, control::TaskKind::scrub}) {
    if (kind->get_string() == text(known)) return known;
  }
  return std::nullopt;
}

std::optional<Tasks::Wish> wish_in(const Request& request) {
  const auto wanted = control::body_object(request);
  if (!wanted) return std::nullopt;
  const auto kind = kind_in(*wanted);
  const auto* const object = wanted->if_contains("object");
  if (!kind || object == nullptr || !object->is_string()) return std::nullopt;
  Tasks::Wish wish{.kind = *kind,
                   .object = {object->get_string().data(), object->get_string().size()},
                   .by = request.caller.name};
  if (const auto* const rate = wanted->if_contains("bytes_per_second")) {
    boost::system::error_code error;
    wish.scrub_rate.emplace(rate->to_number<std::uint64_t>(error));
    if (error) return std::nullopt;
  }
  return wish;
}

}  // namespace

void Tasks::answer(const engine::Result<std::uint64_t, std::string>& begun, const Reply& reply) {
  if (!begun) return reply->answer(control::error_answer(409, begun.error()));
  const control::Task* const task = table_.find(begun.value());
  reply->answer({.body = task == nullptr ? "{}" : to_json(*task)});
}

bool Tasks::ask(const Request& request, const Reply& reply) {
  const auto wish = wish_in(request);
  if (!wish) return false;
  begin(*wish, [this, reply](const auto& begun) { answer(begun, reply); });
  return true;
}

std::vector<Route> Tasks::routes(Tasks* tasks, const control::Audit& audit) {
  std::vector<Route> all;
  all.push_back({.method = Method::get,
                 .pattern = "/v1/tasks",
                 .role = control::Role::viewer,
                 .handle = [tasks](const Request& /*request*/, const Reply& reply) {
                   tasks->look();
                   reply->answer({.body = to_json(tasks->table_)});
                   return true;
                 }});
  all.push_back({.method = Method::get,
                 .pattern = "/v1/tasks/{name}",
                 .role = control::Role::viewer,
                 .handle = [tasks](const Request& request, const Reply& reply) {
                   tasks->look();
                   const auto id = task_number(request.name);
                   const control::Task* const task = id ? tasks->table_.find(*id) : nullptr;
                   reply->answer(task != nullptr
                                     ? control::Answer{.body = to_json(*task)}
                                     : control::error_answer(
                                           404, "there is no task " + request.name +
                                                    "; those that have ended are kept until 100 "
                                                    "more have, and until the daemon ends"));
                   return true;
                 }});
  Route begin_route{
      .method = Method::post,
      .pattern = "/v1/tasks",
      .role = control::Role::operator_,
      .body = R"({"kind": "flush", "drain" or "scrub", "object": VOLUME, "bytes_per_second": N})"};
  begin_route.handle = [tasks](const Request& request, const Reply& reply) {
    return tasks->ask(request, reply);
  };
  Route cancel_route{.method = Method::post,
                     .pattern = "/v1/tasks/{name}/cancel",
                     .role = control::Role::operator_,
                     .body = "{}"};
  cancel_route.handle = [tasks](const Request& request, const Reply& reply) {
    const auto id = task_number(request.name);
    if (!control::body_object(request)) return false;
    if (!id) {
      reply->answer(control::error_answer(409, "there is no task " + request.name));
      return true;
    }
    tasks->cancel(*id, request.caller.name, [reply](const auto& done) {
      reply->answer(done ? control::Answer{.body = "{}"}
                         : control::error_answer(409, done.error()));
    });
    return true;
  };
  for (Route& route : {std::ref(begin_route), std::ref(cancel_route)}) {
    all.push_back(audit ? control::audited(std::move(route), audit) : std::move(route));
  }
  return all;
}

}  // namespace target
