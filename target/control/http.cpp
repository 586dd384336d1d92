#include "target/control/http.h"

#include <algorithm>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <charconv>

namespace target::control {
namespace {

constexpr std::string_view placeholder = "{name}";

// What stands for {name}, empty where the pattern has none; nullopt: another path.
std::optional<std::string> name_in(std::string_view pattern, std::string_view path) {
  const std::size_t at = pattern.find(placeholder);
  if (at == std::string_view::npos) return pattern == path ? std::optional("") : std::nullopt;
  const std::string_view before = pattern.substr(0, at);
  const std::string_view after = pattern.substr(at + placeholder.size());
  if (path.size() <= before.size() + after.size()) return std::nullopt;
  if (!path.starts_with(before) || !path.ends_with(after)) return std::nullopt;
  const std::string_view name =
      path.substr(before.size(), path.size() - before.size() - after.size());
  return name.find('/') == std::string_view::npos ? std::optional(std::string(name)) : std::nullopt;
}

std::string decoded(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    unsigned byte = 0;
    const char* const digits = text.data() + i + 1;
    if (text[i] == '%' && i + 2 < text.size() &&
        std::from_chars(digits, digits + 2, byte, 16).ptr == digits + 2) {
      out += static_cast<char>(byte);
      i += 2;
    } else {
      out += text[i] == '+' ? ' ' : text[i];
    }
  }
  return out;
}

}  // namespace

Answer error_answer(unsigned status, std::string_view text) {
  const boost::json::object body{{"error", boost::json::string_view(text.data(), text.size())}};
  return {.status = status, .body = boost::json::serialize(body)};
}

RouteTable::Match RouteTable::find(Method method, std::string_view path) const {
  Match match;
  for (const Route& route : routes_) {
    const auto name = name_in(route.pattern, path);
    if (!name) continue;
    if (route.method == method) return {.route = &route, .name = *name};
    match.other_methods = text(route.method);
  }
  return match;
}

const char* text(Method method) { return method == Method::get ? "GET" : "POST"; }

const char* text(Role role) {
  switch (role) {
    case Role::anyone:
      return "anyone";
    case Role::viewer:
      return "viewer";
    case Role::operator_:
      return "operator";
    case Role::admin:
      return "admin";
  }
  return "admin";
}

std::optional<Role> parse_role(std::string_view word) {
  for (const Role role : {Role::viewer, Role::operator_, Role::admin}) {
    if (word == text(role)) return role;
  }
  return std::nullopt;
}

void split_target(std::string_view target, Request& request) {
  const std::size_t mark = target.find('?');
  request.path = target.substr(0, mark);
  std::string_view rest =
      mark == std::string_view::npos ? std::string_view() : target.substr(mark + 1);
  while (!rest.empty()) {
    const std::string_view one = rest.substr(0, rest.find('&'));
    rest.remove_prefix(std::min(one.size() + 1, rest.size()));
    const std::size_t equals = one.find('=');
    const std::string_view value =
        equals == std::string_view::npos ? std::string_view() : one.substr(equals + 1);
    request.query.insert_or_assign(std::string(one.substr(0, equals)), decoded(value));
  }
}

}  // namespace target::control
