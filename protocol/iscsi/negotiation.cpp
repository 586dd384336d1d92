#include "protocol/iscsi/negotiation.h"

#include <algorithm>
#include <array>

namespace protocol::iscsi {

enum class Negotiation::Key : std::uint8_t {
  header_digest,
  data_digest,
  max_connections,
  initial_r2t,
  immediate_data,
  max_recv_data_segment_length,
  max_burst_length,
  first_burst_length,
  default_time2wait,
  default_time2retain,
  max_outstanding_r2t,
  data_pdu_in_order,
  data_sequence_in_order,
  error_recovery_level,
  task_reporting,
  protocol_level,
  initiator_alias,
  node_architecture,
  target_alias,
  target_address,
  target_portal_group_tag,
  if_marker,
  of_marker,
  if_mark_int,
  of_mark_int,
};

// What section 13 says of a key beside its values.
struct Negotiation::Rule {
  enum class Kind : std::uint8_t { negotiated, declared, of_targets };
  std::string_view name;
  Key key;
  Kind kind = Kind::negotiated;
  bool any_phase = false;        // "ALL"; otherwise of the login phase
  bool session_of_scsi = false;  // "Irrelevant when: SessionType = Discovery"
};

namespace {

constexpr std::string_view crc32c_name = "CRC32C";

constexpr std::uint64_t least_segment_bytes = 512;  // Of each of the three lengths.

std::optional<bool> parse_boolean(std::string_view value) {
  if (value == value_yes) return true;
  if (value == value_no) return false;
  return std::nullopt;
}

std::string_view text_of(bool value) { return value ? value_yes : value_no; }

std::optional<std::uint32_t> parse_in_range(std::string_view value, std::uint64_t least,
                                            std::uint64_t most) {
  const auto number = parse_number(value);
  if (!number || *number < least || *number > most) return std::nullopt;
  return static_cast<std::uint32_t>(*number);
}

// The result functions (6.2.2): `result` becomes what is answered.
std::string reject() { return std::string(value_reject); }

std::string answer_and(std::string_view value, bool ours, bool& result) {
  const auto offered = parse_boolean(value);
  if (!offered) return reject();
  result = *offered && ours;
  return std::string(text_of(result));
}

std::string answer_or(std::string_view value, bool ours, bool& result) {
  const auto offered = parse_boolean(value);
  if (!offered) return reject();
  result = *offered || ours;
  return std::string(text_of(result));
}

struct Range {
  std::uint64_t least;
  std::uint64_t most;
};

template <class Number>
std::string answer_minimum(std::string_view value, Range range, Number ours, Number& result) {
  const auto offered = parse_in_range(value, range.least, range.most);
  if (!offered) return reject();
  result = static_cast<Number>(std::min<std::uint32_t>(*offered, ours));
  return std::to_string(result);
}

template <class Number>
std::string answer_maximum(std::string_view value, Range range, Number ours, Number& result) {
  const auto offered = parse_in_range(value, range.least, range.most);
  if (!offered) return reject();
  result = static_cast<Number>(std::max<std::uint32_t>(*offered, ours));
  return std::to_string(result);
}

}  // namespace

std::string_view text_of(NegotiationFault fault) {
  switch (fault) {
    case NegotiationFault::repeated_key:
      return "a key that came before";
    case NegotiationFault::wrong_sender:
      return "a key that only targets send";
    case NegotiationFault::digest_required:
      return "CRC32C is required here";
    case NegotiationFault::bad_declaration:
      return "a declared value out of its range";
  }
  return "unknown fault";
}

const Negotiation::Rule* Negotiation::rule_of(std::string_view key) {
  using enum Rule::Kind;
  static constexpr std::array rules{
      Rule{"HeaderDigest", Key::header_digest},
      Rule{"DataDigest", Key::data_digest},
      Rule{"MaxConnections", Key::max_connections, negotiated, false, true},
      Rule{"InitialR2T", Key::initial_r2t, negotiated, false, true},
      Rule{"ImmediateData", Key::immediate_data, negotiated, false, true},
      Rule{"MaxRecvDataSegmentLength", Key::max_recv_data_segment_length, declared, true},
      Rule{"MaxBurstLength", Key::max_burst_length, negotiated, false, true},
      Rule{"FirstBurstLength", Key::first_burst_length, negotiated, false, true},
      Rule{"DefaultTime2Wait", Key::default_time2wait},
      Rule{"DefaultTime2Retain", Key::default_time2retain},
      Rule{"MaxOutstandingR2T", Key::max_outstanding_r2t, negotiated, false, true},
      Rule{"DataPDUInOrder", Key::data_pdu_in_order, negotiated, false, true},
      Rule{"DataSequenceInOrder", Key::data_sequence_in_order, negotiated, false, true},
      Rule{"ErrorRecoveryLevel", Key::error_recovery_level},
      Rule{"TaskReporting", Key::task_reporting, negotiated, false, true},
      Rule{"iSCSIProtocolLevel", Key::protocol_level, negotiated, false, true},
      Rule{"InitiatorAlias", Key::initiator_alias, declared, true},
      Rule{"X#NodeArchitecture", Key::node_architecture, declared},
      Rule{"TargetAlias", Key::target_alias, of_targets, true},
      Rule{"TargetAddress", Key::target_address, of_targets, true},
      Rule{"TargetPortalGroupTag", Key::target_portal_group_tag, of_targets},
      Rule{"IFMarker", Key::if_marker},
      Rule{"OFMarker", Key::of_marker},
      Rule{"IFMarkInt", Key::if_mark_int},
      Rule{"OFMarkInt", Key::of_mark_int},
  };
  const auto rule = std::find_if(rules.begin(), rules.end(),
                                 [key](const Rule& candidate) { return candidate.name == key; });
  return rule == rules.end() ? nullptr : &*rule;
}

std::optional<NegotiationFault> Negotiation::take(const KeyValue& pair, NegotiationPhase phase,
                                                  TextWriter& answer) {
  const Rule* rule = rule_of(pair.key);
  if (rule == nullptr) {
    answer.add(pair.key, value_not_understood);
    return std::nullopt;
  }
  if (rule->kind == Rule::Kind::of_targets) return NegotiationFault::wrong_sender;
  const auto index = static_cast<std::size_t>(rule->key);
  if (seen_.test(index) && rule->key != Key::initiator_alias) {
    return NegotiationFault::repeated_key;
  }
  seen_.set(index);
  if (phase == NegotiationPhase::full_feature && !rule->any_phase) {
    answer.add(pair.key, value_reject);
    return std::nullopt;
  }
  if (rule->kind == Rule::Kind::declared) return take_declaration(rule->key, pair.value);
  if (rule->session_of_scsi && discovery_) {
    answer.add(pair.key, value_irrelevant);
    return std::nullopt;
  }
  answer.add(pair.key, answer_to(rule->key, pair.value));
  parameters_.first_burst_bytes = std::min(first_burst_bytes_, parameters_.max_burst_bytes);
  return std::nullopt;
}

std::string Negotiation::answer_to(Key key, std::string_view value) {
  constexpr Range lengths{least_segment_bytes, largest_data_segment_bytes};
  constexpr Range counts{1, 65535};
  constexpr Range seconds{0, 3600};
  switch (key) {
    case Key::header_digest:
      return answer_to_digest(limits_.header_digest, value, parameters_.digests.header);
    case Key::data_digest:
      return answer_to_digest(limits_.data_digest, value, parameters_.digests.data);
    case Key::max_connections: {
      std::uint16_t connections = 1;
      return answer_minimum(value, counts, std::uint16_t{1}, connections);
    }
    case Key::initial_r2t:
      return answer_or(value, limits_.initial_r2t, parameters_.initial_r2t);
    case Key::immediate_data:
      return answer_and(value, limits_.immediate_data, parameters_.immediate_data);
    case Key::max_burst_length:
      return answer_minimum(value, lengths, limits_.max_burst_bytes, parameters_.max_burst_bytes);
    case Key::first_burst_length:
      // 13.14; what stands behind it in the text is not known yet.
      if (parameters_.initial_r2t && !parameters_.immediate_data) {
        return std::string(value_irrelevant);
      }
      return answer_minimum(value, lengths, limits_.first_burst_bytes, first_burst_bytes_);
    case Key::default_time2wait:
      return answer_maximum(value, seconds, limits_.time2wait_s, parameters_.time2wait_s);
    case Key::default_time2retain:
      return answer_minimum(value, seconds, limits_.time2retain_s, parameters_.time2retain_s);
    case Key::max_outstanding_r2t:
      return answer_minimum(value, counts, limits_.max_outstanding_r2t,
                            parameters_.max_outstanding_r2t);
    case Key::data_pdu_in_order:
    case Key::data_sequence_in_order: {
      bool in_order = true;
      return answer_or(value, true, in_order);
    }
    case Key::error_recovery_level: {
      std::uint8_t level = 0;
      return answer_minimum(value, Range{0, 2}, std::uint8_t{0}, level);
    }
    case Key::task_reporting:
      return answer_to_task_reporting(value);
    case Key::protocol_level:
      return answer_minimum(value, Range{0, 31}, limits_.protocol_level,
                            parameters_.protocol_level);
    case Key::if_marker:
    case Key::of_marker: {
      // 13.25 lets us choose between Reject and No: RFC 3720's initiators understand No.
      bool markers = false;
      return answer_and(value, false, markers);
    }
    case Key::if_mark_int:
    case Key::of_mark_int:
      return reject();
    case Key::max_recv_data_segment_length:
    case Key::initiator_alias:
    case Key::node_architecture:
    case Key::target_alias:
    case Key::target_address:
    case Key::target_portal_group_tag:
      break;
  }
  return reject();
}

DigestPolicy Negotiation::effective(DigestPolicy policy) const {
  return discovery_ && policy == DigestPolicy::required ? DigestPolicy::permitted : policy;
}

std::string Negotiation::answer_to_digest(DigestPolicy policy, std::string_view list,
                                          bool& chosen) const {
  policy = effective(policy);
  while (const auto value = take_from_list(list)) {
    if (*value == crc32c_name && policy != DigestPolicy::refused) {
      chosen = true;
      return std::string(crc32c_name);
    }
    if (*value == value_none && policy != DigestPolicy::required) {
      chosen = false;
      return std::string(value_none);
    }
  }
  return reject();
}

std::string Negotiation::answer_to_task_reporting(std::string_view list) {
  struct Choice {
    std::string_view name;
    TaskReporting value;
  };
  constexpr std::array choices{Choice{"RFC3720", TaskReporting::rfc3720},
                               Choice{"ResponseFence", TaskReporting::response_fence},
                               Choice{"FastAbort", TaskReporting::fast_abort}};
  while (const auto value = take_from_list(list)) {
    for (const Choice& choice : choices) {
      if (choice.name != *value) continue;
      if (choice.value == TaskReporting::fast_abort && !limits_.fast_abort) continue;
      parameters_.task_reporting = choice.value;
      return std::string(choice.name);
    }
  }
  return reject();
}

std::optional<NegotiationFault> Negotiation::take_declaration(Key key, std::string_view value) {
  switch (key) {
    case Key::max_recv_data_segment_length: {
      const auto length = parse_in_range(value, least_segment_bytes, largest_data_segment_bytes);
      if (!length) return NegotiationFault::bad_declaration;
      parameters_.send_data_segment_bytes = *length;
      return std::nullopt;
    }
    case Key::initiator_alias: {
      constexpr std::size_t largest_alias_bytes = 255;
      if (value.size() > largest_alias_bytes) return NegotiationFault::bad_declaration;
      initiator_alias_ = value;
      return std::nullopt;
    }
    default:
      return std::nullopt;  // X#NodeArchitecture: for people (13.26).
  }
}

bool Negotiation::is_operational(std::string_view key) {
  const Rule* rule = rule_of(key);
  return rule != nullptr && rule->kind != Rule::Kind::of_targets &&
         rule->key != Key::initiator_alias && rule->key != Key::node_architecture;
}

void Negotiation::declare(TextWriter& answer) {
  if (declared_) return;
  declared_ = true;
  parameters_.receive_data_segment_bytes = limits_.receive_data_segment_bytes;
  answer.add("MaxRecvDataSegmentLength", std::uint64_t{limits_.receive_data_segment_bytes});
}

std::optional<NegotiationFault> Negotiation::check_complete() const {
  const bool header = effective(limits_.header_digest) == DigestPolicy::required;
  const bool data = effective(limits_.data_digest) == DigestPolicy::required;
  if ((header && !parameters_.digests.header) || (data && !parameters_.digests.data)) {
    return NegotiationFault::digest_required;
  }
  return std::nullopt;
}

}  // namespace protocol::iscsi
