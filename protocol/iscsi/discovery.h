// SendTargets (RFC 7143, 13.3, and appendix C): what is asked, and the answer.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "protocol/iscsi/negotiation.h"
#include "protocol/iscsi/text.h"

namespace protocol::iscsi {

// What a SendTargets value asks for.
struct SendTargets {
  enum class Scope : std::uint8_t {
    all,      // "All", in a discovery session
    named,    // this target
    session,  // the target of this normal session: an empty value, and "All"
  };
  Scope scope = Scope::all;
  std::string name;  // normalised; with Scope::named only
};

// nullopt: not to be answered with targets in a session of this type, or no name at all; the answer
// is "SendTargets=Reject". A normal session may ask for its own target only, which is its owner's
// to compare. "All" it must not be told (appendix C); libiscsi asks for it all the same and takes
// no refusal, and hears of the one target that it knows.
[[nodiscard]] std::optional<SendTargets> parse_send_targets(std::string_view value,
                                                            SessionType session);

// A portal, as an initiator can reach it.
struct PortalAddress {
  std::string_view host;  // numeric, without brackets; IPv6 has a colon
  std::uint16_t port = 3260;
  std::uint16_t portal_group = 1;
};

// "192.0.2.1:3260,1", "[2001:db8::1]:3260,1".
[[nodiscard]] std::string text_of(const PortalAddress& address);
// The same without portal group, as a redirection has it (13.8).
[[nodiscard]] std::string redirect_text_of(const PortalAddress& address);

// One target of the answer: its name, then each add_address().
void add_target(TextWriter& answer, std::string_view name);
void add_address(TextWriter& answer, const PortalAddress& address);

}  // namespace protocol::iscsi
