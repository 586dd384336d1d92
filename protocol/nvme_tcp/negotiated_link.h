// What ICReq and ICResp settle for the life of one connection.
#pragma once

#include <cstddef>
#include <cstdint>

#include "engine/foundation/result.h"
#include "protocol/nvme_tcp/pdu.h"
#include "protocol/nvme_tcp/pdu_error.h"

namespace protocol::nvme_tcp {

// An ICReq as received. Only negotiate() judges the values.
struct InitializeRequest {
  std::uint16_t pfv = 0;
  std::uint8_t hpda = 0;     // 0's based dwords.
  std::uint8_t dgst = 0;     // dgst_header | dgst_data | reserved bits.
  std::uint32_t maxr2t = 0;  // 0's based, as on the wire.
};

// What this end offers.
struct LinkLimits {
  bool allow_hdgst = true;
  bool allow_ddgst = true;
  std::uint8_t cpda = 0;  // 0's based dwords, at most 31. Linux hosts refuse anything but 0.
  std::uint32_t maxh2cdata = 128 * 1024;  // Bytes; at least 4096, a multiple of 4.
};

struct NegotiatedLink {
  bool hdgst = false;
  bool ddgst = false;
  std::uint8_t hpda = 0;  // Alignment of the data that we send.
  std::uint8_t cpda = 0;  // Alignment of the data that we receive.
  std::uint64_t outstanding_r2t =
      1;  // R2Ts that one command may have outstanding; 1 to 2^32 (MAXR2T + 1).
  std::uint32_t maxh2cdata = smallest_maxh2cdata;  // Bytes of data in one H2CData.

  // Bytes; PDO of what we send and of what we receive is a multiple of it.
  [[nodiscard]] constexpr std::uint32_t host_alignment() const { return 4U * (hpda + 1U); }
  [[nodiscard]] constexpr std::uint32_t controller_alignment() const { return 4U * (cpda + 1U); }
  // Bytes of header digest in every PDU but ICReq, ICResp and the TermReqs.
  [[nodiscard]] constexpr std::uint32_t header_digest_bytes() const { return hdgst ? 4U : 0U; }
  // Bytes of data digest behind `data_bytes` of data: none without data.
  [[nodiscard]] constexpr std::uint32_t data_digest_bytes(std::uint32_t data_bytes) const {
    return ddgst && data_bytes != 0 ? 4U : 0U;
  }

  friend bool operator==(const NegotiatedLink&, const NegotiatedLink&) = default;
};

// The link that the host's request and our limits make; encode_ic_resp() tells the host.
// A digest is on if both ends want it. Errors: unsupported_parameter at PFV (8), HPDA (10) or DGST
// (11).
[[nodiscard]] engine::Result<NegotiatedLink, PduError> negotiate(const InitializeRequest& request,
                                                                 const LinkLimits& limits);

}  // namespace protocol::nvme_tcp
