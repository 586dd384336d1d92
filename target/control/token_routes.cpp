#include "target/control/token_routes.h"

#include <atomic>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

#include "target/control/api.h"

namespace target::control {
namespace {

// Runs one task at a time beside the control thread.
class Aside {
 public:
  // Control thread. False: the last one is not over yet, or no more are begun.
  bool run(std::function<void()> task) {
    const std::lock_guard lock(mutex_);
    if (is_over_ || busy_.exchange(true)) return false;
    if (thread_.joinable()) thread_.join();
    thread_ = std::thread([this, task = std::move(task)] {
      task();
      busy_ = false;
    });
    return true;
  }
  void finish() {
    const std::lock_guard lock(mutex_);
    is_over_ = true;
    if (thread_.joinable()) thread_.join();
  }

 private:
  std::atomic<bool> busy_{false};
  std::mutex mutex_;  // guards what follows; the task runs without it
  bool is_over_ = false;
  std::thread thread_;
};

std::string list_of(const TokenStore& tokens) {
  boost::json::array list;
  for (const Token& token : tokens.all()) {
    list.push_back({{"name", token.name},
                    {"role", text(token.role)},
                    {"created_ms", token.created_ms},
                    {"created_by", token.created_by}});
  }
  return boost::json::serialize(boost::json::object{{"tokens", std::move(list)}});
}

void run_aside(Aside& aside, const Reply& reply, std::function<void()> task) {
  if (aside.run(std::move(task))) return;
  reply->answer(error_answer(409, "another change of the tokens is under way; try again"));
}

}  // namespace

struct TokenChanges::Shared {
  std::shared_ptr<TokenStore> tokens;
  Aside aside;

  bool create(const Request& request, const Reply& reply) {
    const auto body = body_object(request);
    const auto* word = body ? body->if_contains("role") : nullptr;
    if (word == nullptr || !word->is_string()) return false;
    const auto role = parse_role({word->get_string().data(), word->get_string().size()});
    if (!role) return false;
    run_aside(aside, reply,
              [kept = tokens, name = request.name, role = *role, by = request.caller.name, reply] {
                const auto made = kept->create(name, role, by);
                if (!made) return reply->answer(error_answer(409, made.error()));
                const boost::json::object token{
                    {"name", name}, {"role", text(role)}, {"token", made.value().token}};
                reply->answer({.body = boost::json::serialize(token)});
              });
    return true;
  }

  void revoke(const Request& request, const Reply& reply) {
    run_aside(aside, reply, [kept = tokens, name = request.name, reply] {
      const auto done = kept->revoke(name);
      reply->answer(done ? Answer{.body = "{}"} : error_answer(409, done.error()));
    });
  }
};

TokenChanges::TokenChanges(std::shared_ptr<TokenStore> tokens)
    : shared_(std::make_shared<Shared>()) {
  shared_->tokens = std::move(tokens);
}

void TokenChanges::finish() { shared_->aside.finish(); }

std::vector<Route> TokenChanges::routes(const Audit& audit) {
  std::vector<Route> routes;
  routes.push_back({.method = Method::get,
                    .pattern = "/v1/tokens",
                    .role = Role::admin,
                    .handle = [shared = shared_](const Request&, const Reply& reply) {
                      reply->answer({.body = list_of(*shared->tokens)});
                      return true;
                    }});
  Route make{.method = Method::post,
             .pattern = "/v1/tokens/{name}/create",
             .role = Role::admin,
             .body = R"({"role": "viewer", "operator" or "admin"})",
             .handle = [shared = shared_](const Request& request, const Reply& reply) {
               return shared->create(request, reply);
             }};
  Route end{.method = Method::post,
            .pattern = "/v1/tokens/{name}/revoke",
            .role = Role::admin,
            .body = "{}",
            .handle = [shared = shared_](const Request& request, const Reply& reply) {
              shared->revoke(request, reply);
              return true;
            }};
  for (Route* route : {&make, &end}) {
    routes.push_back(audit ? audited(std::move(*route), audit) : std::move(*route));
  }
  return routes;
}

}  // namespace target::control
