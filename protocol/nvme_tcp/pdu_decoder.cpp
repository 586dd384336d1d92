#include "protocol/nvme_tcp/pdu_decoder.h"

#include <algorithm>
#include <cstring>

#include "engine/foundation/crc32c.h"

namespace protocol::nvme_tcp {

// Where the parts of one PDU lie, as its common header says.
struct PduDecoder::Frame {
  std::uint32_t hlen = 0;  // Header without digest.
  std::uint32_t header_bytes =
      0;  // Everything in front of the data; all of it for PDUs without data.
  std::uint32_t data_bytes = 0;
  std::uint32_t data_digest_bytes = 0;
};

namespace {

using engine::Result;

PduError invalid_field(std::size_t offset, PduFault fault) {
  return {FatalErrorStatus::invalid_pdu_header_field, static_cast<std::uint32_t>(offset), fault};
}

PduError out_of_sequence(PduFault fault) {
  return {FatalErrorStatus::pdu_sequence_error, 0, fault};
}

PduError limit_exceeded(PduFault fault) {
  return {FatalErrorStatus::data_transfer_limit_exceeded, 0, fault};
}

template <class Header>
Header copy_header(std::span<const std::byte> bytes) {
  Header header;
  std::memcpy(&header, bytes.data(), sizeof(header));
  return header;
}

// Of the types that a controller takes, but for H2CTermReq; 0 for all others.
std::size_t header_bytes_of(PduType type) {
  switch (type) {
    case PduType::ic_req:
      return sizeof(IcReq);
    case PduType::capsule_cmd:
      return sizeof(CapsuleCmd);
    case PduType::h2c_data:
      return sizeof(H2cData);
    case PduType::kd_req:
      return sizeof(KdReq);
    default:
      return 0;
  }
}

InitializeRequest initialize_request(std::span<const std::byte> bytes) {
  const auto request = copy_header<IcReq>(bytes);
  return {.pfv = request.pfv, .hpda = request.hpda, .dgst = request.dgst, .maxr2t = request.maxr2t};
}

HostTermination host_termination(std::span<const std::byte> bytes, std::uint32_t plen) {
  const auto request = copy_header<TermReq>(bytes);
  return {.fes = request.fes,
          .fei = request.fei,
          .offending_header = bytes.first(plen).subspan(sizeof(TermReq))};
}

KickstartRequest kickstart_request(std::span<const std::byte> bytes) {
  const auto request = copy_header<KdReq>(bytes);
  return {.records = request.numkr, .discovery_entries = request.numdie};
}

}  // namespace

void PduDecoder::establish(const NegotiatedLink& link) {
  link_ = link;
  established_ = true;
}

// CapsuleCmd and H2CData. Checks the fields of the common header in their order.
Result<PduDecoder::Frame, PduError> PduDecoder::frame_with_data(const CommonHeader& common,
                                                                std::uint8_t hlen) const {
  const std::uint32_t header_end = hlen + link_.header_digest_bytes();
  const std::uint32_t plen = common.plen;
  const bool has_data = plen > header_end;

  unsigned allowed = (link_.hdgst ? flag_hdgst : 0U) | (link_.ddgst ? flag_ddgst : 0U);
  // Hosts differ in whether DDGSTF is set when there is no data to digest; no digest follows either
  // way.
  const unsigned required = has_data ? allowed : allowed & flag_hdgst;
  if (static_cast<PduType>(common.type) == PduType::h2c_data) allowed |= flag_last_pdu;
  if ((common.flags & ~allowed) != 0 || (common.flags & required) != required) {
    return invalid_field(offsetof(CommonHeader, flags), PduFault::bad_flags);
  }
  if (common.hlen != hlen) {
    return invalid_field(offsetof(CommonHeader, hlen), PduFault::bad_hlen);
  }
  if (!has_data) {
    if (common.pdo != 0 && common.pdo != header_end) {
      return invalid_field(offsetof(CommonHeader, pdo), PduFault::bad_pdo);
    }
    if (plen != header_end) {
      return invalid_field(offsetof(CommonHeader, plen), PduFault::bad_plen);
    }
    return Frame{.hlen = hlen, .header_bytes = header_end};
  }
  if (common.pdo < header_end || common.pdo % link_.controller_alignment() != 0 ||
      common.pdo >= plen) {
    return invalid_field(offsetof(CommonHeader, pdo), PduFault::bad_pdo);
  }
  const std::uint32_t digest = link_.ddgst ? digest_bytes : 0U;
  const std::uint32_t behind_header = plen - common.pdo;
  if (behind_header <= digest) {
    return invalid_field(offsetof(CommonHeader, plen), PduFault::bad_plen);
  }
  return Frame{.hlen = hlen,
               .header_bytes = common.pdo,
               .data_bytes = behind_header - digest,
               .data_digest_bytes = digest};
}

// KDReq: never a digest, and no flag that is judged.
Result<PduDecoder::Frame, PduError> PduDecoder::kickstart_frame(const CommonHeader& common) {
  if (common.hlen != sizeof(KdReq)) {
    return invalid_field(offsetof(CommonHeader, hlen), PduFault::bad_hlen);
  }
  if (common.plen < sizeof(KdReq)) {
    return invalid_field(offsetof(CommonHeader, plen), PduFault::bad_plen);
  }
  const std::uint32_t records = common.plen - std::uint32_t{sizeof(KdReq)};
  if (common.pdo != sizeof(KdReq) && (common.pdo != 0 || records != 0)) {
    return invalid_field(offsetof(CommonHeader, pdo), PduFault::bad_pdo);
  }
  return Frame{.hlen = sizeof(KdReq), .header_bytes = sizeof(KdReq), .data_bytes = records};
}

Result<PduDecoder::Frame, PduError> PduDecoder::frame(const CommonHeader& common) const {
  switch (static_cast<PduType>(common.type)) {
    case PduType::capsule_cmd:
      if (!established_) return out_of_sequence(PduFault::ic_req_missing);
      return frame_with_data(common, sizeof(CapsuleCmd));

    case PduType::h2c_data:
      if (!established_) return out_of_sequence(PduFault::ic_req_missing);
      return frame_with_data(common, sizeof(H2cData));

    case PduType::ic_req:
      if (established_) return out_of_sequence(PduFault::ic_req_repeated);
      if (common.flags != 0) {
        return invalid_field(offsetof(CommonHeader, flags), PduFault::bad_flags);
      }
      if (common.hlen != sizeof(IcReq)) {
        return invalid_field(offsetof(CommonHeader, hlen), PduFault::bad_hlen);
      }
      if (common.plen != sizeof(IcReq)) {
        return invalid_field(offsetof(CommonHeader, plen), PduFault::bad_plen);
      }
      return Frame{.hlen = sizeof(IcReq), .header_bytes = sizeof(IcReq)};

    case PduType::h2c_term_req:
      if (common.flags != 0 || common.hlen != sizeof(TermReq) || common.plen < sizeof(TermReq) ||
          common.plen > largest_term_req_bytes) {
        return PduError{FatalErrorStatus::none, 0, PduFault::malformed_term_req};
      }
      return Frame{.hlen = sizeof(TermReq), .header_bytes = common.plen};

    case PduType::kd_req:
      if (!established_) return out_of_sequence(PduFault::ic_req_missing);
      return kickstart_frame(common);

    case PduType::ic_resp:
    case PduType::c2h_term_req:
    case PduType::capsule_resp:
    case PduType::c2h_data:
    case PduType::r2t:
    case PduType::kd_resp:
      return out_of_sequence(PduFault::wrong_direction);
  }
  return invalid_field(offsetof(CommonHeader, type), PduFault::unknown_type);
}

Result<std::optional<Pdu>, PduError> PduDecoder::next(std::span<const std::byte> bytes) const {
  auto pdu = decode(bytes);
  // What is wrong shows early; what goes back to the host is the whole header.
  if (!pdu && !pdu.error().closes_silently() && bytes.size() < offending_header_bytes(bytes)) {
    return std::nullopt;
  }
  return pdu;
}

std::optional<PduError> PduDecoder::error_at_end(std::span<const std::byte> bytes) const {
  if (const auto pdu = decode(bytes); !pdu) return pdu.error();
  if (bytes.size() < sizeof(CommonHeader)) return std::nullopt;
  if (const auto parts = frame(copy_header<CommonHeader>(bytes)); !parts) return parts.error();
  return std::nullopt;
}

Result<std::optional<Pdu>, PduError> PduDecoder::decode(std::span<const std::byte> bytes) const {
  if (bytes.size() < sizeof(CommonHeader)) return std::nullopt;
  const auto common = copy_header<CommonHeader>(bytes);
  const auto type = static_cast<PduType>(common.type);
  if (link_.hdgst && (type == PduType::capsule_cmd || type == PduType::h2c_data)) {
    // Where it lies follows from the type alone: nothing else of the header is believed before.
    const std::size_t hlen = header_bytes_of(type);
    if (bytes.size() < hlen + digest_bytes) return std::nullopt;
    const auto received = copy_header<wire::le32>(bytes.subspan(hlen));
    if (received != engine::crc32c(bytes.first(hlen))) {
      return PduError{FatalErrorStatus::header_digest_error, received,
                      PduFault::header_digest_mismatch};
    }
  }
  TRY(const Frame parts, frame(common));
  if (bytes.size() < parts.header_bytes) return std::nullopt;

  const auto pdu = [&parts](const auto& header) {
    return Pdu{.header = header,
               .header_bytes = parts.header_bytes,
               .data_bytes = parts.data_bytes,
               .data_digest_bytes = parts.data_digest_bytes};
  };
  if (type == PduType::capsule_cmd) {
    if (parts.data_bytes > in_capsule_bytes_) return limit_exceeded(PduFault::in_capsule_limit);
    return pdu(CommandCapsule{bytes.subspan<offsetof(CapsuleCmd, sqe), sqe_bytes>()});
  }
  if (type == PduType::h2c_data) {
    const auto header = copy_header<H2cData>(bytes);
    if (header.datal != parts.data_bytes) {
      return invalid_field(offsetof(CommonHeader, plen), PduFault::bad_plen);
    }
    if (header.datal == 0) return invalid_field(offsetof(H2cData, datal), PduFault::no_data);
    if (header.datal > link_.maxh2cdata) return limit_exceeded(PduFault::h2c_data_limit);
    return pdu(HostData{.cccid = header.cccid,
                        .ttag = header.ttag,
                        .offset = header.datao,
                        .last = (common.flags & flag_last_pdu) != 0});
  }
  if (type == PduType::ic_req) return pdu(initialize_request(bytes));
  if (type == PduType::kd_req) {
    const auto request = kickstart_request(bytes);
    if (request.records * sizeof(KickstartRecord) != parts.data_bytes) {
      return invalid_field(offsetof(CommonHeader, plen), PduFault::bad_plen);
    }
    return pdu(request);
  }
  return pdu(host_termination(bytes, parts.header_bytes));
}

std::size_t offending_header_bytes(std::span<const std::byte> bytes) {
  if (bytes.size() < sizeof(CommonHeader)) return sizeof(CommonHeader);
  const auto common = copy_header<CommonHeader>(bytes);
  const std::size_t expected = header_bytes_of(static_cast<PduType>(common.type));
  // HLEN may itself be what is wrong: it never shortens the common header, nor makes the header of
  // a known type longer.
  if (expected != 0) return std::clamp<std::size_t>(common.hlen, sizeof(CommonHeader), expected);
  if (common.hlen > largest_term_req_data_bytes) return sizeof(CommonHeader);
  return std::max<std::size_t>(common.hlen, sizeof(CommonHeader));
}

std::span<const std::byte> offending_header(std::span<const std::byte> bytes) {
  return bytes.first(std::min(bytes.size(), offending_header_bytes(bytes)));
}

}  // namespace protocol::nvme_tcp
