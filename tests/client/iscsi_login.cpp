#include "tests/client/iscsi_login.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/uuid/detail/md5.hpp>
#include <charconv>

#include "engine/foundation/random.h"

namespace client::iscsi {
namespace {

constexpr std::size_t largest_text = 8192;  // of one login PDU: MaxRecvDataSegmentLength's default
constexpr int most_exchanges = 32;
constexpr std::uint8_t transit_bit = 0x80;
constexpr std::uint8_t more_bit = 0x40;

const char* yes_or_no(bool value) { return value ? "Yes" : "No"; }
const char* digest(bool value) { return value ? "CRC32C" : "None"; }

Keys identity_keys(const LoginOptions& options) {
  Keys keys{{"InitiatorName", options.initiator},
            {"SessionType", options.target.empty() ? "Discovery" : "Normal"}};
  if (!options.target.empty()) keys.emplace_back("TargetName", options.target);
  return keys;
}

Keys operational_keys(const LoginOptions& options) {
  const Parameters& wanted = options.parameters;
  Keys keys{{"HeaderDigest", digest(wanted.header_digest)},
            {"DataDigest", digest(wanted.data_digest)},
            {"MaxRecvDataSegmentLength", std::to_string(wanted.receive_segment)},
            {"ErrorRecoveryLevel", "0"},
            {"DefaultTime2Wait", "2"},
            {"DefaultTime2Retain", "0"}};
  if (!options.target.empty()) {
    const Keys normal{{"InitialR2T", yes_or_no(wanted.initial_r2t)},
                      {"ImmediateData", yes_or_no(wanted.immediate_data)},
                      {"MaxBurstLength", std::to_string(wanted.max_burst)},
                      {"FirstBurstLength", std::to_string(wanted.first_burst)},
                      {"MaxOutstandingR2T", std::to_string(wanted.max_outstanding_r2t)},
                      {"MaxConnections", "1"},
                      {"DataPDUInOrder", "Yes"},
                      {"DataSequenceInOrder", "Yes"}};
    keys.insert(keys.end(), normal.begin(), normal.end());
  }
  keys.insert(keys.end(), options.more_keys.begin(), options.more_keys.end());
  return keys;
}

Error wrong_key(const std::string& what, std::string_view key, const std::string& value) {
  return {ErrorKind::violation, fmt::format("{}: {}={}", what, key, value)};
}

// One run of the state machine of the initiator.
class Negotiation {
 public:
  Negotiation(Connection& connection, const LoginOptions& options)
      : connection_(connection), options_(options) {
    request_.isid = options.isid;
    request_.session_handle = options.session_handle;
    request_.connection_id = options.connection_id;
    login_.agreed = options.parameters;
    login_.command_sn = request_.command_sn;
  }

  Result<Login> run() {
    if (options_.chap) {
      TRY(prove());
      if (!login_.status.ok()) return login_;
    }
    Keys keys = options_.chap ? Keys{} : identity_keys(options_);
    const Keys operational = operational_keys(options_);
    keys.insert(keys.end(), operational.begin(), operational.end());
    request_.current_stage = operational_stage;
    request_.next_stage = full_feature_phase;
    TRY(exchange(keys, true));
    for (int i = 0; login_.status.ok() && !response_.transit; ++i) {
      if (i == most_exchanges) return Error{ErrorKind::violation, "a login without an end"};
      TRY(exchange({}, true));
    }
    if (!login_.status.ok()) return login_;
    if (response_.next_stage != full_feature_phase) {
      return Error{ErrorKind::violation, "transit to a stage that was not asked for"};
    }
    if (response_.session_handle == 0) {
      return Error{ErrorKind::violation, "TSIH 0 in the last login response"};
    }
    TRY(agree());
    login_.session_handle = response_.session_handle;
    login_.stat_sn = response_.stat_sn;
    login_.expected_command_sn = response_.expected_command_sn;
    login_.max_command_sn = response_.max_command_sn;
    connection_.framing = {login_.agreed.header_digest, login_.agreed.data_digest};
    return login_;
  }

 private:
  // Security stage with CHAP: RFC 7143, 12.1.3 and 9.2.
  Result<void> prove() {
    const Chap& chap = *options_.chap;
    request_.current_stage = security_stage;
    request_.next_stage = operational_stage;
    Keys keys = identity_keys(options_);
    keys.emplace_back("AuthMethod", "CHAP");
    TRY(exchange(keys, false));
    if (!login_.status.ok()) return engine::success();
    if (latest("AuthMethod") != "CHAP") {
      return wrong_key("CHAP alone was offered", "AuthMethod", latest("AuthMethod"));
    }
    TRY(exchange({{"CHAP_A", "5"}}, false));
    if (!login_.status.ok()) return engine::success();
    if (latest("CHAP_A") != "5") return wrong_key("not MD5", "CHAP_A", latest("CHAP_A"));
    const int id = std::atoi(latest("CHAP_I").c_str());
    const Bytes challenge = binary(latest("CHAP_C"));
    if (challenge.empty() || id < 0 || id > 255)
      return wrong_key("bad", "CHAP_I", latest("CHAP_I"));
    Keys proof{{"CHAP_N", chap.user},
               {"CHAP_R", "0x" + to_hex(chap_response(static_cast<std::uint8_t>(id), chap.secret,
                                                      challenge))}};
    const bool mutual = !chap.mutual_secret.empty();
    Bytes own_challenge(16);
    engine::system_random(own_challenge);
    constexpr std::uint8_t own_id = 77;
    if (mutual) {
      proof.emplace_back("CHAP_I", std::to_string(own_id));
      proof.emplace_back("CHAP_C", "0x" + to_hex(own_challenge));
    }
    TRY(exchange(proof, true));
    if (!login_.status.ok()) return engine::success();
    if (mutual &&
        (latest("CHAP_N") != chap.mutual_user ||
         binary(latest("CHAP_R")) != chap_response(own_id, chap.mutual_secret, own_challenge))) {
      return Error{ErrorKind::refused, "the target did not prove itself"};
    }
    if (!response_.transit) {
      TRY(exchange({}, true));
    }
    if (login_.status.ok() && !response_.transit) {
      return Error{ErrorKind::violation, "authenticated, and no transit"};
    }
    return engine::success();
  }

  // Sends the keys, in as many requests as they need, and takes the whole answer.
  Result<void> exchange(const Keys& keys, bool transit) {
    const Bytes text = to_text(keys);
    std::size_t sent = 0;
    do {
      const std::size_t piece = std::min(text.size() - sent, largest_text);
      request_.more = sent + piece < text.size();
      request_.transit = transit && !request_.more;
      const auto part = std::span(text).subspan(sent, piece);
      TRY(step(Bytes(part.begin(), part.end())));
      sent += piece;
      if (!login_.status.ok()) return engine::success();
    } while (sent < text.size());
    Bytes answer = response_.text;
    for (int i = 0; response_.more; ++i) {
      if (i == most_exchanges) return Error{ErrorKind::violation, "an answer without an end"};
      request_.transit = request_.more = false;
      TRY(step({}));
      if (!login_.status.ok()) return engine::success();
      answer.insert(answer.end(), response_.text.begin(), response_.text.end());
    }
    TRY(latest_, from_text(answer));
    login_.answered.insert(login_.answered.end(), latest_.begin(), latest_.end());
    return engine::success();
  }

  Result<void> step(Bytes text) {
    TRY(connection_.send(to_pdu(request_, std::move(text)), options_.time_out));
    TRY(const auto pdu, connection_.receive(options_.time_out));
    TRY(response_, parse_login_response(pdu, request_));
    login_.status = response_.status;
    if (numbered_ && login_.status.ok() && response_.stat_sn != request_.expected_stat_sn) {
      return violation("StatSN out of sequence", pdu);
    }
    if (response_.transit && !request_.transit) return violation("transit not asked for", pdu);
    if (login_.status.ok() && response_.current_stage != request_.current_stage) {
      return violation("another stage", pdu);
    }
    numbered_ = true;
    request_.expected_stat_sn = response_.stat_sn + 1;
    return engine::success();
  }

  // Section 13: each result function, and which of them are only declared.
  Result<void> agree() {
    Parameters& agreed = login_.agreed;
    const Parameters& wanted = options_.parameters;
    TRY(agreed.header_digest, agree_digest("HeaderDigest", wanted.header_digest));
    TRY(agreed.data_digest, agree_digest("DataDigest", wanted.data_digest));
    agreed.send_segment = 8192;
    if (const auto declared = value_of(login_.answered, "MaxRecvDataSegmentLength")) {
      TRY(agreed.send_segment, number("MaxRecvDataSegmentLength", *declared, 512, 0xffffff));
    }
    if (options_.target.empty()) return engine::success();
    TRY(const bool initial_r2t, truth("InitialR2T", wanted.initial_r2t));
    if (wanted.initial_r2t && !initial_r2t) return wrong_key("not the OR", "InitialR2T", "No");
    agreed.initial_r2t = initial_r2t;
    TRY(const bool immediate, truth("ImmediateData", wanted.immediate_data));
    if (!wanted.immediate_data && immediate)
      return wrong_key("not the AND", "ImmediateData", "Yes");
    agreed.immediate_data = immediate;
    TRY(agreed.max_burst, least("MaxBurstLength", wanted.max_burst));
    TRY(agreed.first_burst, least("FirstBurstLength", wanted.first_burst));
    TRY(agreed.max_outstanding_r2t, least("MaxOutstandingR2T", wanted.max_outstanding_r2t));
    if (agreed.first_burst > agreed.max_burst) {
      return wrong_key("more than MaxBurstLength", "FirstBurstLength",
                       std::to_string(agreed.first_burst));
    }
    return engine::success();
  }

  Result<bool> agree_digest(const char* key, bool wanted) {
    const auto value = value_of(login_.answered, key);
    if (!value) return wrong_key("no answer", key, "");
    if (*value == "CRC32C" && wanted) return true;
    if (*value == "None" && !wanted) return false;
    if (*value == "Reject") return Error{ErrorKind::refused, std::string(key) + "=Reject"};
    return wrong_key("not what was offered", key, *value);
  }

  Result<bool> truth(const char* key, bool wanted) {
    const auto value = value_of(login_.answered, key);
    // Section 6.2.2: the answer may be left out where the proposal decides.
    if (!value) return wanted;
    if (*value != "Yes" && *value != "No") return wrong_key("neither Yes nor No", key, *value);
    return *value == "Yes";
  }

  Result<std::uint32_t> least(const char* key, std::uint32_t wanted) {
    const auto value = value_of(login_.answered, key);
    // FirstBurstLength is irrelevant without unsolicited data.
    if (!value || *value == "Irrelevant") return wanted;
    TRY(const std::uint32_t answered, number(key, *value, 1, 0xffffff));
    if (answered > wanted) return wrong_key("more than was proposed", key, *value);
    return answered;
  }

  static Result<std::uint32_t> number(const char* key, const std::string& value,
                                      std::uint32_t least, std::uint32_t most) {
    std::uint32_t read = 0;
    const bool hexadecimal = value.starts_with("0x") || value.starts_with("0X");
    const char* begin = value.data() + (hexadecimal ? 2 : 0);
    const char* end = value.data() + value.size();
    const auto [stop, trouble] = std::from_chars(begin, end, read, hexadecimal ? 16 : 10);
    if (trouble != std::errc{} || stop != end || read < least || read > most) {
      return wrong_key("no number in range", key, value);
    }
    return read;
  }

  [[nodiscard]] std::string latest(std::string_view key) const {
    return value_of(latest_, key).value_or("");
  }
  static Bytes binary(const std::string& value) {
    return value.starts_with("0x") || value.starts_with("0X") ? from_hex(value.substr(2)) : Bytes{};
  }

  Connection& connection_;
  const LoginOptions& options_;
  LoginRequest request_;
  LoginResponse response_;
  bool numbered_ = false;  // a StatSN has been seen
  Keys latest_;
  Login login_;
};

}  // namespace

Bytes to_text(const Keys& keys) {
  Bytes text;
  for (const auto& [key, value] : keys) {
    for (const char c : key + "=" + value) text.push_back(static_cast<std::byte>(c));
    text.push_back(std::byte{0});
  }
  return text;
}

Result<Keys> from_text(std::span<const std::byte> text) {
  Keys keys;
  std::string pair;
  for (const std::byte b : text) {
    if (b != std::byte{0}) {
      pair.push_back(static_cast<char>(b));
      continue;
    }
    if (pair.empty()) continue;
    const std::size_t middle = pair.find('=');
    if (middle == std::string::npos) return Error{ErrorKind::violation, "no '=' in " + pair};
    keys.emplace_back(pair.substr(0, middle), pair.substr(middle + 1));
    pair.clear();
  }
  if (!pair.empty()) return Error{ErrorKind::violation, "no NUL after " + pair};
  return keys;
}

std::optional<std::string> value_of(const Keys& keys, std::string_view key) {
  const auto found = std::ranges::find(keys, key, &Keys::value_type::first);
  if (found == keys.end()) return std::nullopt;
  return found->second;
}

Pdu to_pdu(const LoginRequest& request, Bytes text) {
  const int flags = (request.transit ? transit_bit : 0) | (request.more ? more_bit : 0) |
                    request.current_stage << 2 | (request.transit ? request.next_stage : 0);
  Pdu pdu(Opcode::login, static_cast<std::uint8_t>(flags));
  pdu.immediate().byte(2, request.version_max).byte(3, request.version_min);
  for (std::size_t i = 0; i < request.isid.size(); ++i) pdu.byte(8 + i, request.isid[i]);
  pdu.u16(14, request.session_handle)
      .u32(at::task_tag, request.task_tag)
      .u16(20, request.connection_id)
      .u32(at::command_sn, request.command_sn)
      .u32(at::expected_stat_sn, request.expected_stat_sn);
  pdu.data = std::move(text);
  return pdu;
}

std::string LoginStatus::text() const { return fmt::format("{:02x}/{:02x}", status_class, detail); }

Result<LoginResponse> parse_login_response(const ReceivedPdu& pdu, const LoginRequest& request) {
  if (!pdu.is(Opcode::login_response)) return violation("no login response", pdu);
  LoginResponse response;
  response.transit = (pdu.byte(1) & transit_bit) != 0;
  response.more = (pdu.byte(1) & more_bit) != 0;
  response.current_stage = pdu.byte(1) >> 2 & 3;
  response.next_stage = pdu.byte(1) & 3;
  response.session_handle = pdu.u16(14);
  response.stat_sn = pdu.u32(at::stat_sn);
  response.expected_command_sn = pdu.u32(at::expected_command_sn);
  response.max_command_sn = pdu.u32(at::max_command_sn);
  response.status = {pdu.byte(36), pdu.byte(37)};
  response.text = pdu.data;
  if (pdu.u32(at::task_tag) != request.task_tag) return violation("another task tag", pdu);
  if (response.transit && response.more) return violation("T and C together", pdu);
  if (response.status.ok() && (pdu.byte(1) & 0x30) != 0) return violation("reserved flags", pdu);
  for (std::size_t i = 0; response.status.ok() && i < request.isid.size(); ++i) {
    if (pdu.byte(8 + i) != request.isid[i]) return violation("another ISID", pdu);
  }
  return response;
}

Result<Login> log_in(Connection& connection, const LoginOptions& options) {
  return Negotiation(connection, options).run();
}

Bytes chap_response(std::uint8_t id, std::string_view secret,
                    std::span<const std::byte> challenge) {
  boost::uuids::detail::md5 hash;
  hash.process_byte(id);
  hash.process_bytes(secret.data(), secret.size());
  hash.process_bytes(challenge.data(), challenge.size());
  boost::uuids::detail::md5::digest_type digest;
  hash.get_digest(digest);
  Bytes response(sizeof digest);
  for (std::size_t i = 0; i < std::size(digest); ++i) put_big(response, 4 * i, digest[i], 4);
  return response;
}

}  // namespace client::iscsi
