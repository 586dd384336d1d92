// Login as an initiator: text keys, what is proposed and what came of it, CHAP. RFC 7143, sections
// 6.3, 11.12, 11.13, 12 and 13.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/client/iscsi_connection.h"

namespace client::iscsi {

// Key=value pairs in the order of the wire; a key may be there twice.
using Keys = std::vector<std::pair<std::string, std::string>>;
[[nodiscard]] Bytes to_text(const Keys& keys);
// Violations: a pair without '=', a text that does not end with a NUL.
[[nodiscard]] Result<Keys> from_text(std::span<const std::byte> text);
// The first value of `key`; nullopt when it is not there.
[[nodiscard]] std::optional<std::string> value_of(const Keys& keys, std::string_view key);

constexpr std::uint8_t security_stage = 0;
constexpr std::uint8_t operational_stage = 1;
constexpr std::uint8_t full_feature_phase = 3;

// One Login Request with every field open to change. Section 11.12.
struct LoginRequest {
  bool transit = true;
  bool more = false;  // C bit
  std::uint8_t current_stage = operational_stage;
  std::uint8_t next_stage = full_feature_phase;
  std::uint8_t version_max = 0;
  std::uint8_t version_min = 0;
  std::array<std::uint8_t, 6> isid{0x80, 0, 0, 0, 0, 1};
  std::uint16_t session_handle = 0;  // TSIH
  std::uint32_t task_tag = 1;
  std::uint16_t connection_id = 1;
  std::uint32_t command_sn = 1;
  std::uint32_t expected_stat_sn = 0;
};
[[nodiscard]] Pdu to_pdu(const LoginRequest& request, Bytes text);

struct LoginStatus {
  std::uint8_t status_class = 0;
  std::uint8_t detail = 0;
  [[nodiscard]] bool ok() const { return status_class == 0; }
  bool operator==(const LoginStatus&) const = default;
  [[nodiscard]] std::string text() const;  // "02/01"
};

// A target's; section 11.13.
struct LoginResponse {
  bool transit = false;
  bool more = false;
  std::uint8_t current_stage = 0;
  std::uint8_t next_stage = 0;
  std::uint16_t session_handle = 0;
  std::uint32_t stat_sn = 0;
  std::uint32_t expected_command_sn = 0;
  std::uint32_t max_command_sn = 0;
  LoginStatus status;
  Bytes text;
};
// Violations: another opcode or task tag, reserved bits, T together with C.
[[nodiscard]] Result<LoginResponse> parse_login_response(const ReceivedPdu& pdu,
                                                         const LoginRequest& request);

struct Chap {
  std::string user;
  std::string secret;
  // Of the target; empty: it need not prove itself.
  std::string mutual_user = {};
  std::string mutual_secret = {};
};

// What a session works with: proposed before login, agreed afterwards.
struct Parameters {
  bool header_digest = false;
  bool data_digest = false;
  bool initial_r2t = true;
  bool immediate_data = true;
  std::uint32_t max_burst = 262144;
  std::uint32_t first_burst = 65536;
  std::uint32_t max_outstanding_r2t = 1;
  std::uint32_t receive_segment = 262144;  // MaxRecvDataSegmentLength: ours
  std::uint32_t send_segment = 8192;       // and the target's, once it is known
};

struct LoginOptions {
  Endpoint endpoint = {"127.0.0.1", 3260};
  std::string initiator = "iqn.2026-11.com.example:client";
  std::string target = {};  // empty: a discovery session
  std::array<std::uint8_t, 6> isid{0x80, 0, 0, 0, 0, 1};
  std::uint16_t session_handle = 0;
  std::uint16_t connection_id = 1;
  Parameters parameters = {};
  std::optional<Chap> chap = {};
  Keys more_keys = {};  // of the operational stage, after the usual ones
  Milliseconds time_out = default_time_out;
};

// How login ended: in full feature phase, or with a status that is not 0.
struct Login {
  LoginStatus status;
  std::uint16_t session_handle = 0;
  Parameters agreed;
  Keys answered;                 // all keys of the target, over all stages
  std::uint32_t stat_sn = 0;     // of the last response
  std::uint32_t command_sn = 1;  // of the first command
  std::uint32_t expected_command_sn = 0;
  std::uint32_t max_command_sn = 0;
};

// Negotiates on a fresh connection. Its framing is the agreed one afterwards. Violations: an answer
// that the standard does not allow, a target that proves another secret, a login without an end.
[[nodiscard]] Result<Login> log_in(Connection& connection, const LoginOptions& options);

// CHAP_R for MD5: RFC 1994.
[[nodiscard]] Bytes chap_response(std::uint8_t id, std::string_view secret,
                                  std::span<const std::byte> challenge);

}  // namespace client::iscsi
