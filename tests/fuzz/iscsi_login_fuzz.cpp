// The whole login machine: bytes of an initiator in, bytes of a target out. Whatever comes, it ends
// after a bounded number of requests, lets nobody in who has not proved who it is where that is
// demanded, and answers as RFC 7143, 11.13 says.
//
// What no fuzzer guesses is put into the stream: the value of "CHAP_R=?" becomes the right response
// (if the switch says that the initiator knows the secret).
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "engine/foundation/check.h"
#include "protocol/auth/binary_text.h"
#include "protocol/auth/chap.h"
#include "protocol/iscsi/login.h"
#include "protocol/iscsi/pdu_decoder.h"
#include "protocol/iscsi/pdu_encoder.h"

namespace protocol::iscsi {
namespace {

struct Setup {
  std::uint8_t switches;  // See the constants below.
  std::uint8_t algorithms;
};
static_assert(sizeof(Setup) == 2);

constexpr unsigned chap_demanded = 1;
constexpr unsigned knows_secret = 2;
constexpr unsigned mutual_possible = 4;
constexpr unsigned digest_required = 8;
constexpr unsigned owner_refuses = 16;
constexpr unsigned policy_redirects = 32;

constexpr std::string_view initiator_secret = "initiator secret";
constexpr std::string_view target_secret = "target secret...";

class Policy final : public LoginPolicy {
 public:
  explicit Policy(const Setup& setup) : setup_(setup) {}

  LoginAdmission admit(const LoginIdentity& identity) override {
    CHECK(!asked_);
    asked_ = true;
    CHECK(!identity.initiator_name.empty());
    CHECK(identity.target_name.empty() == (identity.type == SessionType::discovery));
    LoginAdmission admission;
    admission.target_alias = "a target";
    if ((setup_.switches & policy_redirects) != 0) {
      admission.status = LoginStatus::moved_temporarily;
      admission.redirect_address = "192.0.2.7:3260";
    }
    if ((setup_.switches & chap_demanded) != 0) {
      admission.chap.emplace();
      admission.chap->initiator = {"host", std::string(initiator_secret)};
      if ((setup_.switches & mutual_possible) != 0) {
        admission.chap->target = auth::ChapAccount{"array", std::string(target_secret)};
      }
    }
    return admission;
  }

 private:
  Setup setup_;
  bool asked_ = false;
};

LoginChallenge challenge() {
  LoginChallenge made{.identifier = 0x42, .bytes = {}};
  made.bytes.fill(std::byte{0xc5});
  return made;
}

// "CHAP_R=?" with the right response in the place of the question mark.
std::string with_response(std::string text, const Setup& setup, std::uint8_t algorithm) {
  constexpr std::string_view asked = "CHAP_R=?";
  const auto at = text.find(asked);
  if (at == std::string::npos || (setup.switches & knows_secret) == 0) return text;
  const auto response = auth::chap_response(static_cast<auth::ChapAlgorithm>(algorithm), 0x42,
                                            initiator_secret, challenge().bytes);
  if (response) text.replace(at + asked.size() - 1, 1, auth::to_hex(response->bytes()));
  return text;
}

class Initiator {
 public:
  explicit Initiator(const Setup& setup)
      : setup_(setup), policy_(setup), login_(limits_of(setup), policy_, challenge()) {}

  void play(std::span<const std::byte> stream) {
    const PduDecoder decoder;
    while (true) {
      const auto pdu = decoder.next(stream);
      if (!pdu || !pdu.value()) return;
      const auto* request = std::get_if<LoginRequest>(&pdu.value()->header);
      CHECK(request != nullptr);
      const std::size_t header = pdu.value()->header_bytes;
      const std::size_t data = pdu.value()->data_bytes;
      const std::size_t whole = header + data + pdu.value()->pad_bytes;
      if (stream.size() < whole) return;
      const auto text = stream.subspan(header, data);
      const std::string filled =
          with_response(std::string(reinterpret_cast<const char*>(text.data()), text.size()),
                        setup_, setup_.algorithms);
      stream = stream.subspan(whole);
      CHECK(++requests_ <= most_login_requests + 1);
      if (!take(*request, filled)) return;
    }
  }

 private:
  static NegotiationLimits limits_of(const Setup& setup) {
    NegotiationLimits limits;
    if ((setup.switches & digest_required) != 0) limits.header_digest = DigestPolicy::required;
    return limits;
  }

  // False once it is over.
  bool take(const LoginRequest& request, const std::string& text) {
    const auto data = std::as_bytes(std::span(text.data(), text.size()));
    LoginStep step = login_.take(request, data.first(std::min<std::size_t>(data.size(), 8192)));
    if (step.next == LoginNext::wants_session) {
      CHECK(request.transit);
      CHECK(request.next_stage == LoginStage::full_feature);
      check_admitted();
      step = (setup_.switches & owner_refuses) != 0 ? login_.fail(LoginStatus::out_of_resources)
                                                    : login_.finish(1);
      CHECK(step.next != LoginNext::wants_session);
    }
    check_response(request, step);
    return step.next == LoginNext::await_request;
  }

  void check_admitted() {
    const bool proved = login_.proof() != Login::Proof::none;
    CHECK(proved == ((setup_.switches & chap_demanded) != 0));
    if (proved) CHECK((setup_.switches & knows_secret) != 0);
    if (login_.proof() == Login::Proof::mutual_chap) {
      CHECK((setup_.switches & mutual_possible) != 0);
    }
    CHECK((setup_.switches & policy_redirects) == 0);
    const SessionParameters& held = login_.parameters();
    CHECK(held.first_burst_bytes <= held.max_burst_bytes);
    if ((setup_.switches & digest_required) != 0 && login_.session_type() == SessionType::normal) {
      CHECK(held.digests.header);
    }
#ifdef FOREBAY_PLANTED_BUG
    // What the fuzzer has to find to be believed, behind a login with CHAP.
    const std::vector<std::byte> block(512);
    if (proved && (held.first_burst_bytes < 65536 || held.max_burst_bytes < 262144)) {
      volatile auto byte = block.data()[block.size()];
      (void)byte;
    }
#endif
  }

  void check_response(const LoginRequest& request, const LoginStep& step) {
    CHECK(step.text.size() <= default_data_segment_bytes);
    const LoginResponse& response = step.response;
    const bool refused = response.status != LoginStatus::success;
    CHECK(refused == (step.next == LoginNext::close));
    CHECK(refused == login_.fault().has_value());
    if (response.transit) {
      CHECK(request.transit);
      CHECK(response.next_stage == request.next_stage);
      CHECK(!response.continues);
    }
    if (refused) {
      CHECK(text_of(*login_.fault()) != "unknown fault");
      CHECK(!response.transit);
    }
    std::vector<std::byte> space(pdu_bytes({}, static_cast<std::uint32_t>(step.text.size())));
    CHECK(encode_login_response(space, {}, response, step.text) == space.size());
    const std::string_view said(reinterpret_cast<const char*>(space.data()), space.size());
    CHECK(said.find(initiator_secret) == std::string_view::npos);
    CHECK(said.find(target_secret) == std::string_view::npos);
  }

  Setup setup_;
  Policy policy_;
  Login login_;
  unsigned requests_ = 0;
};

}  // namespace
}  // namespace protocol::iscsi

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace protocol::iscsi;
  Setup setup;
  if (size < sizeof(setup)) return 0;
  std::memcpy(&setup, data, sizeof(setup));
  const std::vector<std::uint8_t> block(data + sizeof(setup), data + size);
  Initiator(setup).play(std::as_bytes(std::span(block)));
  return 0;
}
