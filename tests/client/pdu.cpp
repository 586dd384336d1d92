#include "tests/client/pdu.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/foundation/crc32c.h"

namespace client {
namespace {

constexpr std::size_t digest_bytes = 4;
constexpr std::uint32_t largest_plen = 64u << 20;

// ICReq, ICResp and the terminations never carry digests (section 3.6.1).
bool may_have_digests(PduType type) {
  switch (type) {
    case PduType::command:
    case PduType::response:
    case PduType::h2c_data:
    case PduType::c2h_data:
    case PduType::r2t:
      return true;
    default:
      return false;
  }
}

bool is_termination(PduType type) {
  return type == PduType::h2c_terminate || type == PduType::c2h_terminate;
}

void append_digest(Bytes& out, std::uint32_t digest) {
  out.resize(out.size() + digest_bytes);
  put(std::span(out), out.size() - digest_bytes, digest);
}

}  // namespace

Bytes encode(const Pdu& pdu, const Framing& framing) {
  const bool digests = may_have_digests(pdu.type);
  const bool header_digest = pdu.with_header_digest.value_or(digests && framing.header_digest);
  const bool data_digest =
      pdu.with_data_digest.value_or(digests && framing.data_digest && !pdu.data.empty());

  const std::size_t hlen = common_header_bytes + pdu.specific.size();
  const std::size_t after_header = hlen + (header_digest ? digest_bytes : 0);
  std::size_t data_at = after_header;
  if (!pdu.data.empty() && !is_termination(pdu.type)) {
    const std::size_t unit = std::max<std::size_t>(framing.data_alignment, 4);
    data_at = (after_header + unit - 1) / unit * unit;
  }
  const std::size_t plen = data_at + pdu.data.size() + (data_digest ? digest_bytes : 0);
  const bool has_pdo = !pdu.data.empty() && !is_termination(pdu.type);

  Bytes out(hlen);
  const auto flags =
      static_cast<std::uint8_t>(pdu.flags | (header_digest ? pdu_flag::header_digest : 0) |
                                (data_digest ? pdu_flag::data_digest : 0));
  put(std::span(out), 0, pdu.wire_type.value_or(static_cast<std::uint8_t>(pdu.type)));
  put(std::span(out), 1, pdu.wire_flags.value_or(flags));
  put(std::span(out), 2, pdu.hlen.value_or(static_cast<std::uint8_t>(hlen)));
  put(std::span(out), 3, pdu.pdo.value_or(static_cast<std::uint8_t>(has_pdo ? data_at : 0)));
  put(std::span(out), 4, pdu.plen.value_or(static_cast<std::uint32_t>(plen)));
  std::copy(pdu.specific.begin(), pdu.specific.end(), out.begin() + common_header_bytes);

  if (header_digest) append_digest(out, engine::crc32c(out) ^ pdu.header_digest_flip);
  out.resize(data_at);
  out.insert(out.end(), pdu.data.begin(), pdu.data.end());
  if (data_digest) append_digest(out, engine::crc32c(pdu.data) ^ pdu.data_digest_flip);
  return out;
}

std::span<const std::byte> ReceivedPdu::header() const {
  return std::span(raw).first(std::clamp<std::size_t>(hlen(), common_header_bytes, raw.size()));
}

std::string ReceivedPdu::describe() const {
  return fmt::format("PDU type {:02x}h flags {:02x}h HLEN {} PDO {} PLEN {}", type_byte(), flags(),
                     hlen(), pdo(), plen());
}

Error violation(const char* what, const ReceivedPdu& pdu) {
  return {ErrorKind::violation,
          fmt::format("{}: {} header {}", what, pdu.describe(), to_hex(pdu.header()))};
}

Result<std::optional<ReceivedPdu>> take_pdu(Bytes& buffer, const Framing& framing) {
  if (buffer.size() < common_header_bytes) return std::optional<ReceivedPdu>{};
  const auto plen = get<std::uint32_t>(buffer, 4);
  if (plen < common_header_bytes || plen > largest_plen) {
    return Error{ErrorKind::violation, fmt::format("PLEN {} cannot be right (header {})", plen,
                                                   to_hex(std::span(buffer).first(8)))};
  }
  if (buffer.size() < plen) return std::optional<ReceivedPdu>{};

  ReceivedPdu pdu;
  pdu.raw.assign(buffer.begin(), buffer.begin() + plen);
  buffer.erase(buffer.begin(), buffer.begin() + plen);

  const bool digests = may_have_digests(pdu.type());
  const std::size_t header_digest = digests && framing.header_digest ? digest_bytes : 0;
  const std::size_t after_header = pdu.hlen() + header_digest;
  if (pdu.hlen() < common_header_bytes || after_header > plen) {
    return Error{ErrorKind::violation, "HLEN does not fit: " + pdu.describe()};
  }
  if (header_digest != 0) {
    pdu.header_digest_ok = engine::crc32c(pdu.header()) == get<std::uint32_t>(pdu.raw, pdu.hlen());
  }

  // What follows the header is data, except for PDU types that have none (their PDO is 0).
  const std::size_t data_at = is_termination(pdu.type()) ? after_header : pdu.pdo();
  if (data_at == 0 || (data_at == after_header && data_at == plen)) {
    pdu.data_offset = after_header;
    pdu.data_bytes = 0;
    return std::optional<ReceivedPdu>{std::move(pdu)};
  }
  const std::size_t data_digest = digests && framing.data_digest ? digest_bytes : 0;
  if (data_at < after_header || data_at + data_digest > plen) {
    return Error{ErrorKind::violation, "PDO does not fit: " + pdu.describe()};
  }
  pdu.data_offset = data_at;
  pdu.data_bytes = plen - data_at - data_digest;
  if (data_digest != 0) {
    pdu.data_digest_ok =
        engine::crc32c(pdu.data()) == get<std::uint32_t>(pdu.raw, plen - digest_bytes);
  }
  return std::optional<ReceivedPdu>{std::move(pdu)};
}

Pdu to_pdu(const IcRequest& request) {
  Pdu pdu{.type = PduType::ic_request, .specific = Bytes(120)};
  const std::span specific(pdu.specific);
  put(specific, 0, request.pfv);
  put(specific, 2, request.hpda);
  put(specific, 3,
      static_cast<std::uint8_t>((request.header_digest ? 1 : 0) | (request.data_digest ? 2 : 0)));
  put(specific, 4, request.maxr2t);
  return pdu;
}

Pdu to_pdu(const IcResponse& response) {
  Pdu pdu{.type = PduType::ic_response, .specific = Bytes(120)};
  const std::span specific(pdu.specific);
  put(specific, 0, response.pfv);
  put(specific, 2, response.cpda);
  put(specific, 3,
      static_cast<std::uint8_t>((response.header_digest ? 1 : 0) | (response.data_digest ? 2 : 0)));
  put(specific, 4, response.maxh2cdata);
  return pdu;
}

Result<IcResponse> parse_ic_response(const ReceivedPdu& pdu) {
  const auto violation = [&](const char* what) {
    return Error{ErrorKind::violation, fmt::format("{}: {}", what, pdu.describe())};
  };
  if (!pdu.is(PduType::ic_response)) return violation("ICResp expected");
  if (pdu.flags() != 0 || pdu.hlen() != 128 || pdu.pdo() != 0 || pdu.plen() != 128) {
    return violation("the common header of ICResp is fixed");
  }
  const auto digests = pdu.field<std::uint8_t>(11);
  if ((digests & ~3u) != 0) return violation("reserved bits of DGST in ICResp");
  for (const std::byte value : std::span(pdu.raw).subspan(16)) {
    if (value != std::byte{0}) return violation("reserved bytes of ICResp are not zero");
  }
  return IcResponse{.pfv = pdu.field<std::uint16_t>(8),
                    .cpda = pdu.field<std::uint8_t>(10),
                    .header_digest = (digests & 1) != 0,
                    .data_digest = (digests & 2) != 0,
                    .maxh2cdata = pdu.field<std::uint32_t>(12)};
}

Pdu command_capsule(std::span<const std::byte> entry, Bytes data) {
  return Pdu{.type = PduType::command,
             .specific = Bytes(entry.begin(), entry.end()),
             .data = std::move(data)};
}

Pdu h2c_data(std::uint16_t cid, std::uint16_t ttag, std::uint32_t offset, Bytes data, bool last) {
  Pdu pdu{.type = PduType::h2c_data,
          .flags = last ? pdu_flag::last : std::uint8_t{0},
          .specific = Bytes(16),
          .data = std::move(data)};
  const std::span specific(pdu.specific);
  put(specific, 0, cid);
  put(specific, 2, ttag);
  put(specific, 4, offset);
  put(specific, 8, static_cast<std::uint32_t>(pdu.data.size()));
  return pdu;
}

Pdu h2c_terminate(std::uint16_t fes, std::uint32_t fei, Bytes offender) {
  Pdu pdu{.type = PduType::h2c_terminate, .specific = Bytes(16), .data = std::move(offender)};
  put(std::span(pdu.specific), 0, fes);
  put(std::span(pdu.specific), 2, fei);
  return pdu;
}

Result<Termination> parse_termination(const ReceivedPdu& pdu) {
  if (!pdu.is(PduType::c2h_terminate)) {
    return Error{ErrorKind::violation, "C2HTermReq expected: " + pdu.describe()};
  }
  if (pdu.hlen() != 24 || pdu.flags() != 0 || pdu.pdo() != 0 || pdu.plen() > 152) {
    return Error{ErrorKind::violation, "illegal C2HTermReq: " + pdu.describe()};
  }
  return Termination{.fes = pdu.field<std::uint16_t>(8),
                     .fei = pdu.field<std::uint32_t>(10),
                     .offender = Bytes(pdu.data().begin(), pdu.data().end())};
}

}  // namespace client
