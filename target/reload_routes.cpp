#include "target/reload_routes.h"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <charconv>
#include <chrono>
#include <optional>
#include <string_view>
#include <utility>

#include "config/parse.h"
#include "target/override_routes.h"

namespace target {
namespace {

using Kind = Reloader::Request::Kind;

// A hung disk is waited for, several times perhaps.
constexpr std::chrono::seconds apply_patience{180};
constexpr std::uint64_t longest_confirm_ms = 24ULL * 3600 * 1000;

std::string value_of(const control::Request& request, std::string_view key) {
  const auto found = request.query.find(key);
  return found == request.query.end() ? std::string() : found->second;
}

std::vector<std::string> names_in(std::string_view text) {
  std::vector<std::string> names;
  while (!text.empty()) {
    const std::size_t comma = text.find(',');
    if (comma != 0) names.emplace_back(text.substr(0, comma));
    text = comma == std::string_view::npos ? std::string_view{} : text.substr(comma + 1);
  }
  return names;
}

std::optional<std::chrono::milliseconds> confirm_time_in(const std::string& text) {
  std::uint64_t ms = 0;
  if (text.empty()) return std::chrono::milliseconds(0);
  const char* const end = text.data() + text.size();
  const auto read = std::from_chars(text.data(), end, ms);
  if (read.ec != std::errc() || read.ptr != end || ms > longest_confirm_ms) return std::nullopt;
  return std::chrono::milliseconds(ms);
}

control::Answer reload_answer(Kind kind, const Reloader::Answer& answer) {
  if (!answer.error.empty())
    return control::error_answer(answer.is_stale ? 412 : 409, answer.error);
  if (kind == Kind::confirm) return {.body = "{}"};
  const bool is_good = kind == Kind::plan || answer.plan.is_done();
  return {.status = is_good ? 200U : 409U, .body = to_json(answer.plan)};
}

// Looking, and keeping what an admin has applied, is an operator's.
control::Role role_for(Kind kind) {
  const bool changes = kind == Kind::apply || kind == Kind::reload;
  return changes ? control::Role::admin : control::Role::operator_;
}

control::Route route_of(const char* pattern, Kind kind, const std::function<Reloader*()>& find) {
  control::Route route{.method = control::Method::post,
                       .pattern = pattern,
                       .role = role_for(kind),
                       .body = "the configuration file's text; confirm_within_ms at most a day"};
  route.largest_body = config::max_file_bytes;
  route.patience = apply_patience;
  route.late = "the configuration: a disk has not answered yet; see forebayctl status";
  route.handle = [kind, find](const control::Request& request, const control::Reply& reply) {
    const bool takes_file = kind == Kind::plan || kind == Kind::apply;
    const auto confirm = confirm_time_in(value_of(request, "confirm_within_ms"));
    if ((takes_file && request.body.empty()) || !confirm) return false;
    Reloader* const reloader = find();
    if (reloader == nullptr) {
      reply->answer(control::error_answer(503, "the daemon is starting; try again"));
      return true;
    }
    std::string file = value_of(request, "file");
    reloader->ask({.kind = kind,
                   .file = file.empty() ? "file" : std::move(file),
                   .text = request.body,
                   .by = request.caller.name,
                   .disconnect = names_in(value_of(request, "disconnect")),
                   .confirm_within = *confirm,
                   .drop_overrides = value_of(request, "drop_overrides") == "1",
                   .if_match = request.if_match,
                   .if_plan = value_of(request, "plan_hash")},
                  [kind, reply, reloader](const auto& answer) {
                    reply->answer(tagged(reload_answer(kind, answer), *reloader));
                  });
    return true;
  };
  return route;
}

control::Route configuration_route(const std::function<Reloader*()>& find) {
  return {.method = control::Method::get,
          .pattern = "/v1/configuration",
          .role = control::Role::operator_,
          .handle = [find](const control::Request&, const control::Reply& reply) {
            const Reloader* const reloader = find();
            if (reloader == nullptr) {
              reply->answer(control::error_answer(503, "the daemon is starting; try again"));
              return true;
            }
            const ReloadStatus now = reloader->status();
            const boost::json::object body{{"hash", now.hash},
                                           {"applied_ms", now.applied_ms},
                                           {"applied_by", now.applied_by},
                                           {"text", reloader->running_text()},
                                           {"overrides", to_json(now.overrides)}};
            reply->answer(tagged({.body = boost::json::serialize(body)}, *reloader));
            return true;
          }};
}

}  // namespace

control::Answer tagged(control::Answer answer, const Reloader& reloader) {
  answer.headers.emplace_back("ETag", '"' + reloader.status().hash + '"');
  return answer;
}

std::vector<control::Route> reload_routes(std::function<Reloader*()> find,
                                          const control::Audit& audit) {
  std::vector<control::Route> routes;
  routes.push_back(configuration_route(find));
  routes.push_back(route_of("/v1/plan", Kind::plan, find));
  for (auto& route :
       {route_of("/v1/apply", Kind::apply, find), route_of("/v1/reload", Kind::reload, find),
        route_of("/v1/confirm", Kind::confirm, find)}) {
    routes.push_back(audit ? control::audited(route, audit) : route);
  }
  return routes;
}

}  // namespace target
