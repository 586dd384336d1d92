#include "protocol/nvme_tcp/pdu_encoder.h"

#include <cstring>

#include "engine/foundation/check.h"
#include "engine/foundation/crc32c.h"

namespace protocol::nvme_tcp {
namespace {

CommonHeader common_header(PduType type, unsigned flags, std::size_t hlen, std::size_t pdo,
                           std::size_t plen) {
  return {.type = static_cast<std::uint8_t>(type),
          .flags = static_cast<std::uint8_t>(flags),
          .hlen = static_cast<std::uint8_t>(hlen),
          .pdo = static_cast<std::uint8_t>(pdo),
          .plen = static_cast<std::uint32_t>(plen)};
}

// Copies the header and, if the link has header digests, its digest; returns the bytes written.
template <class Header>
std::size_t put_header(std::span<std::byte> space, const NegotiatedLink& link,
                       const Header& header) {
  CHECK(space.size() >= sizeof(header) + link.header_digest_bytes());
  std::memcpy(space.data(), &header, sizeof(header));
  if (!link.hdgst) return sizeof(header);
  const wire::le32 digest = engine::crc32c(space.first(sizeof(header)));
  std::memcpy(space.data() + sizeof(header), &digest, sizeof(digest));
  return sizeof(header) + sizeof(digest);
}

unsigned header_digest_flag(const NegotiatedLink& link) { return link.hdgst ? flag_hdgst : 0U; }

}  // namespace

std::size_t encode_ic_resp(std::span<std::byte> space, const NegotiatedLink& link) {
  CHECK(space.size() >= ic_resp_bytes);
  IcResp response{};
  response.common = common_header(PduType::ic_resp, 0, sizeof(IcResp), 0, sizeof(IcResp));
  response.pfv = pfv_1_0;
  response.cpda = link.cpda;
  response.dgst =
      static_cast<std::uint8_t>((link.hdgst ? dgst_header : 0U) | (link.ddgst ? dgst_data : 0U));
  response.maxh2cdata = link.maxh2cdata;
  std::memcpy(space.data(), &response, sizeof(response));
  return sizeof(response);
}

std::size_t encode_capsule_resp(std::span<std::byte> space, const NegotiatedLink& link,
                                std::span<const std::byte, cqe_bytes> cqe) {
  CapsuleResp response{};
  response.common = common_header(PduType::capsule_resp, header_digest_flag(link),
                                  sizeof(CapsuleResp), 0, capsule_resp_bytes(link));
  std::memcpy(response.cqe, cqe.data(), cqe.size());
  return put_header(space, link, response);
}

std::size_t encode_r2t(std::span<std::byte> space, const NegotiatedLink& link,
                       const ReadyToTransfer& request) {
  R2t pdu{};
  pdu.common =
      common_header(PduType::r2t, header_digest_flag(link), sizeof(R2t), 0, r2t_bytes(link));
  pdu.cccid = request.cccid;
  pdu.ttag = request.ttag;
  pdu.r2to = request.offset;
  pdu.r2tl = request.length;
  return put_header(space, link, pdu);
}

std::size_t encode_c2h_data_header(std::span<std::byte> space, const NegotiatedLink& link,
                                   const ControllerData& data) {
  CHECK(data.length != 0);
  CHECK(data.last || !data.success);
  const std::size_t pdo = c2h_data_header_bytes(link);
  CHECK(space.size() >= pdo);
  const unsigned flags = header_digest_flag(link) | (link.ddgst ? flag_ddgst : 0U) |
                         (data.last ? flag_last_pdu : 0U) | (data.success ? flag_success : 0U);
  C2hData header{};
  header.common = common_header(PduType::c2h_data, flags, sizeof(C2hData), pdo,
                                pdo + data.length + link.data_digest_bytes(data.length));
  header.cccid = data.cccid;
  header.datao = data.offset;
  header.datal = data.length;
  const std::size_t written = put_header(space, link, header);
  std::memset(space.data() + written, 0, pdo - written);
  return pdo;
}

std::size_t encode_term_req(std::span<std::byte> space, const PduError& error,
                            std::span<const std::byte> offending) {
  CHECK(!error.closes_silently());
  const std::size_t plen = term_req_bytes(offending);
  CHECK(space.size() >= plen);
  TermReq request{};
  request.common = common_header(PduType::c2h_term_req, 0, sizeof(TermReq), 0, plen);
  request.fes = static_cast<std::uint16_t>(error.fes);
  request.fei = error.fei;
  std::memcpy(space.data(), &request, sizeof(request));
  if (plen > sizeof(request)) {
    std::memcpy(space.data() + sizeof(request), offending.data(), plen - sizeof(request));
  }
  return plen;
}

}  // namespace protocol::nvme_tcp
