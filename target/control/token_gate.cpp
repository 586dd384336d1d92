#include "target/control/token_gate.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "protocol/auth/binary_text.h"

namespace target::control {
namespace {

constexpr std::size_t longest_credentials = 512;

// What stands behind the word `scheme`, whose letters' case does not count.
std::optional<std::string_view> behind(std::string_view scheme, std::string_view text) {
  if (text.size() <= scheme.size() || text[scheme.size()] != ' ') return std::nullopt;
  const auto is_same = [](char a, char b) { return (a | 0x20) == (b | 0x20); };
  if (!std::ranges::equal(scheme, text.substr(0, scheme.size()), is_same)) return std::nullopt;
  text.remove_prefix(scheme.size());
  text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
  return text;
}

std::optional<std::string> token_in(Method method, std::string_view authorization) {
  if (authorization.size() > longest_credentials) return std::nullopt;
  if (const auto token = behind("bearer", authorization)) return std::string(*token);
  const auto basic = behind("basic", authorization);
  if (!basic || method != Method::get) return std::nullopt;
  const auto bytes = protocol::auth::parse_binary("0b" + std::string(*basic), longest_credentials);
  if (!bytes) return std::nullopt;
  const std::string pair(reinterpret_cast<const char*>(bytes->data()), bytes->size());
  const std::size_t colon = pair.find(':');
  return colon == std::string::npos ? std::nullopt : std::optional(pair.substr(colon + 1));
}

Answer unauthorised(Method method, std::string_view text) {
  Answer answer = error_answer(401, text);
  const bool is_get = method == Method::get;
  answer.headers.emplace_back("WWW-Authenticate", is_get
                                                      ? R"(Basic realm="forebay", charset="UTF-8")"
                                                      : R"(Bearer realm="forebay")");
  return answer;
}

}  // namespace

std::optional<Answer> TokenGate::admit(Method method, std::string_view authorization,
                                       Caller& caller) {
  const Failures* const failures = failures_of(caller.network);
  if (failures != nullptr && failures->count >= most_failures) {
    ++counts_.blocked;
    const auto left = failures->began + engine::Duration(window) - clock_.now();
    Answer answer = error_answer(429, "too many unknown tokens have come from your address; wait");
    const auto seconds = std::chrono::ceil<std::chrono::seconds>(left).count();
    answer.headers.emplace_back("Retry-After", fmt::format("{}", seconds));
    return answer;
  }
  const auto shown = token_in(method, authorization);
  if (!shown) {
    ++counts_.without_token;
    return unauthorised(method,
                        "show a token (Authorization: Bearer TOKEN); forebayctl token create makes "
                        "one");
  }
  auto token = tokens_.find(*shown);
  if (!token) {
    ++counts_.unknown_token;
    note_failure(caller);
    return unauthorised(method, "this token is not known: it is mistyped, or was revoked");
  }
  caller.role = token->role;
  caller.token = token->name;
  caller.name = fmt::format("token {} from {}", token->name, caller.name);
  return std::nullopt;
}

Answer TokenGate::refuse(const Request& request, Role needed) {
  ++counts_.role;
  const Caller& caller = request.caller;
  tell_(caller.token,
        fmt::format("{} is {} and may not {} {}: that is for {}", caller.name, text(caller.role),
                    text(request.method), request.path, text(needed)));
  return error_answer(403, fmt::format("this needs the role {}; the token {} has {}", text(needed),
                                       caller.token, text(caller.role)));
}

void TokenGate::handshake_failed(const Caller& /*caller*/) { ++counts_.handshake; }

TokenGate::Failures* TokenGate::failures_of(const std::string& network) {
  const auto found = failures_.find(network);
  if (found == failures_.end()) return nullptr;
  if (clock_.now() - found->second.began < engine::Duration(window)) return &found->second;
  failures_.erase(found);
  return nullptr;
}

void TokenGate::note_failure(const Caller& caller) {
  Failures* failures = failures_of(caller.network);
  if (failures == nullptr) {
    if (failures_.size() >= most_networks) {
      failures_.erase(std::ranges::min_element(
          failures_, {}, [](const auto& entry) { return entry.second.began; }));
    }
    failures = &failures_[caller.network];
    failures->began = clock_.now();
    tell_(caller.network, fmt::format("an unknown token has come from {}", caller.name));
  }
  if (++failures->count != most_failures) return;
  tell_(caller.network,
        fmt::format("{} unknown tokens have come from {} within a minute: nobody is let in from "
                    "there until it is over",
                    most_failures, caller.name));
}

}  // namespace target::control
