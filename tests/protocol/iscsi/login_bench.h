// An initiator that logs in, and the policy that it meets.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "protocol/iscsi/login.h"
#include "tests/protocol/iscsi/initiator_pdus.h"

namespace protocol::iscsi {

inline constexpr std::string_view host_name = "iqn.2001-04.com.example:host";
inline constexpr std::string_view disk_name = "iqn.2001-04.com.example:disk";

class RecordingPolicy final : public LoginPolicy {
 public:
  LoginAdmission admit(const LoginIdentity& identity) override {
    ++asked;
    type = identity.type;
    initiator = identity.initiator_name;
    target = identity.target_name;
    isid = identity.isid;
    return admission;
  }

  LoginAdmission admission;
  unsigned asked = 0;
  SessionType type{};
  std::string initiator;
  std::string target;
  Isid isid{};
};

inline LoginChallenge fixed_challenge() {
  LoginChallenge challenge{.identifier = 0x42};
  for (std::size_t i = 0; i < challenge.bytes.size(); ++i) {
    challenge.bytes[i] = static_cast<std::byte>(0xc0 + i);
  }
  return challenge;
}

// Text as it is written in tests: pairs with blanks between them (no value here has one).
inline std::string text_from(std::string_view pairs) {
  std::string text;
  while (!pairs.empty()) {
    const auto end = pairs.find(' ');
    if (end != 0) text.append(pairs.substr(0, end)).append(1, '\0');
    pairs = end == std::string_view::npos ? std::string_view() : pairs.substr(end + 1);
  }
  return text;
}

inline std::string pairs_of(std::span<const std::byte> text) {
  std::string pairs(reinterpret_cast<const char*>(text.data()), text.size());
  for (char& c : pairs) {
    if (c == '\0') c = ' ';
  }
  if (pairs.ends_with(' ')) pairs.pop_back();
  return pairs;
}

inline LoginRequest request_in(LoginStage stage) {
  return {.isid = {0x40, 0, 0x11, 0x22, 0, 1},
          .tsih = 0,
          .cid = 3,
          .initiator_task_tag = 0x55,
          .cmd_sn = 77,
          .exp_stat_sn = 0,
          .current_stage = stage,
          .next_stage = stage,
          .transit = false,
          .continues = false,
          .version_max = 0,
          .version_min = 0};
}

inline LoginRequest leaving(LoginStage stage, LoginStage next) {
  LoginRequest request = request_in(stage);
  request.transit = true;
  request.next_stage = next;
  return request;
}

inline const LoginRequest to_operational = leaving(LoginStage::security, LoginStage::operational);
inline const LoginRequest to_full_feature =
    leaving(LoginStage::operational, LoginStage::full_feature);
inline const LoginRequest in_security = request_in(LoginStage::security);
inline const LoginRequest in_operational = request_in(LoginStage::operational);

class LoginBench : public ::testing::Test {
 protected:
  LoginStep send(const LoginRequest& request, std::string_view pairs) {
    return send_text(request, text_from(pairs));
  }
  LoginStep send_text(const LoginRequest& request, std::string_view text) {
    return login().take(request, text_bytes(text));
  }

  Login& login() {
    if (!login_) login_.emplace(limits, policy, fixed_challenge());
    return *login_;
  }

  // The names in front of what else the first request has.
  static std::string names(std::string_view more = "") {
    return "InitiatorName=" + std::string(host_name) + " TargetName=" + std::string(disk_name) +
           " " + std::string(more);
  }

  void expect_refusal(const LoginStep& step, LoginStatus status, LoginFault fault) {
    EXPECT_EQ(step.next, LoginNext::close);
    EXPECT_EQ(step.response.status, status);
    EXPECT_FALSE(step.response.transit);
    EXPECT_FALSE(step.response.continues);
    ASSERT_TRUE(login().fault().has_value());
    EXPECT_EQ(*login().fault(), fault) << text_of(*login().fault());
  }

  RecordingPolicy policy;
  NegotiationLimits limits;

 private:
  std::optional<Login> login_;
};

}  // namespace protocol::iscsi
