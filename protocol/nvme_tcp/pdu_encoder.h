// Writes what a controller sends: whole PDUs, or the header of C2HData in front of data that is
// sent from where it lies.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "protocol/nvme_tcp/negotiated_link.h"
#include "protocol/nvme_tcp/pdu.h"
#include "protocol/nvme_tcp/pdu_error.h"

namespace protocol::nvme_tcp {

// Every encoder fits in this much space, and most in much less: the *_bytes functions are exact.
inline constexpr std::size_t largest_encoded_bytes = largest_term_req_bytes;

inline constexpr std::size_t ic_resp_bytes = sizeof(IcResp);

[[nodiscard]] constexpr std::size_t capsule_resp_bytes(const NegotiatedLink& link) {
  return sizeof(CapsuleResp) + link.header_digest_bytes();
}

[[nodiscard]] constexpr std::size_t r2t_bytes(const NegotiatedLink& link) {
  return sizeof(R2t) + link.header_digest_bytes();
}

// Header, digest and padding of C2HData; the data follows, then link.data_digest_bytes(length) of
// DataDigest.
[[nodiscard]] constexpr std::size_t c2h_data_header_bytes(const NegotiatedLink& link) {
  const std::size_t end = sizeof(C2hData) + link.header_digest_bytes();
  const std::size_t alignment = link.host_alignment();
  return (end + alignment - 1) / alignment * alignment;
}

[[nodiscard]] constexpr std::size_t term_req_bytes(std::span<const std::byte> offending) {
  const std::size_t kept = offending.size() < largest_term_req_data_bytes
                               ? offending.size()
                               : largest_term_req_data_bytes;
  return sizeof(TermReq) + kept;
}

struct ReadyToTransfer {
  std::uint16_t cccid = 0;
  std::uint16_t ttag = 0;
  std::uint32_t offset = 0;  // R2TO, bytes from the start of the command's data.
  std::uint32_t length = 0;  // R2TL, bytes.
};

struct ControllerData {
  std::uint16_t cccid = 0;
  std::uint32_t offset = 0;  // DATAO, bytes from the start of the command's data.
  std::uint32_t length = 0;  // DATAL, bytes; not 0.
  bool last = false;         // LAST_PDU
  // SUCCESS: the host completes the command without a CapsuleResp. Only with `last`, only for a
  // status of 0, and only if SQ flow control is disabled for the queue.
  bool success = false;
};

// All of them write to the front of `space`, which must hold the bytes announced above (a CHECK),
// and return the number of bytes written. No allocation.
std::size_t encode_ic_resp(std::span<std::byte> space, const NegotiatedLink& link);
std::size_t encode_capsule_resp(std::span<std::byte> space, const NegotiatedLink& link,
                                std::span<const std::byte, cqe_bytes> cqe);
std::size_t encode_r2t(std::span<std::byte> space, const NegotiatedLink& link,
                       const ReadyToTransfer& request);
std::size_t encode_c2h_data_header(std::span<std::byte> space, const NegotiatedLink& link,
                                   const ControllerData& data);

// C2HTermReq with as much of `offending` (see offending_header()) as it carries. Never has a
// digest, so it is the same before and after the link is established. Not for errors that close
// silently.
std::size_t encode_term_req(std::span<std::byte> space, const PduError& error,
                            std::span<const std::byte> offending);

}  // namespace protocol::nvme_tcp
