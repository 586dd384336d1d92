// Reads what a host sends: the header of the next PDU, fully checked, and where its data lies. No
// socket, no buffer of its own, no allocation.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <variant>

#include "engine/foundation/result.h"
#include "protocol/nvme_tcp/negotiated_link.h"
#include "protocol/nvme_tcp/pdu.h"
#include "protocol/nvme_tcp/pdu_error.h"

namespace protocol::nvme_tcp {

// CapsuleCmd. Pdu::data_bytes of in-capsule data follow.
struct CommandCapsule {
  std::span<const std::byte, sqe_bytes> sqe;  // Views the bytes given to next().
};

// H2CData. Pdu::data_bytes (DATAL, never 0) follow. Whether CCCID, TTAG and the range belong to an
// outstanding R2T is the connection's to check.
struct HostData {
  std::uint16_t cccid = 0;
  std::uint16_t ttag = 0;
  std::uint32_t offset = 0;  // DATAO: bytes from the start of the command's data.
  bool last = false;         // LAST_PDU
};

// H2CTermReq: the host gives up; close without an answer.
struct HostTermination {
  std::uint16_t fes = 0;  // As received: may be a value that FatalErrorStatus does not name.
  std::uint32_t fei = 0;
  std::span<const std::byte>
      offending_header;  // At most 128 bytes of what we sent; views the bytes given to next().
};

// KDReq. Well formed, but for centralized discovery controllers only: the connection refuses it
// with kickstart_error(). Pdu::data_bytes of kickstart records follow.
struct KickstartRequest {
  std::uint16_t records = 0;
  std::uint16_t discovery_entries = 0;
};

using PduHeader =
    std::variant<InitializeRequest, CommandCapsule, HostData, HostTermination, KickstartRequest>;

// The front of a stream: `header_bytes` to consume now, then `data_bytes` of data, then
// `data_digest_bytes`, then the next PDU. The sum is PLEN.
struct Pdu {
  PduHeader header;
  std::uint32_t header_bytes = 0;  // Header, header digest and padding: at most 255.
  std::uint32_t data_bytes = 0;
  std::uint32_t data_digest_bytes = 0;  // 4 (feed a DataDigest and compare) or 0.
};

// No header with digest and padding is longer (PDO has 8 bits), so a buffer of this size never
// stalls next().
inline constexpr std::size_t largest_pdu_header_bytes = 256;

// In-capsule data that Admin queues accept, and any queue until its Connect succeeded (NVMe-oF: 8
// KiB).
inline constexpr std::uint32_t default_in_capsule_bytes = 8192;

// The target's end of one connection. First it expects ICReq, after establish() commands and data.
// Each call decodes the front of the stream from nothing but its bytes, so the caller owns all
// buffering:
//
//   PduDecoder decoder;
//   for (;;) {
//     TRY(auto pdu, decoder.next(received.unread()));             // error: send
//     encode_term_req(...), close if (!pdu) { read more into `received`; continue; }          //
//     nothing was consumed if (auto* request = std::get_if<InitializeRequest>(&pdu->header)) {
//       TRY(auto link, negotiate(*request, limits));
//       decoder.establish(link);                                  // and send encode_ic_resp(space,
//       link)
//     } else if (auto* capsule = std::get_if<CommandCapsule>(&pdu->header)) {
//       ... copy or parse capsule->sqe before the bytes go away ...
//     }
//     received.consume(pdu->header_bytes);
//     ... take pdu->data_bytes, then pdu->data_digest_bytes, from `received` and the socket:
//     straight to where they belong
//   }
class PduDecoder {
 public:
  // From here on commands and data are expected, formed as `link` says.
  void establish(const NegotiatedLink& link);

  // The queue's limit for in-capsule data in bytes: (IOCCSZ * 16) - 64 once Connect made it an I/O
  // queue.
  void limit_in_capsule(std::uint32_t bytes) { in_capsule_bytes_ = bytes; }

  [[nodiscard]] bool established() const { return established_; }
  [[nodiscard]] const NegotiatedLink& link() const { return link_; }

  // Decodes the header of the PDU at the front of `bytes`; nullopt if more bytes are needed (at
  // most largest_pdu_header_bytes in all). Its views are into `bytes`. The same stream gives the
  // same answer however it is cut. Errors are final for the connection: answer with C2HTermReq
  // unless closes_silently(). Order of checks: the header digest where it is in use (behind it,
  // damage on the way and a host's mistakes are told apart), the common header's fields in their
  // order, the remaining fields, the limits; so FEI names the first bad field. An error is told
  // when the whole offending header is there. Reserved fields other than FLAGS are ignored, as the
  // Base specification allows.
  [[nodiscard]] engine::Result<std::optional<Pdu>, PduError> next(
      std::span<const std::byte> bytes) const;

  // The error of a PDU of which `bytes` is all that has come, after next() wanted more; nullopt if
  // they are the front of a good one.
  [[nodiscard]] std::optional<PduError> error_at_end(std::span<const std::byte> bytes) const;

 private:
  struct Frame;

  [[nodiscard]] engine::Result<std::optional<Pdu>, PduError> decode(
      std::span<const std::byte> bytes) const;

  [[nodiscard]] engine::Result<Frame, PduError> frame(const CommonHeader& common) const;
  [[nodiscard]] static engine::Result<Frame, PduError> kickstart_frame(const CommonHeader& common);
  [[nodiscard]] engine::Result<Frame, PduError> frame_with_data(const CommonHeader& common,
                                                                std::uint8_t hlen) const;

  NegotiatedLink link_;
  std::uint32_t in_capsule_bytes_ = default_in_capsule_bytes;
  bool established_ = false;
};

// Length of the header of the failed PDU at the front of `bytes`, 8..128: as HLEN says, if that can
// be.
[[nodiscard]] std::size_t offending_header_bytes(std::span<const std::byte> bytes);

// The part of the failed PDU that C2HTermReq returns to the host: its header as far as it was
// received. `bytes` is what next() was given.
[[nodiscard]] std::span<const std::byte> offending_header(std::span<const std::byte> bytes);

}  // namespace protocol::nvme_tcp
