// What a broken or hostile host sends: each field out of range, with the exact FES and FEI of the
// answer.
#include <gtest/gtest.h>

#include <span>

#include <algorithm>
#include <cstring>
#include <string>

#include "protocol/nvme_tcp/pdu_decoder.h"
#include "tests/protocol/nvme_tcp/host_pdus.h"
#include "tests/protocol/wire/hex.h"

namespace protocol::nvme_tcp {
namespace {

using Fes = FatalErrorStatus;

// The error, or a value that no decoder returns if there was none.
PduError error_of(const PduDecoder& decoder, std::span<const std::byte> bytes) {
  const auto result = decoder.next(bytes);
  if (result.has_error()) return result.error();
  ADD_FAILURE() << "accepted " << wire::hex(bytes.first(std::min<std::size_t>(bytes.size(), 80)));
  return {static_cast<Fes>(0xffff), 0xffffffff, {}};
}

// The same error must come back however much of the stream is there, or more bytes be asked for.
void expect_error(const PduDecoder& decoder, const Bytes& bytes, const PduError& expected,
                  const std::string& name) {
  EXPECT_EQ(error_of(decoder, bytes), expected) << name;
  for (std::size_t length = 0; length < bytes.size(); ++length) {
    const Bytes part(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(length));
    const auto result = decoder.next(part);
    if (result.has_error()) {
      EXPECT_EQ(result.error(), expected) << name << " cut to " << length;
    } else {
      EXPECT_FALSE(result.value().has_value()) << name << " cut to " << length;
    }
  }
}

std::string type_name(unsigned type) { return "type " + std::to_string(type); }

TEST(PduDecoderDamage, EveryTypeIsAcceptedOrRefusedByItsRule) {
  const auto sequence = [](PduFault fault) { return PduError{Fes::pdu_sequence_error, 0, fault}; };
  const auto type_field = [](PduFault fault) {
    return PduError{Fes::invalid_pdu_header_field, 0, fault};
  };
  const auto established = established_decoder({});
  for (unsigned type = 0; type < 256; ++type) {
    Bytes bytes(256);
    put(bytes, 0, type, 1);
    put(bytes, 2, 24, 1);
    put(bytes, 4, 256, 4);
    switch (type) {
      case 0x00:
        expect_error(established, bytes, sequence(PduFault::ic_req_repeated), type_name(type));
        break;
      case 0x01:
      case 0x03:
      case 0x05:
      case 0x07:
      case 0x09:
      case 0x0b:
        expect_error(PduDecoder{}, bytes, sequence(PduFault::wrong_direction), type_name(type));
        expect_error(established, bytes, sequence(PduFault::wrong_direction), type_name(type));
        break;
      case 0x02:
        break;  // See AMalformedTermReqIsNotAnswered.
      case 0x04:
      case 0x06:
        expect_error(PduDecoder{}, bytes, sequence(PduFault::ic_req_missing), type_name(type));
        break;
      case 0x0a:
        expect_error(PduDecoder{}, bytes, sequence(PduFault::ic_req_missing), type_name(type));
        break;  // See KdReqFields.
      default:
        expect_error(PduDecoder{}, bytes, type_field(PduFault::unknown_type), type_name(type));
        expect_error(established, bytes, type_field(PduFault::unknown_type), type_name(type));
    }
  }
}

// One field of an otherwise good PDU.
struct Damage {
  const char* name;
  std::size_t offset;
  std::size_t width;
  std::uint64_t value;
  PduError expected;
};

PduError field(std::uint32_t fei, PduFault fault) {
  return {Fes::invalid_pdu_header_field, fei, fault};
}

template <class Bytes>
void expect_each(std::span<const Damage> cases, const PduDecoder& decoder, const Bytes& good) {
  for (const Damage& damage : cases) {
    auto bytes = good;
    put(bytes, damage.offset, damage.value, damage.width);
    expect_error(decoder, bytes, damage.expected, damage.name);
  }
}

TEST(PduDecoderDamage, IcReqFields) {
  const Damage cases[] = {
      {"HDGSTF", 1, 1, 0x01, field(1, PduFault::bad_flags)},
      {"DDGSTF", 1, 1, 0x02, field(1, PduFault::bad_flags)},
      {"reserved flag", 1, 1, 0x80, field(1, PduFault::bad_flags)},
      {"HLEN 0", 2, 1, 0, field(2, PduFault::bad_hlen)},
      {"HLEN 127", 2, 1, 127, field(2, PduFault::bad_hlen)},
      {"HLEN 129", 2, 1, 129, field(2, PduFault::bad_hlen)},
      {"PLEN 0", 4, 4, 0, field(4, PduFault::bad_plen)},
      {"PLEN 127", 4, 4, 127, field(4, PduFault::bad_plen)},
      {"PLEN 129", 4, 4, 129, field(4, PduFault::bad_plen)},
      {"PLEN largest", 4, 4, 0xffffffff, field(4, PduFault::bad_plen)},
  };
  expect_each(cases, PduDecoder{}, ic_req());
}

TEST(PduDecoderDamage, KdReqFields) {
  const Damage cases[] = {
      {"HLEN 0", 2, 1, 0, field(2, PduFault::bad_hlen)},
      {"HLEN 11", 2, 1, 11, field(2, PduFault::bad_hlen)},
      {"HLEN 13", 2, 1, 13, field(2, PduFault::bad_hlen)},
      {"PDO 0", 3, 1, 0, field(3, PduFault::bad_pdo)},
      {"PDO inside the header", 3, 1, 8, field(3, PduFault::bad_pdo)},
      {"PDO behind the header", 3, 1, 16, field(3, PduFault::bad_pdo)},
      {"PLEN 0", 4, 4, 0, field(4, PduFault::bad_plen)},
      {"PLEN 11", 4, 4, 11, field(4, PduFault::bad_plen)},
      {"PLEN of half a record", 4, 4, 12 + 290 + 145, field(4, PduFault::bad_plen)},
      {"PLEN largest", 4, 4, 0xffffffff, field(4, PduFault::bad_plen)},
      {"NUMKR 0", 8, 2, 0, field(4, PduFault::bad_plen)},
      {"NUMKR 1", 8, 2, 1, field(4, PduFault::bad_plen)},
      {"NUMKR largest", 8, 2, 0xffff, field(4, PduFault::bad_plen)},
  };
  expect_each(cases, established_decoder({}), kd_req(2, 1));
}

TEST(PduDecoderDamage, CapsuleCmdFieldsWithoutDigests) {
  const Damage with_data_cases[] = {
      {"HDGSTF not negotiated", 1, 1, 0x01, field(1, PduFault::bad_flags)},
      {"DDGSTF not negotiated", 1, 1, 0x02, field(1, PduFault::bad_flags)},
      {"LAST_PDU", 1, 1, 0x04, field(1, PduFault::bad_flags)},
      {"SUCCESS", 1, 1, 0x08, field(1, PduFault::bad_flags)},
      {"reserved flag 10h", 1, 1, 0x10, field(1, PduFault::bad_flags)},
      {"reserved flag 80h", 1, 1, 0x80, field(1, PduFault::bad_flags)},
      {"HLEN 0", 2, 1, 0, field(2, PduFault::bad_hlen)},
      {"HLEN 71", 2, 1, 71, field(2, PduFault::bad_hlen)},
      {"HLEN 73", 2, 1, 73, field(2, PduFault::bad_hlen)},
      {"PDO 0", 3, 1, 0, field(3, PduFault::bad_pdo)},
      {"PDO in the header", 3, 1, 68, field(3, PduFault::bad_pdo)},
      {"PDO not a dword", 3, 1, 74, field(3, PduFault::bad_pdo)},
      {"PDO not aligned to CPDA", 3, 1, 76, field(3, PduFault::bad_pdo)},
      {"PDO at the end", 3, 1, 88, field(3, PduFault::bad_pdo)},
      {"PDO behind the end", 3, 1, 248, field(3, PduFault::bad_pdo)},
      {"PLEN 0", 4, 4, 0, field(4, PduFault::bad_plen)},
      {"PLEN in the header", 4, 4, 71, field(4, PduFault::bad_plen)},
      {"PLEN above the queue's limit",
       4,
       4,
       72 + 8193,
       {Fes::data_transfer_limit_exceeded, 0, PduFault::in_capsule_limit}},
      {"PLEN largest",
       4,
       4,
       0xffffffff,
       {Fes::data_transfer_limit_exceeded, 0, PduFault::in_capsule_limit}},
  };
  const NegotiatedLink link{.cpda = 1};
  const Bytes payload(16);
  ASSERT_EQ(capsule_cmd(link, payload).size(), 88U);
  expect_each(with_data_cases, established_decoder(link), capsule_cmd(link, payload));
  const Damage without_data_cases[] = {
      {"PDO without data", 3, 1, 71, field(3, PduFault::bad_pdo)},
      {"PLEN 0", 4, 4, 0, field(4, PduFault::bad_plen)},
      {"PLEN 8", 4, 4, 8, field(4, PduFault::bad_plen)},
      {"PLEN 71", 4, 4, 71, field(4, PduFault::bad_plen)},
      {"DDGSTF not negotiated", 1, 1, 0x02, field(1, PduFault::bad_flags)},
  };
  expect_each(without_data_cases, established_decoder(link), capsule_cmd(link, {}));
}

TEST(PduDecoderDamage, DigestFlagsMustBeWhatWasNegotiated) {
  const Bytes payload(16);
  for (unsigned negotiated = 0; negotiated < 4; ++negotiated) {
    const NegotiatedLink link{.hdgst = (negotiated & 1U) != 0, .ddgst = (negotiated & 2U) != 0};
    for (unsigned flags = 0; flags < 4; ++flags) {
      for (auto bytes : {capsule_cmd(link, payload), h2c_data(link, {}, payload)}) {
        put(bytes, 1, flags, 1);
        if (link.hdgst) refresh_header_digest(bytes, static_cast<std::size_t>(bytes[2]));
        const auto result = established_decoder(link).next(bytes);
        EXPECT_EQ(result.has_value(), flags == negotiated);
        if (flags != negotiated) {
          EXPECT_EQ(result.error(), field(1, PduFault::bad_flags));
        }
      }
    }
  }
}

TEST(PduDecoderDamage, NoRoomForTheDataDigest) {
  const NegotiatedLink link{.ddgst = true};
  const Bytes payload(16);
  for (std::uint32_t behind = 1; behind <= 4; ++behind) {
    auto bytes = capsule_cmd(link, payload);
    put(bytes, 4, 72 + behind, 4);
    expect_error(established_decoder(link), bytes, field(4, PduFault::bad_plen),
                 std::to_string(behind));
  }
}

TEST(PduDecoderDamage, H2cDataFields) {
  const Damage cases[] = {
      {"HDGSTF not negotiated", 1, 1, 0x01, field(1, PduFault::bad_flags)},
      {"SUCCESS", 1, 1, 0x08, field(1, PduFault::bad_flags)},
      {"reserved flag", 1, 1, 0x40, field(1, PduFault::bad_flags)},
      {"HLEN 23", 2, 1, 23, field(2, PduFault::bad_hlen)},
      {"HLEN 25", 2, 1, 25, field(2, PduFault::bad_hlen)},
      {"HLEN 72", 2, 1, 72, field(2, PduFault::bad_hlen)},
      {"PDO 0", 3, 1, 0, field(3, PduFault::bad_pdo)},
      {"PDO in the header", 3, 1, 20, field(3, PduFault::bad_pdo)},
      {"PDO not aligned", 3, 1, 25, field(3, PduFault::bad_pdo)},
      {"PDO at the end", 3, 1, 40, field(3, PduFault::bad_pdo)},
      {"PDO does not fit DATAL", 3, 1, 28, field(4, PduFault::bad_plen)},
      {"PLEN too short for DATAL", 4, 4, 36, field(4, PduFault::bad_plen)},
      {"PLEN too long for DATAL", 4, 4, 44, field(4, PduFault::bad_plen)},
      {"DATAL 0 with data", 16, 4, 0, field(4, PduFault::bad_plen)},
      {"DATAL too short", 16, 4, 12, field(4, PduFault::bad_plen)},
      {"DATAL too long", 16, 4, 20, field(4, PduFault::bad_plen)},
      {"DATAL largest", 16, 4, 0xffffffff, field(4, PduFault::bad_plen)},
  };
  const Bytes payload(16);
  expect_each(cases, established_decoder({}), h2c_data({}, {.last = true}, payload));
  expect_error(established_decoder({}), h2c_data({}, {}, {}), field(16, PduFault::no_data),
               "no data at all");
}

TEST(PduDecoderDamage, H2cDataUpToMaxh2cdata) {
  for (const bool digests : {false, true}) {
    const NegotiatedLink link{.hdgst = digests, .ddgst = digests, .maxh2cdata = 4096};
    const auto decoder = established_decoder(link);
    const Bytes largest(4096);
    EXPECT_TRUE(decoder.next(h2c_data(link, {}, largest)).has_value());
    const Bytes too_large(4097);
    EXPECT_EQ(error_of(decoder, h2c_data(link, {}, too_large)),
              (PduError{Fes::data_transfer_limit_exceeded, 0, PduFault::h2c_data_limit}));
  }
}

TEST(PduDecoderDamage, InCapsuleDataUpToTheLimitOfTheQueue) {
  const PduError exceeded{Fes::data_transfer_limit_exceeded, 0, PduFault::in_capsule_limit};
  const Bytes bytes_8k(8192);
  const Bytes bytes_16k(16384);
  const Bytes one_more(16385);
  for (const bool digests : {false, true}) {
    const NegotiatedLink link{.hdgst = digests, .ddgst = digests};
    auto decoder = established_decoder(link);
    EXPECT_TRUE(decoder.next(capsule_cmd(link, bytes_8k)).has_value());
    EXPECT_EQ(error_of(decoder, capsule_cmd(link, bytes_16k)), exceeded);
    decoder.limit_in_capsule(16384);
    EXPECT_TRUE(decoder.next(capsule_cmd(link, bytes_16k)).has_value());
    EXPECT_EQ(error_of(decoder, capsule_cmd(link, one_more)), exceeded);
    decoder.limit_in_capsule(0);
    EXPECT_EQ(error_of(decoder, capsule_cmd(link, Bytes(4))), exceeded);
    EXPECT_TRUE(decoder.next(capsule_cmd(link, {})).has_value());
  }
}

TEST(PduDecoderDamage, AMalformedTermReqIsNotAnswered) {
  const Damage cases[] = {
      {"flags", 1, 1, 1, {}},      {"HLEN 0", 2, 1, 0, {}},
      {"HLEN 23", 2, 1, 23, {}},   {"HLEN 25", 2, 1, 25, {}},
      {"PLEN 0", 4, 4, 0, {}},     {"PLEN 23", 4, 4, 23, {}},
      {"PLEN 153", 4, 4, 153, {}}, {"PLEN largest", 4, 4, 0xffffffff, {}},
  };
  for (const auto& damage : cases) {
    auto bytes = h2c_term_req(1, 0, 128);
    put(bytes, damage.offset, damage.value, damage.width);
    for (const auto& decoder : {PduDecoder{}, established_decoder({.hdgst = true})}) {
      const auto error = error_of(decoder, bytes);
      EXPECT_TRUE(error.closes_silently()) << damage.name;
      EXPECT_EQ(error.fault, PduFault::malformed_term_req);
    }
  }
}

// Every bit of header and digest is a digest error with the digest as received, but for a type that
// has none.
TEST(PduDecoderDamage, HeaderDigestDamageAtEveryBit) {
  const NegotiatedLink link{.hdgst = true, .ddgst = true};
  const Bytes payload(64, std::byte{0x42});
  for (const auto& good :
       {capsule_cmd(link, payload), capsule_cmd(link, {}), h2c_data(link, {}, payload)}) {
    const auto hlen = static_cast<std::size_t>(good[2]);
    for (std::size_t bit = 0; bit < 8 * (hlen + 4); ++bit) {
      auto bytes = good;
      bytes[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
      bytes.resize(good.size() + 512);  // So that a longer PLEN or PDO never just asks for more.
      const auto error = error_of(established_decoder(link), bytes);
      const auto type = static_cast<PduType>(bytes[0]);
      if (type == PduType::capsule_cmd || type == PduType::h2c_data) {
        const std::size_t at = type == PduType::capsule_cmd ? 72 : 24;
        wire::le32 received;
        std::memcpy(&received, bytes.data() + at, sizeof(received));
        const PduError digest_error{Fes::header_digest_error, received,
                                    PduFault::header_digest_mismatch};
        EXPECT_EQ(error, digest_error) << "bit " << bit;
      } else {
        EXPECT_LT(bit, 8U);
        EXPECT_NE(error.fes, Fes::header_digest_error) << "bit " << bit;
      }
    }
  }
}

TEST(PduDecoderDamage, PaddingIsNotCoveredByTheHeaderDigest) {
  const NegotiatedLink link{.hdgst = true, .cpda = 31};
  const Bytes payload(64);
  auto bytes = capsule_cmd(link, payload);
  for (std::size_t i = 76; i < 128; ++i) bytes[i] = std::byte{0xff};
  EXPECT_TRUE(established_decoder(link).next(bytes).has_value());
}

TEST(PduDecoderDamage, TheFirstBadFieldIsNamed) {
  const Bytes payload(16);
  auto bytes = h2c_data({}, {}, payload);
  put(bytes, 16, 99, 4);
  EXPECT_EQ(error_of(established_decoder({}), bytes).fei, 4U);
  put(bytes, 3, 1, 1);
  EXPECT_EQ(error_of(established_decoder({}), bytes).fei, 3U);
  put(bytes, 2, 1, 1);
  EXPECT_EQ(error_of(established_decoder({}), bytes).fei, 2U);
  put(bytes, 1, 0xf0, 1);
  EXPECT_EQ(error_of(established_decoder({}), bytes).fei, 1U);
  put(bytes, 0, 0xf0, 1);
  EXPECT_EQ(error_of(established_decoder({}), bytes).fei, 0U);
}

}  // namespace
}  // namespace protocol::nvme_tcp
