// The login phase of one connection (RFC 7143, section 6.3 and 11.12): Login Requests in, Login
// Responses out. No socket, no clock, no random numbers; sessions are its owner's.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "protocol/auth/chap.h"
#include "protocol/auth/chap_authenticator.h"
#include "protocol/iscsi/negotiation.h"
#include "protocol/iscsi/pdu.h"
#include "protocol/iscsi/pdu_decoder.h"
#include "protocol/iscsi/pdu_encoder.h"
#include "protocol/iscsi/text.h"

namespace protocol::iscsi {

// Who wants to log in where. Names are normalised (names.h). Views are the Login's.
struct LoginIdentity {
  SessionType type = SessionType::normal;
  std::string_view initiator_name;
  std::string_view target_name;  // empty: discovery
  Isid isid{};
};

// Whether it may.
struct LoginAdmission {
  // success, or what the login ends with: not_found, authorization_failure, moved_temporarily ...
  LoginStatus status = LoginStatus::success;
  std::string redirect_address;  // with moved_*: see redirect_text_of()
  // nullopt: the initiator need not prove anything.
  std::optional<auth::ChapCredentials> chap;
  std::uint16_t portal_group = 1;  // of the portal that the connection has come by; normal sessions
  std::string target_alias;        // empty: none is told; normal sessions
};

class LoginPolicy {
 public:
  // Once in a login, when the first request is whole. Of a status other than success the initiator
  // is told before it has proved who it is.
  [[nodiscard]] virtual LoginAdmission admit(const LoginIdentity& identity) = 0;

 protected:
  ~LoginPolicy() = default;
};

// Why a login has failed, for logs.
enum class LoginFault : std::uint8_t {
  bad_text,                // see Login::text_error()
  bad_negotiation,         // see Login::negotiation_fault()
  unsupported_version,     // the lowest that the initiator speaks is not 0
  bad_stage,               // a reserved stage, one that is over, or a transition to no later one
  bad_continuation,        // C with T, or text where the rest of our answer is to be asked for
  changed_header,          // another ISID, TSIH, CID, tag or CmdSN than in the first request
  initiator_name_missing,  //
  bad_initiator_name,      // not a node name
  target_name_missing,     // of a normal session
  bad_target_name,         // not a node name: there is no such target
  bad_session_type,        // neither Normal nor Discovery
  changed_identity,        // another name or session type than at first
  key_in_wrong_stage,      // operational keys in the security stage, or the other way round
  no_common_auth_method,   // CHAP is demanded and not offered, or offered alone and not known
  auth_required,           // the initiator leaves the security stage without, or skips it
  bad_chap,                // see Login::chap_fault()
  too_many_requests,       // most_login_requests
  refused,                 // LoginPolicy, or the owner's fail()
};
[[nodiscard]] std::string_view text_of(LoginFault fault);

// A stock initiator's login has at most six.
inline constexpr unsigned most_login_requests = 24;

// What is to be done after a request. The response is sent in any case but `wants_session`.
enum class LoginNext : std::uint8_t {
  await_request,  // send the response, expect another Login Request
  // The initiator is through: the owner makes its session (which may take time: an old one ends
  // first), then calls finish() or fail() and sends what that gives.
  wants_session,
  full_feature,  // send the response: from the next PDU on parameters() hold
  close,         // send the response, close
};

// One Login Response and what follows it. `text` is its data, and views the Login until its next
// call.
struct LoginStep {
  LoginNext next = LoginNext::await_request;
  LoginResponse response;
  std::span<const std::byte> text;
};

// CHAP's identifier and challenge: random bytes, new for each login.
struct LoginChallenge {
  std::uint8_t identifier = 0;
  std::array<std::byte, 32> bytes{};
};

class Login {
 public:
  // `policy` outlives the login.
  Login(const NegotiationLimits& limits, LoginPolicy& policy, const LoginChallenge& challenge);
  Login(const Login&) = delete;
  Login& operator=(const Login&) = delete;

  // A Login Request and all of its data (at most default_data_segment_bytes). Not after
  // wants_session, full_feature or close.
  [[nodiscard]] LoginStep take(const LoginRequest& request, std::span<const std::byte> data);

  // After wants_session: the session is there. `tsih` is its handle, not 0. (A connection that
  // comes back to its session gives the one that the request had.)
  [[nodiscard]] LoginStep finish(std::uint16_t tsih);
  // After wants_session, or at any time between two requests: with a status other than success.
  [[nodiscard]] LoginStep fail(LoginStatus status);

  // Valid from the first whole request on (that is once LoginPolicy was asked).
  [[nodiscard]] const std::string& initiator_name() const { return initiator_name_; }
  [[nodiscard]] const std::string& target_name() const { return target_name_; }
  [[nodiscard]] const std::string& initiator_alias() const {
    return negotiation_.initiator_alias();
  }
  [[nodiscard]] SessionType session_type() const { return session_type_; }
  [[nodiscard]] std::uint16_t portal_group() const { return admission_.portal_group; }
  // Of the first request: with TSIH 0 a session is made anew, or in the place of the one with the
  // same names, ISID and portal group (6.3.5); otherwise a connection is to join one.
  [[nodiscard]] const Isid& isid() const { return first_.isid; }
  [[nodiscard]] std::uint16_t tsih() const { return first_.tsih; }
  [[nodiscard]] std::uint16_t cid() const { return first_.cid; }
  // CmdSN of the first command that follows, but for immediate ones (11.12.8).
  [[nodiscard]] std::uint32_t cmd_sn() const { return first_.cmd_sn; }

  // Valid from wants_session on. Negotiation goes on in the full feature phase with a copy of it.
  [[nodiscard]] const SessionParameters& parameters() const { return negotiation_.parameters(); }
  [[nodiscard]] const Negotiation& negotiation() const { return negotiation_; }
  // How the initiator has proved who it is.
  enum class Proof : std::uint8_t { none, chap, mutual_chap };
  [[nodiscard]] Proof proof() const { return proof_; }

  // Why LoginNext::close; nullopt before.
  [[nodiscard]] std::optional<LoginFault> fault() const { return fault_; }
  [[nodiscard]] std::optional<TextError> text_error() const { return text_error_; }
  [[nodiscard]] std::optional<NegotiationFault> negotiation_fault() const {
    return negotiation_fault_;
  }
  [[nodiscard]] std::optional<auth::ChapFault> chap_fault() const { return chap_fault_; }

 private:
  enum class Phase : std::uint8_t { requests, wants_session, over };
  // What the security stage waits for.
  enum class Security : std::uint8_t { method, chap_algorithm, chap_response, done };
  struct Failure {
    LoginStatus status = LoginStatus::initiator_error;
    LoginFault fault = LoginFault::refused;
  };
  using Outcome = std::optional<Failure>;

  Outcome check_header() const;
  Outcome check_transit() const;
  Outcome take_piece(std::span<const std::byte> data);
  Outcome answer_text();
  Outcome begin(TextWriter& answer);
  Outcome read_identity();
  Outcome take_identity(std::string_view key, std::string_view value);
  Outcome take_pair(const KeyValue& pair, TextWriter& answer);
  Outcome take_security_pair(const KeyValue& pair, TextWriter& answer);
  Outcome choose_method(std::string_view list, TextWriter& answer);
  Outcome choose_algorithm(std::string_view list, TextWriter& answer);
  Outcome prove(TextWriter& answer);

  Outcome text_failure(TextError error);
  Outcome negotiation_failure(NegotiationFault fault);
  Outcome chap_failure(auth::ChapFault fault);

  LoginStep respond();
  LoginStep respond_to_piece();
  LoginStep failed(const Failure& failure);
  [[nodiscard]] LoginResponse response_header() const;

  LoginPolicy& policy_;
  LoginChallenge challenge_;
  Negotiation negotiation_;
  TextGatherer gatherer_;
  TextPieces answer_;
  std::span<const std::byte> last_piece_;  // of answer_; kept back while the session is made

  Phase phase_ = Phase::requests;
  LoginStage stage_ = LoginStage::security;
  LoginRequest first_;
  LoginRequest request_;  // the one being answered
  unsigned requests_ = 0;
  bool begun_ = false;  // the first text has been whole, and admitted

  std::string initiator_name_;
  std::string target_name_;
  SessionType session_type_ = SessionType::normal;
  LoginAdmission admission_;

  Security security_ = Security::method;
  std::optional<auth::ChapAuthenticator> chap_;
  // Values of one step.
  std::optional<std::string> chap_name_;
  std::optional<std::string> chap_response_;
  std::optional<std::string> chap_identifier_;
  std::optional<std::string> chap_challenge_;
  Proof proof_ = Proof::none;

  std::optional<LoginFault> fault_;
  std::optional<TextError> text_error_;
  std::optional<NegotiationFault> negotiation_fault_;
  std::optional<auth::ChapFault> chap_fault_;
};

}  // namespace protocol::iscsi
