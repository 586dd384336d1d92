#include "protocol/iscsi/discovery.h"

#include <utility>

#include "protocol/iscsi/names.h"

namespace protocol::iscsi {

std::optional<SendTargets> parse_send_targets(std::string_view value, SessionType session) {
  const bool discovery = session == SessionType::discovery;
  if (value == "All") {
    const auto scope = discovery ? SendTargets::Scope::all : SendTargets::Scope::session;
    return SendTargets{.scope = scope, .name = {}};
  }
  if (value.empty()) {
    if (discovery) return std::nullopt;
    return SendTargets{.scope = SendTargets::Scope::session, .name = {}};
  }
  auto name = normalise_name(value);
  if (!name) return std::nullopt;
  return SendTargets{.scope = SendTargets::Scope::named, .name = std::move(name).value()};
}

std::string redirect_text_of(const PortalAddress& address) {
  const bool brackets = address.host.find(':') != std::string_view::npos;
  std::string text;
  if (brackets) text += '[';
  text += address.host;
  if (brackets) text += ']';
  text += ':';
  text += std::to_string(address.port);
  return text;
}

std::string text_of(const PortalAddress& address) {
  return redirect_text_of(address) + ',' + std::to_string(address.portal_group);
}

void add_target(TextWriter& answer, std::string_view name) { answer.add("TargetName", name); }

void add_address(TextWriter& answer, const PortalAddress& address) {
  answer.add("TargetAddress", text_of(address));
}

}  // namespace protocol::iscsi
