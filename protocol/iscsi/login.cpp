#include "protocol/iscsi/login.h"

#include <utility>
#include <vector>

#include "engine/foundation/check.h"
#include "protocol/auth/binary_text.h"
#include "protocol/iscsi/names.h"

namespace protocol::iscsi {
namespace {

constexpr std::string_view key_initiator_name = "InitiatorName";
constexpr std::string_view key_target_name = "TargetName";
constexpr std::string_view key_session_type = "SessionType";
constexpr std::string_view key_auth_method = "AuthMethod";
constexpr std::string_view key_send_targets = "SendTargets";
constexpr std::string_view chap_prefix = "CHAP_";

constexpr std::string_view method_chap = "CHAP";

bool is_identity(std::string_view key) {
  return key == key_initiator_name || key == key_target_name || key == key_session_type;
}

bool is_security(std::string_view key) {
  return key == key_auth_method || key.starts_with(chap_prefix);
}

std::optional<SessionType> parse_session_type(std::string_view value) {
  if (value == "Normal") return SessionType::normal;
  if (value == "Discovery") return SessionType::discovery;
  return std::nullopt;
}

bool is_in_list(std::string_view list, std::string_view wanted) {
  while (const auto value = take_from_list(list)) {
    if (*value == wanted) return true;
  }
  return false;
}

}  // namespace

std::string_view text_of(LoginFault fault) {
  switch (fault) {
    case LoginFault::bad_text:
      return "malformed text";
    case LoginFault::bad_negotiation:
      return "a key against the rules of negotiation";
    case LoginFault::unsupported_version:
      return "unsupported version";
    case LoginFault::bad_stage:
      return "a stage that cannot be";
    case LoginFault::bad_continuation:
      return "a continuation that cannot be";
    case LoginFault::changed_header:
      return "another ISID, TSIH, CID, tag or CmdSN than at first";
    case LoginFault::initiator_name_missing:
      return "no InitiatorName";
    case LoginFault::bad_initiator_name:
      return "InitiatorName is no node name";
    case LoginFault::target_name_missing:
      return "no TargetName";
    case LoginFault::bad_target_name:
      return "TargetName is no node name";
    case LoginFault::bad_session_type:
      return "unknown SessionType";
    case LoginFault::changed_identity:
      return "another name or session type than at first";
    case LoginFault::key_in_wrong_stage:
      return "a key in the wrong stage";
    case LoginFault::no_common_auth_method:
      return "no authentication method in common";
    case LoginFault::auth_required:
      return "authentication is required";
    case LoginFault::bad_chap:
      return "CHAP failed";
    case LoginFault::too_many_requests:
      return "more requests than a login has";
    case LoginFault::refused:
      return "refused";
  }
  return "unknown fault";
}

Login::Login(const NegotiationLimits& limits, LoginPolicy& policy, const LoginChallenge& challenge)
    : policy_(policy), challenge_(challenge), negotiation_(limits) {}

LoginStep Login::take(const LoginRequest& request, std::span<const std::byte> data) {
  CHECK(phase_ == Phase::requests);
  request_ = request;
  if (requests_++ == 0) {
    first_ = request;
    stage_ = request.current_stage;
  }
  if (const auto failure = check_header()) return failed(*failure);
  if (const auto failure = check_transit()) return failed(*failure);
  if (answer_.more()) {
    // We wait for empty requests only, each of which asks for the next piece (6.2).
    if (!data.empty() || request.continues) return failed({.fault = LoginFault::bad_continuation});
    return respond();
  }
  if (const auto failure = take_piece(data)) return failed(*failure);
  if (request.continues) return respond_to_piece();
  if (const auto failure = answer_text()) return failed(*failure);
  return respond();
}

Login::Outcome Login::check_header() const {
  if (requests_ > most_login_requests) return Failure{.fault = LoginFault::too_many_requests};
  // 11.12.4: the only version is 0.
  if (request_.version_min != 0) {
    return Failure{LoginStatus::unsupported_version, LoginFault::unsupported_version};
  }
  // 11.12: these stay as they are throughout a login.
  if (request_.isid != first_.isid || request_.tsih != first_.tsih || request_.cid != first_.cid ||
      request_.initiator_task_tag != first_.initiator_task_tag ||
      request_.cmd_sn != first_.cmd_sn) {
    return Failure{.fault = LoginFault::changed_header};
  }
  return std::nullopt;
}

Login::Outcome Login::check_transit() const {
  const LoginStage stage = request_.current_stage;
  if (stage != stage_ || (stage != LoginStage::security && stage != LoginStage::operational)) {
    return Failure{.fault = LoginFault::bad_stage};
  }
  if (!request_.transit) return std::nullopt;
  if (request_.continues) return Failure{.fault = LoginFault::bad_continuation};
  // 11.12.3: forwards only; from any stage straight to the full feature phase.
  const bool forwards =
      request_.next_stage == LoginStage::full_feature ||
      (stage == LoginStage::security && request_.next_stage == LoginStage::operational);
  if (!forwards) return Failure{.fault = LoginFault::bad_stage};
  return std::nullopt;
}

Login::Outcome Login::take_piece(std::span<const std::byte> data) {
  const auto added = gatherer_.add(data);
  return added ? std::nullopt : text_failure(added.error());
}

// The text of one step, whole: every key is answered.
Login::Outcome Login::answer_text() {
  TextWriter answer;
  if (!begun_) {
    if (auto failure = begin(answer)) return failure;
  }
  TextReader reader(gatherer_.text());
  for (;;) {
    const auto pair = reader.next();
    if (!pair) return text_failure(pair.error());
    if (!pair.value()) break;
    if (auto failure = take_pair(*pair.value(), answer)) return failure;
  }
  if (stage_ == LoginStage::operational) {
    negotiation_.declare(answer);
  } else {
    if (auto failure = prove(answer)) return failure;
    if (request_.transit && security_ == Security::method) {
      // Leaves without a word of AuthMethod, which is None then.
      if (admission_.chap) {
        return Failure{LoginStatus::authentication_failure, LoginFault::auth_required};
      }
      security_ = Security::done;
    }
  }
  gatherer_.clear();
  answer_ = TextPieces(answer.take());
  return std::nullopt;
}

// The first text says who wants to log in where (6.3).
Login::Outcome Login::begin(TextWriter& answer) {
  if (auto failure = read_identity()) return failure;
  if (session_type_ == SessionType::discovery) negotiation_.be_discovery();
  admission_ = policy_.admit({.type = session_type_,
                              .initiator_name = initiator_name_,
                              .target_name = target_name_,
                              .isid = first_.isid});
  begun_ = true;
  if (admission_.status != LoginStatus::success) {
    return Failure{admission_.status, LoginFault::refused};
  }
  if (admission_.chap && stage_ != LoginStage::security) {
    return Failure{LoginStatus::authentication_failure, LoginFault::auth_required};
  }
  if (session_type_ == SessionType::normal) {
    // 13.9: in the first response, and never again.
    answer.add("TargetPortalGroupTag", std::uint64_t{admission_.portal_group});
    if (!admission_.target_alias.empty()) answer.add("TargetAlias", admission_.target_alias);
  }
  return std::nullopt;
}

Login::Outcome Login::read_identity() {
  std::optional<std::string_view> initiator;
  std::optional<std::string_view> target;
  std::optional<std::string_view> type;
  TextReader reader(gatherer_.text());
  for (;;) {
    const auto pair = reader.next();
    if (!pair) return text_failure(pair.error());
    if (!pair.value()) break;
    const auto [key, value] = *pair.value();
    // Of two, the second is held against the first like one of a later request.
    if (key == key_initiator_name && !initiator) initiator = value;
    if (key == key_target_name && !target) target = value;
    if (key == key_session_type && !type) type = value;
  }
  const auto session = parse_session_type(type.value_or("Normal"));
  if (!session) {
    return Failure{LoginStatus::session_type_not_supported, LoginFault::bad_session_type};
  }
  session_type_ = *session;
  if (!initiator) {
    return Failure{LoginStatus::missing_parameter, LoginFault::initiator_name_missing};
  }
  auto initiator_name = normalise_name(*initiator);
  if (!initiator_name) return Failure{.fault = LoginFault::bad_initiator_name};
  initiator_name_ = std::move(initiator_name).value();
  // A discovery session has no target, whatever it says.
  if (session_type_ == SessionType::discovery) return std::nullopt;
  if (!target) return Failure{LoginStatus::missing_parameter, LoginFault::target_name_missing};
  auto target_name = normalise_name(*target);
  if (!target_name) return Failure{LoginStatus::not_found, LoginFault::bad_target_name};
  target_name_ = std::move(target_name).value();
  return std::nullopt;
}

// Every one of them is held against what was read at first. They should come once; libiscsi repeats
// them in the operational stage.
Login::Outcome Login::take_identity(std::string_view key, std::string_view value) {
  const Failure changed{.fault = LoginFault::changed_identity};
  if (key == key_session_type) {
    if (parse_session_type(value) != session_type_) return changed;
    return std::nullopt;
  }
  if (key == key_target_name && session_type_ == SessionType::discovery) return std::nullopt;
  const auto name = normalise_name(value);
  const std::string& known = key == key_initiator_name ? initiator_name_ : target_name_;
  if (!name || name.value() != known) return changed;
  return std::nullopt;
}

Login::Outcome Login::take_pair(const KeyValue& pair, TextWriter& answer) {
  if (is_identity(pair.key)) return take_identity(pair.key, pair.value);
  const bool in_security = stage_ == LoginStage::security;
  if (is_security(pair.key)) {
    if (!in_security) return Failure{.fault = LoginFault::key_in_wrong_stage};
    return take_security_pair(pair, answer);
  }
  if (in_security && Negotiation::is_operational(pair.key)) {
    return Failure{.fault = LoginFault::key_in_wrong_stage};
  }
  if (pair.key == key_send_targets) {
    answer.add(pair.key, value_reject);  // Of the full feature phase only (13.3).
    return std::nullopt;
  }
  const auto fault = negotiation_.take(pair, NegotiationPhase::login, answer);
  return fault ? negotiation_failure(*fault) : std::nullopt;
}

Login::Outcome Login::take_security_pair(const KeyValue& pair, TextWriter& answer) {
  if (pair.key == key_auth_method) {
    if (security_ != Security::method) {
      return negotiation_failure(NegotiationFault::repeated_key);
    }
    return choose_method(pair.value, answer);
  }
  if (pair.key == "CHAP_A") {
    if (security_ != Security::chap_algorithm) {
      return chap_failure(auth::ChapFault::out_of_sequence);
    }
    return choose_algorithm(pair.value, answer);
  }
  std::optional<std::string>* value = nullptr;
  if (pair.key == "CHAP_N") value = &chap_name_;
  if (pair.key == "CHAP_R") value = &chap_response_;
  if (pair.key == "CHAP_I") value = &chap_identifier_;
  if (pair.key == "CHAP_C") value = &chap_challenge_;
  if (value == nullptr) {
    answer.add(pair.key, value_not_understood);
    return std::nullopt;
  }
  if (security_ != Security::chap_response || *value) {
    return chap_failure(auth::ChapFault::out_of_sequence);
  }
  *value = pair.value;
  return std::nullopt;
}

// 12.1. What is demanded is taken wherever in the list it stands: there is no choice.
Login::Outcome Login::choose_method(std::string_view list, TextWriter& answer) {
  const std::string_view method = admission_.chap ? method_chap : value_none;
  if (!is_in_list(list, method)) {
    return Failure{LoginStatus::authentication_failure, LoginFault::no_common_auth_method};
  }
  answer.add(key_auth_method, method);
  if (admission_.chap) {
    chap_.emplace(*admission_.chap, challenge_.identifier, challenge_.bytes);
    security_ = Security::chap_algorithm;
  } else {
    security_ = Security::done;
  }
  return std::nullopt;
}

// 12.1.3.
Login::Outcome Login::choose_algorithm(std::string_view list, TextWriter& answer) {
  std::vector<std::uint64_t> offered;
  while (const auto value = take_from_list(list)) {
    const auto number = parse_number(*value);
    if (!number) return chap_failure(auth::ChapFault::bad_value);
    offered.push_back(*number);
  }
  const auto algorithm = chap_->choose(offered);
  if (!algorithm) return chap_failure(algorithm.error());
  answer.add("CHAP_A", static_cast<std::uint64_t>(algorithm.value()));
  answer.add("CHAP_I", std::uint64_t{chap_->identifier()});
  answer.add("CHAP_C", auth::to_hex(chap_->challenge()));
  security_ = Security::chap_response;
  return std::nullopt;
}

// Once a text with the initiator's name and response is whole.
Login::Outcome Login::prove(TextWriter& answer) {
  if (!chap_name_ && !chap_response_ && !chap_identifier_ && !chap_challenge_) return std::nullopt;
  if (!chap_name_ || !chap_response_ ||
      chap_identifier_.has_value() != chap_challenge_.has_value()) {
    return chap_failure(auth::ChapFault::bad_value);
  }
  const auto response = auth::parse_binary(*chap_response_, auth::longest_challenge_bytes);
  if (!response) return chap_failure(auth::ChapFault::bad_value);
  if (const auto fault = chap_->verify(*chap_name_, *response)) return chap_failure(*fault);
  proof_ = Proof::chap;
  if (chap_challenge_) {
    const auto identifier = parse_number(*chap_identifier_);
    const auto challenge = auth::parse_binary(*chap_challenge_, auth::longest_challenge_bytes);
    if (!identifier || *identifier > 0xff || !challenge) {
      return chap_failure(auth::ChapFault::bad_value);
    }
    const auto ours = chap_->answer(static_cast<std::uint8_t>(*identifier), *challenge);
    if (!ours) return chap_failure(ours.error());
    answer.add("CHAP_N", ours.value().name);
    answer.add("CHAP_R", auth::to_hex(ours.value().response.bytes()));
    proof_ = Proof::mutual_chap;
  }
  chap_name_.reset();
  chap_response_.reset();
  chap_identifier_.reset();
  chap_challenge_.reset();
  security_ = Security::done;
  return std::nullopt;
}

Login::Outcome Login::text_failure(TextError error) {
  text_error_ = error;
  return Failure{.fault = LoginFault::bad_text};
}

Login::Outcome Login::negotiation_failure(NegotiationFault fault) {
  negotiation_fault_ = fault;
  return Failure{.fault = LoginFault::bad_negotiation};
}

Login::Outcome Login::chap_failure(auth::ChapFault fault) {
  chap_fault_ = fault;
  return Failure{LoginStatus::authentication_failure, LoginFault::bad_chap};
}

LoginResponse Login::response_header() const {
  LoginResponse response;
  response.isid = first_.isid;
  response.tsih = first_.tsih;
  response.initiator_task_tag = first_.initiator_task_tag;
  response.current_stage = stage_;
  return response;
}

LoginStep Login::respond_to_piece() {
  return {.next = LoginNext::await_request, .response = response_header(), .text = {}};
}

// The next piece of the answer; with the last of it the stage ends, if both sides are through.
LoginStep Login::respond() {
  LoginStep step{.next = LoginNext::await_request, .response = response_header(), .text = {}};
  step.text = answer_.take(default_data_segment_bytes);
  step.response.continues = answer_.more();
  const bool through = stage_ == LoginStage::operational || security_ == Security::done;
  if (!request_.transit || answer_.more() || !through) return step;

  if (request_.next_stage == LoginStage::full_feature) {
    if (const auto fault = negotiation_.check_complete()) {
      return failed(*negotiation_failure(*fault));
    }
    phase_ = Phase::wants_session;
    last_piece_ = step.text;
    return {.next = LoginNext::wants_session, .response = {}, .text = {}};
  }
  step.response.transit = true;
  step.response.next_stage = request_.next_stage;
  stage_ = request_.next_stage;
  return step;
}

LoginStep Login::finish(std::uint16_t tsih) {
  CHECK(phase_ == Phase::wants_session);
  CHECK(tsih != 0);
  phase_ = Phase::over;
  LoginStep step{
      .next = LoginNext::full_feature, .response = response_header(), .text = last_piece_};
  step.response.tsih = tsih;
  step.response.transit = true;
  step.response.next_stage = LoginStage::full_feature;
  return step;
}

LoginStep Login::fail(LoginStatus status) {
  CHECK(phase_ != Phase::over);
  CHECK(status != LoginStatus::success);
  return failed({status, LoginFault::refused});
}

LoginStep Login::failed(const Failure& failure) {
  phase_ = Phase::over;
  fault_ = failure.fault;
  TextWriter text;
  const bool moved = failure.status == LoginStatus::moved_temporarily ||
                     failure.status == LoginStatus::moved_permanently;
  if (moved) text.add("TargetAddress", admission_.redirect_address);
  answer_ = TextPieces(text.take());
  LoginStep step{.next = LoginNext::close, .response = response_header(), .text = {}};
  step.response.status = failure.status;
  step.text = answer_.take(default_data_segment_bytes);
  return step;
}

}  // namespace protocol::iscsi
