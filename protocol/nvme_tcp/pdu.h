// The PDUs of NVMe/TCP (NVM Express TCP Transport Specification 1.1, section "PDU Definitions") as
// they lie on the wire: every type's header, its flags and its limits. Values only; pdu_decoder.h
// and pdu_encoder.h give them meaning.
#pragma once

#include <cstddef>
#include <cstdint>

#include "protocol/wire/endian.h"
#include "protocol/wire/layout.h"

namespace protocol::nvme_tcp {

// Even types travel from host to controller, odd ones back; R2T (09h) too is the controller's.
enum class PduType : std::uint8_t {
  ic_req = 0x00,
  ic_resp = 0x01,
  h2c_term_req = 0x02,
  c2h_term_req = 0x03,
  capsule_cmd = 0x04,
  capsule_resp = 0x05,
  h2c_data = 0x06,
  c2h_data = 0x07,
  r2t = 0x09,
  kd_req = 0x0a,
  kd_resp = 0x0b,
};

// Bits of the common header's FLAGS.
inline constexpr std::uint8_t flag_hdgst = 0x01;     // HDGSTF: a header digest follows the header.
inline constexpr std::uint8_t flag_ddgst = 0x02;     // DDGSTF: a data digest follows the data.
inline constexpr std::uint8_t flag_last_pdu = 0x04;  // LAST_PDU of H2CData and C2HData.
inline constexpr std::uint8_t flag_success =
    0x08;  // SUCCESS of C2HData: no CapsuleResp will follow.

// Bits of DGST in ICReq and ICResp.
inline constexpr std::uint8_t dgst_header = 0x01;
inline constexpr std::uint8_t dgst_data = 0x02;

inline constexpr std::uint16_t pfv_1_0 = 0;                 // The only PDU format version there is.
inline constexpr std::uint8_t largest_pda = 31;             // HPDA and CPDA: 0's based dwords.
inline constexpr std::uint32_t smallest_maxh2cdata = 4096;  // Bytes.
inline constexpr std::size_t digest_bytes = 4;  // HDGST and DDGST: CRC-32C, little endian.
inline constexpr std::size_t sqe_bytes = 64;
inline constexpr std::size_t cqe_bytes = 16;

struct CommonHeader {
  std::uint8_t type;  // PduType
  std::uint8_t flags;
  std::uint8_t hlen;  // Header bytes, without digest.
  std::uint8_t pdo;   // Offset of the data from the start of the PDU.
  wire::le32 plen;    // Bytes of the whole PDU.
};
static_assert(wire::is_wire_struct<CommonHeader, 8>);
static_assert(offsetof(CommonHeader, flags) == 1);
static_assert(offsetof(CommonHeader, hlen) == 2);
static_assert(offsetof(CommonHeader, pdo) == 3);
static_assert(offsetof(CommonHeader, plen) == 4);

struct IcReq {
  CommonHeader common;
  wire::le16 pfv;
  std::uint8_t hpda;  // 0's based dwords: alignment of the data that the controller sends.
  std::uint8_t dgst;
  wire::le32 maxr2t;  // 0's based: outstanding R2Ts of one command.
  wire::Reserved<112> reserved16;
};
static_assert(wire::is_wire_struct<IcReq, 128>);
static_assert(offsetof(IcReq, pfv) == 8);
static_assert(offsetof(IcReq, hpda) == 10);
static_assert(offsetof(IcReq, dgst) == 11);
static_assert(offsetof(IcReq, maxr2t) == 12);
static_assert(offsetof(IcReq, reserved16) == 16);

struct IcResp {
  CommonHeader common;
  wire::le16 pfv;
  std::uint8_t cpda;  // 0's based dwords: alignment of the data that the host sends.
  std::uint8_t dgst;
  wire::le32 maxh2cdata;  // Bytes of data in one H2CData.
  wire::Reserved<112> reserved16;
};
static_assert(wire::is_wire_struct<IcResp, 128>);
static_assert(offsetof(IcResp, pfv) == 8);
static_assert(offsetof(IcResp, cpda) == 10);
static_assert(offsetof(IcResp, dgst) == 11);
static_assert(offsetof(IcResp, maxh2cdata) == 12);
static_assert(offsetof(IcResp, reserved16) == 16);

// H2CTermReq and C2HTermReq; up to 128 bytes of the offending PDU's header follow.
struct TermReq {
  CommonHeader common;
  wire::le16 fes;
  wire::le32 fei;
  wire::Reserved<10> reserved14;
};
static_assert(wire::is_wire_struct<TermReq, 24>);
static_assert(offsetof(TermReq, fes) == 8);
static_assert(offsetof(TermReq, fei) == 10);
static_assert(offsetof(TermReq, reserved14) == 14);

inline constexpr std::size_t largest_term_req_bytes = 152;
inline constexpr std::size_t largest_term_req_data_bytes = largest_term_req_bytes - sizeof(TermReq);
static_assert(largest_term_req_data_bytes == 128);

struct CapsuleCmd {
  CommonHeader common;
  std::uint8_t sqe[sqe_bytes];
};
static_assert(wire::is_wire_struct<CapsuleCmd, 72>);
static_assert(offsetof(CapsuleCmd, sqe) == 8);

struct CapsuleResp {
  CommonHeader common;
  std::uint8_t cqe[cqe_bytes];
};
static_assert(wire::is_wire_struct<CapsuleResp, 24>);
static_assert(offsetof(CapsuleResp, cqe) == 8);

struct H2cData {
  CommonHeader common;
  wire::le16 cccid;  // Command identifier.
  wire::le16 ttag;   // Transfer tag of the R2T that this answers.
  wire::le32 datao;  // Bytes from the start of the command's data.
  wire::le32 datal;  // Bytes of data in this PDU.
  wire::Reserved<4> reserved20;
};
static_assert(wire::is_wire_struct<H2cData, 24>);
static_assert(offsetof(H2cData, cccid) == 8);
static_assert(offsetof(H2cData, ttag) == 10);
static_assert(offsetof(H2cData, datao) == 12);
static_assert(offsetof(H2cData, datal) == 16);
static_assert(offsetof(H2cData, reserved20) == 20);

struct C2hData {
  CommonHeader common;
  wire::le16 cccid;
  wire::Reserved<2> reserved10;
  wire::le32 datao;
  wire::le32 datal;
  wire::Reserved<4> reserved20;
};
static_assert(wire::is_wire_struct<C2hData, 24>);
static_assert(offsetof(C2hData, cccid) == 8);
static_assert(offsetof(C2hData, reserved10) == 10);
static_assert(offsetof(C2hData, datao) == 12);
static_assert(offsetof(C2hData, datal) == 16);
static_assert(offsetof(C2hData, reserved20) == 20);

struct R2t {
  CommonHeader common;
  wire::le16 cccid;
  wire::le16 ttag;
  wire::le32 r2to;  // Bytes from the start of the command's data.
  wire::le32 r2tl;  // Bytes requested.
  wire::Reserved<4> reserved20;
};
static_assert(wire::is_wire_struct<R2t, 24>);
static_assert(offsetof(R2t, cccid) == 8);
static_assert(offsetof(R2t, ttag) == 10);
static_assert(offsetof(R2t, r2to) == 12);
static_assert(offsetof(R2t, r2tl) == 16);
static_assert(offsetof(R2t, reserved20) == 20);

// Kickstart discovery: a subsystem asks a centralized discovery controller to come and read its
// discovery log. NUMKR kickstart records follow the header of KDReq as data.
struct KdReq {
  CommonHeader common;
  wire::le16 numkr;   // Kickstart records.
  wire::le16 numdie;  // Discovery information entries that the subsystem has.
};
static_assert(wire::is_wire_struct<KdReq, 12>);
static_assert(offsetof(KdReq, numkr) == 8);
static_assert(offsetof(KdReq, numdie) == 10);

// Where one of the subsystem's discovery controllers is; fields as in the discovery log.
struct KickstartRecord {
  std::uint8_t trtype;
  std::uint8_t adrfam;
  char trsvcid[32];
  char traddr[256];
};
static_assert(wire::is_wire_struct<KickstartRecord, 290>);
static_assert(offsetof(KickstartRecord, adrfam) == 1);
static_assert(offsetof(KickstartRecord, trsvcid) == 2);
static_assert(offsetof(KickstartRecord, traddr) == 34);

// The centralized discovery controller's NQN follows as data.
struct KdResp {
  CommonHeader common;
  std::uint8_t ksstat;   // 0: the request was accepted.
  std::uint8_t failrsn;  // One bit for each reason why it was not.
};
static_assert(wire::is_wire_struct<KdResp, 10>);
static_assert(offsetof(KdResp, ksstat) == 8);
static_assert(offsetof(KdResp, failrsn) == 9);

}  // namespace protocol::nvme_tcp
