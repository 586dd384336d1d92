// Feeds a whole host's stream to PduDecoder: cut into pieces it must give what it gives in one
// piece, never look behind the bytes it has (each piece is an exact heap block under ASan), and
// only say what the specification allows.
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
#include "protocol/nvme_tcp/pdu_decoder.h"
#include "protocol/nvme_tcp/pdu_encoder.h"

namespace protocol::nvme_tcp {
namespace {

using Bytes = std::vector<std::byte>;

// The first bytes of an input choose the link; the rest is the stream.
struct Setup {
  std::uint8_t switches;  // See the constants below.
  std::uint8_t cpda;      // Modulo 32.
  std::uint8_t maxh2cdata_kib;
  std::uint8_t in_capsule_kib;
  std::uint8_t chunk_seed;
};
static_assert(sizeof(Setup) == 5);

constexpr unsigned hdgst_on = 1;
constexpr unsigned ddgst_on = 2;
constexpr unsigned start_established = 4;
constexpr unsigned repair_digests = 8;  // A fuzzer does not guess a CRC: make header digests right.

// Everything that an answer says, in a form that can be compared; views become copies.
struct Event {
  std::size_t kind = 0;
  std::array<std::uint64_t, 4> values{};
  Bytes viewed;
  std::array<std::uint32_t, 3> lengths{};
  bool failed = false;
  PduError error{};

  friend bool operator==(const Event&, const Event&) = default;
};

Bytes copy_of(std::span<const std::byte> bytes) { return {bytes.begin(), bytes.end()}; }

struct Describe {
  Event& event;
  void operator()(const InitializeRequest& header) const {
    event.values = {header.pfv, header.hpda, header.dgst, header.maxr2t};
  }
  void operator()(const CommandCapsule& header) const { event.viewed = copy_of(header.sqe); }
  void operator()(const HostData& header) const {
    event.values = {header.cccid, header.ttag, header.offset, header.last ? 1U : 0U};
  }
  void operator()(const KickstartRequest& header) const {
    event.values = {header.records, header.discovery_entries, 0, 0};
  }
  void operator()(const HostTermination& header) const {
    event.values = {header.fes, header.fei, 0, 0};
    event.viewed = copy_of(header.offending_header);
  }
};

void check_error(const PduError& error, std::span<const std::byte> bytes) {
  CHECK(static_cast<unsigned>(error.fes) <= 6);
  CHECK(std::strcmp(describe(error.fault), "unknown fault") != 0);
  if (error.fes == FatalErrorStatus::invalid_pdu_header_field ||
      error.fes == FatalErrorStatus::unsupported_parameter) {
    CHECK(error.fei < 20);
  }
  if (error.closes_silently()) return;
  std::array<std::byte, largest_encoded_bytes> space;
  const auto offending = offending_header(bytes);
  const std::size_t length = encode_term_req(space, error, offending);
  CHECK(length == sizeof(TermReq) + offending.size());
}

void check_pdu(const Pdu& pdu, std::span<const std::byte> bytes, const PduDecoder& decoder) {
  CommonHeader common;
  CHECK(bytes.size() >= sizeof(common));
  std::memcpy(&common, bytes.data(), sizeof(common));
  CHECK(pdu.header_bytes >= sizeof(KdReq));
  CHECK(pdu.header_bytes <= largest_pdu_header_bytes);
  CHECK(pdu.header_bytes <= bytes.size());
  const std::uint64_t sum =
      std::uint64_t{pdu.header_bytes} + pdu.data_bytes + pdu.data_digest_bytes;
  CHECK(sum == common.plen);
  if (const auto* request = std::get_if<KickstartRequest>(&pdu.header)) {
    CHECK(decoder.established());
    CHECK(pdu.data_bytes == request->records * sizeof(KickstartRecord));
    CHECK(pdu.data_digest_bytes == 0);
  } else if (pdu.data_bytes != 0) {
    CHECK(decoder.established());
    CHECK(pdu.header_bytes % decoder.link().controller_alignment() == 0);
    CHECK(pdu.data_digest_bytes == (decoder.link().ddgst ? 4U : 0U));
  }
  if (std::holds_alternative<HostData>(pdu.header)) {
    CHECK(pdu.data_bytes != 0);
    CHECK(pdu.data_bytes <= decoder.link().maxh2cdata);
  }
}

class Connection {
 public:
  explicit Connection(const Setup& setup) {
    limits_.allow_hdgst = (setup.switches & hdgst_on) != 0;
    limits_.allow_ddgst = (setup.switches & ddgst_on) != 0;
    limits_.cpda = setup.cpda % 32;
    limits_.maxh2cdata = 4096U + setup.maxh2cdata_kib * 1024U;
    decoder_.limit_in_capsule(setup.in_capsule_kib * 1024U);
    if ((setup.switches & start_established) != 0) {
      const InitializeRequest request{.dgst = dgst_header | dgst_data};
      decoder_.establish(negotiate(request, limits_).value());
    }
  }

  // The answer to the front of the stream, or nothing if the decoder wants more.
  std::optional<Event> step(std::span<const std::byte> bytes) {
    const auto result = decoder_.next(bytes);
    if (result.has_error()) return failure(result.error(), bytes);
    if (!result.value()) return std::nullopt;
    const Pdu& pdu = *result.value();
    check_pdu(pdu, bytes, decoder_);
    Event event;
    event.kind = pdu.header.index();
    event.lengths = {pdu.header_bytes, pdu.data_bytes, pdu.data_digest_bytes};
    std::visit(Describe{event}, pdu.header);
    if (const auto* request = std::get_if<InitializeRequest>(&pdu.header)) {
      const auto link = negotiate(*request, limits_);
      if (link.has_error()) return failure(link.error(), bytes);
      decoder_.establish(link.value());
    }
    return event;
  }

  const PduDecoder& decoder() const { return decoder_; }

 private:
  static Event failure(const PduError& error, std::span<const std::byte> bytes) {
    check_error(error, bytes);
    Event event;
    event.failed = true;
    event.error = error;
    return event;
  }

  LinkLimits limits_;
  PduDecoder decoder_;
};

std::uint64_t length_of(const Event& event) {
  return std::uint64_t{event.lengths[0]} + event.lengths[1] + event.lengths[2];
}

void repair_header_digest(const PduDecoder& decoder, std::span<std::byte> bytes) {
  if (!decoder.link().hdgst || bytes.size() < sizeof(CommonHeader)) return;
  const auto type = static_cast<PduType>(bytes[0]);
  if (type != PduType::capsule_cmd && type != PduType::h2c_data) return;
  const std::size_t hlen = type == PduType::capsule_cmd ? sizeof(CapsuleCmd) : sizeof(H2cData);
  if (bytes.size() < hlen + digest_bytes) return;
  const wire::le32 digest = engine::crc32c(bytes.first(hlen));
  std::memcpy(bytes.data() + hlen, &digest, sizeof(digest));
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
    if (event->failed || length_of(*event) >= stream.size()) return events;
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
    const Bytes window = copy_of(stream.first(arrived));
    const auto event = connection.step(window);
    if (!event) {
      if (arrived == stream.size()) return events;
      const std::size_t most = random.chance(1, 4) ? 300 : 9;
      arrived = std::min(stream.size(), arrived + 1 + random.below(most));
      continue;
    }
    events.push_back(*event);
    if (event->failed || length_of(*event) >= stream.size()) return events;
    stream = stream.subspan(length_of(*event));
    arrived -= std::min<std::size_t>(arrived, length_of(*event));
  }
}

}  // namespace
}  // namespace protocol::nvme_tcp

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace protocol::nvme_tcp;
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
