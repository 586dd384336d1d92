// What a well-behaved host sends: golden bytes, every truncation, every padding, whole streams.
#include "protocol/nvme_tcp/pdu_decoder.h"

#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <string>

#include "protocol/nvme_tcp/data_digest.h"
#include "tests/protocol/nvme_tcp/host_pdus.h"
#include "tests/protocol/wire/hex.h"

namespace protocol::nvme_tcp {
namespace {

using wire::bytes_from_hex;
using wire::hex;

constexpr std::string_view sqe_hex =
    "10 11 12 13 14 15 16 17 18 19 1a 1b 1c 1d 1e 1f 20 21 22 23 24 25 26 27 28 29 2a 2b 2c 2d 2e "
    "2f 30 31 32 33 34 35 36 37 38 39 3a 3b 3c 3d 3e 3f 40 41 42 43 44 45 46 47 48 49 4a 4b 4c 4d "
    "4e 4f";

Pdu decoded(const PduDecoder& decoder, std::span<const std::byte> bytes) {
  const auto result = decoder.next(bytes);
  EXPECT_TRUE(result.has_value()) << describe(result.error().fault);
  EXPECT_TRUE(result.value().has_value()) << "wants more than " << hex(bytes);
  return *result.value();
}

TEST(PduDecoder, IcReqGolden) {
  auto bytes = bytes_from_hex("00 00 80 00 80 00 00 00 00 00 1f 03 0f 00 00 00");
  bytes.resize(128);
  const auto pdu = decoded(PduDecoder{}, bytes);
  const auto& request = std::get<InitializeRequest>(pdu.header);
  EXPECT_EQ(request.pfv, 0);
  EXPECT_EQ(request.hpda, 31);
  EXPECT_EQ(request.dgst, 3);
  EXPECT_EQ(request.maxr2t, 15U);
  EXPECT_EQ(pdu.header_bytes, 128U);
  EXPECT_EQ(pdu.data_bytes, 0U);
}

TEST(PduDecoder, IcReqValuesAreNotJudgedBeforeNegotiation) {
  const auto pdu = decoded(PduDecoder{}, ic_req(7, 99, 0xff, 0xffffffff));
  const auto& request = std::get<InitializeRequest>(pdu.header);
  EXPECT_EQ(request.pfv, 7);
  EXPECT_EQ(request.hpda, 99);
  EXPECT_EQ(request.dgst, 0xff);
  EXPECT_EQ(request.maxr2t, 0xffffffffU);
}

TEST(PduDecoder, CapsuleCmdGolden) {
  const auto bytes = bytes_from_hex("04 00 48 00 48 00 00 00 " + std::string(sqe_hex));
  const auto pdu = decoded(established_decoder({}), bytes);
  const auto& capsule = std::get<CommandCapsule>(pdu.header);
  EXPECT_EQ(hex(capsule.sqe), sqe_hex);
  EXPECT_EQ(capsule.sqe.data(), bytes.data() + 8) << "a view, not a copy";
  EXPECT_EQ(pdu.header_bytes, 72U);
  EXPECT_EQ(pdu.data_bytes, 0U);
  EXPECT_EQ(pdu.data_digest_bytes, 0U);
}

TEST(PduDecoder, CapsuleCmdWithHeaderDigestGolden) {
  const auto bytes =
      bytes_from_hex("04 01 48 00 4c 00 00 00 " + std::string(sqe_hex) + " 43 af 46 df");
  const auto pdu = decoded(established_decoder({.hdgst = true}), bytes);
  EXPECT_EQ(hex(std::get<CommandCapsule>(pdu.header).sqe), sqe_hex);
  EXPECT_EQ(pdu.header_bytes, 76U);
}

TEST(PduDecoder, CapsuleCmdWithDataAndBothDigestsGolden) {
  const auto bytes = bytes_from_hex("04 03 48 4c 54 00 00 00 " + std::string(sqe_hex) +
                                    " 9d 6b 7a fc de ad be ef 8e 77 dc f1");
  const auto pdu = decoded(established_decoder({.hdgst = true, .ddgst = true}), bytes);
  EXPECT_EQ(hex(std::get<CommandCapsule>(pdu.header).sqe), sqe_hex);
  EXPECT_EQ(pdu.header_bytes, 76U);
  EXPECT_EQ(pdu.data_bytes, 4U);
  EXPECT_EQ(pdu.data_digest_bytes, 4U);
  DataDigest digest;
  digest.update(std::span(bytes).subspan(76, 4));
  EXPECT_TRUE(digest.matches(std::span(bytes).last<4>()));
}

TEST(PduDecoder, H2cDataGolden) {
  const auto bytes = bytes_from_hex(
      "06 04 18 18 1c 00 00 00 34 12 78 56 00 10 00 00 04 00 00 00 00 00 00 00 de ad be ef");
  const auto pdu = decoded(established_decoder({}), bytes);
  const auto& data = std::get<HostData>(pdu.header);
  EXPECT_EQ(data.cccid, 0x1234);
  EXPECT_EQ(data.ttag, 0x5678);
  EXPECT_EQ(data.offset, 0x1000U);
  EXPECT_TRUE(data.last);
  EXPECT_EQ(pdu.header_bytes, 24U);
  EXPECT_EQ(pdu.data_bytes, 4U);
  EXPECT_EQ(pdu.data_digest_bytes, 0U);
}

TEST(PduDecoder, H2cDataWithBothDigestsGolden) {
  const auto bytes = bytes_from_hex(
      "06 07 18 1c 24 00 00 00 34 12 78 56 00 10 00 00 04 00 00 00 00 00 00 00 4a 89 02 50 "
      "de ad be ef 8e 77 dc f1");
  const auto pdu = decoded(established_decoder({.hdgst = true, .ddgst = true}), bytes);
  EXPECT_EQ(std::get<HostData>(pdu.header).ttag, 0x5678);
  EXPECT_EQ(pdu.header_bytes, 28U);
  EXPECT_EQ(pdu.data_bytes, 4U);
  EXPECT_EQ(pdu.data_digest_bytes, 4U);
}

TEST(PduDecoder, H2cTermReqGolden) {
  const auto bytes = bytes_from_hex(
      "02 00 18 00 20 00 00 00 05 00 0a 00 00 00 00 00 00 00 00 00 00 00 00 00 "
      "07 00 18 18 18 02 00 00");
  // Valid in both phases, and never with a digest.
  for (const auto& decoder : {PduDecoder{}, established_decoder({.hdgst = true, .ddgst = true})}) {
    const auto pdu = decoded(decoder, bytes);
    const auto& termination = std::get<HostTermination>(pdu.header);
    EXPECT_EQ(termination.fes, 5);
    EXPECT_EQ(termination.fei, 10U);
    EXPECT_EQ(hex(termination.offending_header), "07 00 18 18 18 02 00 00");
    EXPECT_EQ(pdu.header_bytes, 32U);
    EXPECT_EQ(pdu.data_bytes, 0U);
  }
}

TEST(PduDecoder, H2cTermReqMayCarryAnythingFromNoneTo128Bytes) {
  for (std::size_t size = 0; size <= 128; ++size) {
    const auto pdu = decoded(PduDecoder{}, h2c_term_req(0xffff, 0xfffffffe, size));
    const auto& termination = std::get<HostTermination>(pdu.header);
    EXPECT_EQ(termination.fes, 0xffff);
    EXPECT_EQ(termination.fei, 0xfffffffeU);
    EXPECT_EQ(termination.offending_header.size(), size);
    EXPECT_EQ(pdu.header_bytes, 24 + size);
  }
}

// A digest flag without data is sent by some hosts and not by others; no digest follows either way.
TEST(PduDecoder, KdReqGolden) {
  // One record: TCP, IPv4, 8009, 192.0.2.10.
  auto bytes = bytes_from_hex(
      "0a 00 0c 0c 2e 01 00 00 01 00 03 00 03 01 38 30 30 39 00 00 00 00 00 00 00 00 00 00 00 00 "
      "00 "
      "00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 31 39 32 2e 30 2e 32 2e 31 30");
  bytes.resize(302);
  const auto pdu = decoded(established_decoder({}), bytes);
  const auto& request = std::get<KickstartRequest>(pdu.header);
  EXPECT_EQ(request.records, 1);
  EXPECT_EQ(request.discovery_entries, 3);
  EXPECT_EQ(pdu.header_bytes, 12U);
  EXPECT_EQ(pdu.data_bytes, 290U);
  EXPECT_EQ(pdu.data_digest_bytes, 0U);
  KickstartRecord record;
  std::memcpy(&record, std::span(bytes).subspan(pdu.header_bytes).data(), sizeof(record));
  EXPECT_EQ(record.trtype, 3);
  EXPECT_EQ(record.adrfam, 1);
  EXPECT_STREQ(record.trsvcid, "8009");
  EXPECT_STREQ(record.traddr, "192.0.2.10");
}

TEST(PduDecoder, DataDigestFlagWithoutDataIsAcceptedWhenNegotiated) {
  auto bytes = capsule_cmd({.ddgst = true}, {});
  EXPECT_EQ(decoded(established_decoder({.ddgst = true}), bytes).data_digest_bytes, 0U);
  put(bytes, 1, 2, 1);
  const auto pdu = decoded(established_decoder({.ddgst = true}), bytes);
  EXPECT_EQ(pdu.header_bytes, 72U);
  EXPECT_EQ(pdu.data_digest_bytes, 0U);
}

TEST(PduDecoder, PdoBehindTheHeaderIsAcceptedWithoutData) {
  auto bytes = capsule_cmd({}, {});
  put(bytes, 3, 72, 1);
  EXPECT_EQ(decoded(established_decoder({}), bytes).header_bytes, 72U);
}

TEST(PduDecoder, ReservedBytesAreIgnored) {
  auto request = ic_req();
  for (std::size_t i = 16; i < 128; ++i) request[i] = std::byte{0xff};
  put(request, 3, 0xff, 1);
  EXPECT_TRUE(std::holds_alternative<InitializeRequest>(decoded(PduDecoder{}, request).header));

  const Bytes payload(8);
  auto data = h2c_data({}, {}, payload);
  put(data, 20, 0xffffffff, 4);
  EXPECT_TRUE(std::holds_alternative<HostData>(decoded(established_decoder({}), data).header));
}

TEST(PduDecoder, EveryPaddingIsConsumedWithTheHeader) {
  const Bytes payload(16, std::byte{0x77});
  for (unsigned cpda = 0; cpda <= largest_pda; ++cpda) {
    for (unsigned digests = 0; digests < 4; ++digests) {
      const NegotiatedLink link{.hdgst = (digests & 1U) != 0,
                                .ddgst = (digests & 2U) != 0,
                                .cpda = static_cast<std::uint8_t>(cpda)};
      const auto decoder = established_decoder(link);
      for (const auto& bytes : {capsule_cmd(link, payload), h2c_data(link, {}, payload)}) {
        const auto pdu = decoded(decoder, bytes);
        EXPECT_EQ(pdu.header_bytes % link.controller_alignment(), 0U);
        EXPECT_EQ(pdu.data_bytes, payload.size());
        EXPECT_EQ(pdu.data_digest_bytes, link.ddgst ? 4U : 0U);
        EXPECT_EQ(pdu.header_bytes + pdu.data_bytes + pdu.data_digest_bytes, bytes.size());
        EXPECT_EQ(hex(std::span(bytes).subspan(pdu.header_bytes, pdu.data_bytes)), hex(payload));
      }
    }
  }
}

// More padding than needed is allowed as long as the data is aligned.
TEST(PduDecoder, DataMayLieFurtherBackThanItMust) {
  const Bytes payload(16);
  const auto decoder = established_decoder({.cpda = 1});
  for (std::size_t extra = 0; 72 + extra <= 255; extra += 8) {
    EXPECT_EQ(decoded(decoder, capsule_cmd({.cpda = 1}, payload, extra)).header_bytes, 72 + extra);
  }
  EXPECT_LE(72 + 176, largest_pdu_header_bytes);
}

TEST(PduDecoder, EveryTruncationConsumesNothingAndTheRestIsNotWaitedFor) {
  const Bytes payload(300, std::byte{0x33});
  for (unsigned digests = 0; digests < 4; ++digests) {
    for (const std::uint8_t cpda : std::array<std::uint8_t, 3>{0, 3, 31}) {
      const NegotiatedLink link{
          .hdgst = (digests & 1U) != 0, .ddgst = (digests & 2U) != 0, .cpda = cpda};
      const auto decoder = established_decoder(link);
      for (const auto& bytes :
           {capsule_cmd(link, payload), capsule_cmd(link, {}), h2c_data(link, {}, payload),
            h2c_term_req(1, 0, 128), kd_req(1, 1)}) {
        const auto whole = decoded(decoder, bytes);
        for (std::size_t length = 0; length <= bytes.size(); ++length) {
          // An exact copy, so that a sanitizer sees any read behind the end.
          const Bytes part(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(length));
          const auto result = decoder.next(part);
          ASSERT_TRUE(result.has_value()) << length;
          ASSERT_EQ(result.value().has_value(), length >= whole.header_bytes) << length;
        }
      }
    }
  }
  const auto request = ic_req();
  for (std::size_t length = 0; length < request.size(); ++length) {
    const Bytes part(request.begin(), request.begin() + static_cast<std::ptrdiff_t>(length));
    const auto result = PduDecoder{}.next(part);
    ASSERT_TRUE(result.has_value());
    EXPECT_FALSE(result.value().has_value()) << length;
  }
}

TEST(PduDecoder, AWholeConnectionIsReadPduByPdu) {
  const NegotiatedLink link{.hdgst = true, .ddgst = true, .maxh2cdata = 4096};
  const Bytes small(512, std::byte{1});
  const Bytes piece(4096, std::byte{2});
  Bytes stream = ic_req(0, 0, 3, 0);
  const auto add = [&stream](const Bytes& bytes) {
    stream.insert(stream.end(), bytes.begin(), bytes.end());
  };
  add(capsule_cmd(link, small));
  add(capsule_cmd(link, {}));
  add(h2c_data(link, {.offset = 0}, piece));
  add(h2c_data(link, {.offset = 4096, .last = true}, piece));
  add(h2c_term_req(2, 0, 24));

  PduDecoder decoder;
  std::span<const std::byte> rest = stream;
  std::string seen;
  while (!rest.empty()) {
    const auto pdu = decoded(decoder, rest);
    if (const auto* request = std::get_if<InitializeRequest>(&pdu.header)) {
      seen += 'I';
      decoder.establish(negotiate(*request, {.maxh2cdata = 4096}).value());
      EXPECT_EQ(decoder.link(), link);
    } else if (std::holds_alternative<CommandCapsule>(pdu.header)) {
      seen += pdu.data_bytes == 0 ? 'c' : 'C';
    } else if (const auto* data = std::get_if<HostData>(&pdu.header)) {
      seen += data->last ? 'D' : 'd';
    } else {
      seen += 'T';
    }
    rest = rest.subspan(pdu.header_bytes + pdu.data_bytes + pdu.data_digest_bytes);
  }
  EXPECT_EQ(seen, "ICcdDT");
}

TEST(OffendingHeader, IsTheReceivedHeaderUpTo128Bytes) {
  const Bytes payload(300);
  const auto capsule = capsule_cmd({}, payload);
  EXPECT_EQ(offending_header(capsule).size(), 72U);
  EXPECT_EQ(offending_header(std::span(capsule).first(40)).size(), 40U);
  EXPECT_EQ(offending_header(std::span(capsule).first(3)).size(), 3U);
  EXPECT_EQ(offending_header({}).size(), 0U);
  EXPECT_EQ(offending_header(ic_req()).size(), 128U);

  auto lying = capsule;
  put(lying, 2, 0, 1);
  EXPECT_EQ(offending_header(lying).size(), 8U);
  put(lying, 2, 255, 1);
  EXPECT_EQ(offending_header(lying).size(), 72U) << "a capsule's is no longer";
  put(lying, 0, 0x42, 1);
  EXPECT_EQ(offending_header(lying).size(), 8U) << "of an unknown type, and HLEN cannot be";
  put(lying, 2, 100, 1);
  EXPECT_EQ(offending_header(lying).size(), 100U);
}

}  // namespace
}  // namespace protocol::nvme_tcp
