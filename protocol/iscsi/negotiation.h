// Operational keys (RFC 7143, section 13): what is answered to each, and what comes of it.
#pragma once

#include <bitset>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "protocol/iscsi/digests.h"
#include "protocol/iscsi/pdu_decoder.h"
#include "protocol/iscsi/text.h"

namespace protocol::iscsi {

enum class SessionType : std::uint8_t { normal, discovery };

enum class DigestPolicy : std::uint8_t {
  permitted,  // the first of the initiator's list
  required,   // CRC32C, or the login to a target fails; discovery is as the initiator likes
  refused,    // None; an initiator that offers nothing else is answered with Reject
};

// 13.23. What a host may expect when tasks are ended.
enum class TaskReporting : std::uint8_t { rfc3720, response_fence, fast_abort };

// What this end takes and wants; results are never more generous. Ranges as section 13 has them.
struct NegotiationLimits {
  DigestPolicy header_digest = DigestPolicy::permitted;
  DigestPolicy data_digest = DigestPolicy::permitted;
  bool initial_r2t = false;
  bool immediate_data = true;
  std::uint32_t receive_data_segment_bytes = 262144;  // declared as MaxRecvDataSegmentLength
  std::uint32_t first_burst_bytes = 262144;
  std::uint32_t max_burst_bytes = 1U << 20;
  std::uint16_t max_outstanding_r2t = 4;
  std::uint16_t time2wait_s = 2;
  std::uint16_t time2retain_s = 0;  // a session that has lost its connection is not kept
  // Whether FastAbort (4.2.3.4) may be chosen; the others always may.
  bool fast_abort = false;
  std::uint8_t protocol_level = 1;  // 1: RFC 7143; 2: RFC 7144
};

// What holds in the full feature phase. Begins with the defaults of section 13, which stay where
// nothing was negotiated.
struct SessionParameters {
  Digests digests;
  std::uint32_t receive_data_segment_bytes = default_data_segment_bytes;  // from the host
  std::uint32_t send_data_segment_bytes = default_data_segment_bytes;     // to the host
  std::uint32_t first_burst_bytes = 65536;  // unsolicited data of one command; <= max_burst_bytes
  std::uint32_t max_burst_bytes = 262144;
  std::uint16_t max_outstanding_r2t = 1;
  std::uint16_t time2wait_s = 2;
  std::uint16_t time2retain_s = 20;
  std::uint8_t protocol_level = 1;
  TaskReporting task_reporting = TaskReporting::rfc3720;
  bool initial_r2t = true;
  bool immediate_data = true;
  // Always so here: MaxConnections 1, ErrorRecoveryLevel 0, DataPDUInOrder Yes, DataSequenceInOrder
  // Yes.
};

enum class NegotiationFault : std::uint8_t {
  repeated_key,     // once in a negotiation is the rule (6.3); not of aliases, libiscsi repeats its
  wrong_sender,     // a key that only targets send
  digest_required,  // the initiator does not offer CRC32C, which DigestPolicy demands
  bad_declaration,  // a declaration outside its range: there is no answer to it
};
[[nodiscard]] std::string_view text_of(NegotiationFault fault);

enum class NegotiationPhase : std::uint8_t { login, full_feature };

// One connection's. Takes keys in the order in which they come, writes what is answered.
class Negotiation {
 public:
  explicit Negotiation(const NegotiationLimits& limits) : limits_(limits) {}

  // Keys that have no sense in a discovery session are "Irrelevant" from now on (section 13).
  void be_discovery() { discovery_ = true; }

  // Answers one key. Every key of section 13 but those of names, SessionType, SendTargets and
  // AuthMethod, which are their owners' (login.h, discovery.h), marker keys (13.25), X- and X#
  // ones; what nobody knows is NotUnderstood, a value that cannot be is answered with Reject and
  // changes nothing.
  [[nodiscard]] std::optional<NegotiationFault> take(const KeyValue& pair, NegotiationPhase phase,
                                                     TextWriter& answer);

  // Whether `key` belongs to the operational stage, and to no other of the login.
  [[nodiscard]] static bool is_operational(std::string_view key);

  // Declares what this end receives (13.12), if it has not yet. In the operational stage: in front
  // of what is answered, or behind it.
  void declare(TextWriter& answer);

  // Whether the login may end with what there is: nullopt, or digest_required.
  [[nodiscard]] std::optional<NegotiationFault> check_complete() const;

  // A text negotiation of the full feature phase begins: keys may come again.
  void begin_text() { seen_.reset(); }

  [[nodiscard]] const SessionParameters& parameters() const { return parameters_; }
  // InitiatorAlias (13.7): at most 255 bytes; empty without one.
  [[nodiscard]] const std::string& initiator_alias() const { return initiator_alias_; }

 private:
  enum class Key : std::uint8_t;
  struct Rule;

  static const Rule* rule_of(std::string_view key);
  // What is answered to a key that is negotiated. A value that cannot be: Reject.
  std::string answer_to(Key key, std::string_view value);
  std::string answer_to_digest(DigestPolicy policy, std::string_view list, bool& chosen) const;
  std::string answer_to_task_reporting(std::string_view list);
  [[nodiscard]] DigestPolicy effective(DigestPolicy policy) const;
  std::optional<NegotiationFault> take_declaration(Key key, std::string_view value);

  NegotiationLimits limits_;
  SessionParameters parameters_;
  // As negotiated: parameters_ has it no larger than MaxBurstLength, which may come later.
  std::uint32_t first_burst_bytes_ = SessionParameters{}.first_burst_bytes;
  std::string initiator_alias_;
  std::bitset<32> seen_;
  bool discovery_ = false;
  bool declared_ = false;
};

}  // namespace protocol::iscsi
