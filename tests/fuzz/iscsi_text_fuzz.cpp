// Text of any bytes: what is read can be written and read again, however it was cut; values have
// one meaning and one spelling; negotiation never says more than it may.
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/foundation/check.h"
#include "protocol/auth/binary_text.h"
#include "protocol/iscsi/discovery.h"
#include "protocol/iscsi/names.h"
#include "protocol/iscsi/negotiation.h"
#include "protocol/iscsi/text.h"

namespace protocol::iscsi {
namespace {

std::vector<KeyValue> read(std::string_view text) {
  std::vector<KeyValue> pairs;
  TextReader reader(text);
  for (;;) {
    const auto pair = reader.next();
    if (!pair) {
      CHECK(text_of(pair.error()) != "unknown error");
      return pairs;
    }
    if (!pair.value()) return pairs;
    CHECK(!pair.value()->key.empty());
    CHECK(pair.value()->key.size() <= largest_key_bytes);
    CHECK(pair.value()->value.size() <= largest_value_bytes);
    pairs.push_back(*pair.value());
    CHECK(pairs.size() <= most_pairs);
  }
}

std::string written(const std::vector<KeyValue>& pairs) {
  TextWriter writer;
  for (const KeyValue& pair : pairs) writer.add(pair.key, pair.value);
  return writer.take();
}

std::string gathered_from_pieces(const std::string& text, std::size_t most_bytes) {
  TextPieces pieces(text);
  TextGatherer gatherer;
  while (pieces.more()) {
    if (!gatherer.add(pieces.take(most_bytes))) {
      CHECK(text.size() > largest_text_bytes);
      return text;
    }
  }
  return std::string(gatherer.text());
}

void check_value(std::string_view value) {
  if (const auto number = parse_number(value)) {
    CHECK(parse_number(std::to_string(*number)) == number);
  }
  if (const auto bytes = auth::parse_binary(value, 1024)) {
    CHECK(!bytes->empty());
    CHECK(auth::parse_binary(auth::to_hex(*bytes), 1024) == bytes);
    CHECK(auth::parse_binary(auth::to_base64(*bytes), 1024) == bytes);
  }
  if (const auto name = normalise_name(value)) {
    CHECK(normalise_name(name.value()).value() == name.value());
    CHECK(parse_send_targets(value, SessionType::discovery)->name == name.value());
  }
  std::string_view list = value;
  std::size_t values = 0;
  while (take_from_list(list)) ++values;
  CHECK(values <= value.size() + 1);
}

void check_parameters(const NegotiationLimits& limits, const SessionParameters& held) {
  CHECK(held.first_burst_bytes <= held.max_burst_bytes);
  CHECK(held.first_burst_bytes >= 512);
  CHECK(held.max_burst_bytes <= limits.max_burst_bytes);
  CHECK(held.max_outstanding_r2t >= 1);
  CHECK(held.max_outstanding_r2t <= limits.max_outstanding_r2t);
  CHECK(held.send_data_segment_bytes >= 512);
  CHECK(held.send_data_segment_bytes <= largest_data_segment_bytes);
  CHECK(held.time2wait_s >= limits.time2wait_s);
  CHECK(held.time2wait_s <= 3600);
  CHECK(held.time2retain_s <= 20);
  CHECK(held.protocol_level <= limits.protocol_level);
}

void negotiate(const std::vector<KeyValue>& pairs, bool discovery, NegotiationPhase phase) {
  const NegotiationLimits limits;
  Negotiation negotiation(limits);
  if (discovery) negotiation.be_discovery();
  for (const KeyValue& pair : pairs) {
    TextWriter answer;
    if (negotiation.take(pair, phase, answer)) return;
    check_parameters(limits, negotiation.parameters());
    // One answer or none, to the key that was asked.
    const auto answers = read(answer.text());
    CHECK(answers.size() <= 1);
    if (!answers.empty()) CHECK(answers.front().key == pair.key);
  }
}

}  // namespace
}  // namespace protocol::iscsi

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace protocol::iscsi;
  if (size == 0) return 0;
  const std::size_t most_bytes = std::size_t{data[0]} + 1;
  // An exact heap block, without a NUL behind it.
  const std::vector<char> block(data + 1, data + size);
  const std::string_view text(block.data(), block.size());
  const auto pairs = read(text);
  const std::string again = written(pairs);
  CHECK(read(again) == pairs);
  CHECK(gathered_from_pieces(again, most_bytes) == again);
  for (const KeyValue& pair : pairs) check_value(pair.value);
  check_value(text);
  negotiate(pairs, false, NegotiationPhase::login);
  negotiate(pairs, true, NegotiationPhase::login);
  negotiate(pairs, false, NegotiationPhase::full_feature);
  return 0;
}
