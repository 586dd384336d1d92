// Feeds a whole initiator's stream to PduDecoder: cut into pieces it must give what it gives in one
// piece, never look behind the bytes it has (each piece is an exact heap block under ASan), and
// frame every PDU as RFC 7143, 11.2 says.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <variant>
#include <vector>

#include "engine/foundation/check.h"
#include "engine/foundation/crc32c.h"
#include "engine/foundation/random.h"
#include "protocol/iscsi/pdu_decoder.h"
#include "protocol/iscsi/pdu_encoder.h"

namespace protocol::iscsi {
namespace {

using Bytes = std::vector<std::byte>;

// The first bytes of an input choose what was negotiated; the rest is the stream.
struct Setup {
  std::uint8_t switches;    // See the constants below.
  std::uint8_t data_units;  // Of 512 bytes.
  std::uint8_t chunk_seed;
};
static_assert(sizeof(Setup) == 3);

constexpr unsigned header_digest_on = 1;
constexpr unsigned data_digest_on = 2;
constexpr unsigned start_established = 4;
constexpr unsigned repair_digests = 8;  // A fuzzer does not guess a CRC: make header digests right.

// Everything that an answer says, in a form that can be compared; views become copies.
struct Event {
  std::size_t kind = 0;
  std::array<std::uint64_t, 8> values{};
  Bytes viewed;
  std::array<std::uint32_t, 4> lengths{};
  std::optional<PduError> error;

  friend bool operator==(const Event&, const Event&) = default;
};

struct Describe {
  Event& event;
  void operator()(const ScsiCommand& header) const {
    event.values = {header.lun,
                    header.initiator_task_tag,
                    header.cmd_sn,
                    header.exp_stat_sn,
                    header.expected_bytes,
                    header.bidirectional_read_bytes,
                    static_cast<std::uint64_t>(header.attribute),
                    (header.final ? 1U : 0U) | (header.read ? 2U : 0U) | (header.write ? 4U : 0U)};
    CHECK(header.final || header.write);
    CHECK(header.attribute <= TaskAttribute::aca);
    event.viewed.assign(header.cdb.begin(), header.cdb.end());
    event.viewed.insert(event.viewed.end(), header.cdb_extension.begin(),
                        header.cdb_extension.end());
  }
  void operator()(const TaskManagementRequest& header) const {
    event.values = {header.lun,    header.initiator_task_tag, header.referenced_task_tag,
                    header.cmd_sn, header.ref_cmd_sn,         header.function};
  }
  void operator()(const LoginRequest& header) const {
    event.values = {header.tsih,
                    header.cid,
                    header.initiator_task_tag,
                    header.cmd_sn,
                    static_cast<std::uint64_t>(header.current_stage),
                    static_cast<std::uint64_t>(header.next_stage)};
  }
  void operator()(const TextRequest& header) const {
    event.values = {header.lun, header.initiator_task_tag, header.target_transfer_tag,
                    header.cmd_sn};
    CHECK(!header.final || !header.continues);
  }
  void operator()(const DataOut& header) const {
    event.values = {header.lun, header.initiator_task_tag, header.target_transfer_tag,
                    header.data_sn, header.offset};
  }
  void operator()(const LogoutRequest& header) const {
    event.values = {header.initiator_task_tag, header.cid, header.reason, header.cmd_sn};
  }
  void operator()(const SnackRequest& header) const {
    event.values = {header.initiator_task_tag, header.beg_run, header.run_length, header.type};
  }
  void operator()(const NopOut& header) const {
    event.values = {header.lun, header.initiator_task_tag, header.target_transfer_tag,
                    header.cmd_sn};
    CHECK(header.initiator_task_tag != no_tag || header.immediate);
  }
  void operator()(const UnknownRequest& header) const { event.values = {header.opcode}; }
};

class Connection {
 public:
  explicit Connection(const Setup& setup)
      : digests_{.header = (setup.switches & header_digest_on) != 0,
                 .data = (setup.switches & data_digest_on) != 0},
        data_bytes_(512U * (setup.data_units + 1U)) {
    if ((setup.switches & start_established) != 0) decoder_.establish(digests_, data_bytes_);
  }

  // The answer to the front of the stream, or nothing if the decoder wants more.
  std::optional<Event> step(std::span<const std::byte> bytes) {
    const auto result = decoder_.next(bytes);
    Event event;
    if (!result) {
      event.error = result.error();
      check_error(result.error(), bytes);
      return event;
    }
    if (!result.value()) {
      CHECK(bytes.size() < largest_pdu_header_bytes);
      return std::nullopt;
    }
    const Pdu& pdu = *result.value();
    check_pdu(pdu, bytes);
    event.kind = pdu.header.index();
    event.lengths = {pdu.header_bytes, pdu.data_bytes, pdu.pad_bytes, pdu.data_digest_bytes};
    std::visit(Describe{event}, pdu.header);
    // As if the login had ended with its first request.
    if (std::holds_alternative<LoginRequest>(pdu.header)) {
      decoder_.establish(digests_, data_bytes_);
    }
    return event;
  }

  const PduDecoder& decoder() const { return decoder_; }

 private:
  void check_pdu(const Pdu& pdu, std::span<const std::byte> bytes) const {
    CHECK(pdu.header_bytes <= bytes.size());
    CHECK(pdu.header_bytes >= bhs_bytes);
    CHECK(pdu.header_bytes <= largest_pdu_header_bytes);
    CHECK((pdu.data_bytes + pdu.pad_bytes) % 4 == 0);
    CHECK(pdu.pad_bytes < 4);
    const std::uint32_t most = decoder_.established() ? data_bytes_ : default_data_segment_bytes;
    CHECK(pdu.data_bytes <= most);
    const bool digest = decoder_.digests().data && pdu.data_bytes != 0;
    CHECK(pdu.data_digest_bytes == (digest ? digest_bytes : 0U));
    CHECK(std::holds_alternative<LoginRequest>(pdu.header) != decoder_.established());
  }

  void check_error(const PduError& error, std::span<const std::byte> bytes) const {
    CHECK(text_of(error.fault) != "unknown fault");
    CHECK(bytes.size() >= bhs_bytes);
    if (error.closes_silently()) return;
    Bytes space(pdu_bytes(decoder_.digests(), reject_data_bytes));
    CHECK(encode_reject(space, decoder_.digests(), {}, error.reason, bytes.first<bhs_bytes>()) ==
          space.size());
  }

  Digests digests_;
  std::uint32_t data_bytes_;
  PduDecoder decoder_;
};

std::uint64_t length_of(const Event& event) {
  std::uint64_t sum = 0;
  for (const std::uint32_t length : event.lengths) sum += length;
  return sum;
}

void repair_header_digest(const PduDecoder& decoder, std::span<std::byte> bytes) {
  if (!decoder.digests().header || bytes.size() < bhs_bytes) return;
  const std::size_t header = bhs_bytes + std::to_integer<std::size_t>(bytes[4]) * ahs_unit_bytes;
  if (bytes.size() < header + digest_bytes) return;
  const wire::le32 digest = engine::crc32c(bytes.first(header));
  std::memcpy(bytes.data() + header, &digest, sizeof(digest));
}

// Decodes with all of the stream in view, repairing digests on the way if asked to.
std::vector<Event> decode_whole(const Setup& setup, std::span<std::byte> stream) {
  Connection connection(setup);
  std::vector<Event> events;
  while (true) {
    if ((setup.switches & repair_digests) != 0) {
      repair_header_digest(connection.decoder(), stream);
    }
    auto event = connection.step(stream);
    if (!event) return events;
    events.push_back(*event);
    if (event->error || length_of(*event) >= stream.size()) return events;
    stream = stream.subspan(length_of(*event));
  }
}

// Decodes the same as it would arrive: in pieces, each call seeing an exact copy of what is there
// so far.
std::vector<Event> decode_in_pieces(const Setup& setup, std::span<const std::byte> stream) {
  Connection connection(setup);
  engine::SeededRandom random(setup.chunk_seed);
  std::vector<Event> events;
  std::size_t arrived = 0;
  while (true) {
    const auto front = stream.first(arrived);
    const Bytes window(front.begin(), front.end());
    const auto event = connection.step(window);
    if (!event) {
      if (arrived == stream.size()) return events;
      const std::size_t most = random.chance(1, 4) ? 1100 : 60;
      arrived = std::min(stream.size(), arrived + 1 + random.below(most));
      continue;
    }
    events.push_back(*event);
    if (event->error || length_of(*event) >= stream.size()) return events;
    stream = stream.subspan(length_of(*event));
    arrived -= std::min<std::size_t>(arrived, length_of(*event));
  }
}

}  // namespace
}  // namespace protocol::iscsi

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace protocol::iscsi;
  Setup setup;
  if (size < sizeof(setup)) return 0;
  std::memcpy(&setup, data, sizeof(setup));
  const auto input = std::as_bytes(std::span(data, size)).subspan(sizeof(setup));
  Bytes stream(input.begin(), input.end());
  const auto whole = decode_whole(setup, stream);
  // `stream` now holds the repaired digests, so both saw the same bytes.
  CHECK(decode_in_pieces(setup, stream) == whole);
  return 0;
}
