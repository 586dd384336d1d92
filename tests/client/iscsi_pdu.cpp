#include "tests/client/iscsi_pdu.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/foundation/crc32c.h"

namespace client::iscsi {
namespace {

constexpr std::size_t digest_bytes = 4;

std::size_t padded(std::size_t bytes) { return (bytes + 3) / 4 * 4; }

// The CRC goes out with its least significant byte first (section 13.1 and RFC 3720, B.4).
void append_digest(Bytes& out, std::uint32_t digest) {
  out.resize(out.size() + digest_bytes);
  put(std::span(out), out.size() - digest_bytes, digest);
}

}  // namespace

Bytes encode(const Pdu& pdu, const Framing& framing) {
  Bytes out(pdu.header.begin(), pdu.header.end());
  out.insert(out.end(), pdu.additional_header.begin(), pdu.additional_header.end());
  out.resize(padded(out.size()));
  const auto words = static_cast<std::uint8_t>((out.size() - header_bytes) / 4);
  put_big(out, 4, pdu.additional_header_words.value_or(words), 1);
  put_big(out, 5,
          pdu.data_segment_bytes.value_or(static_cast<std::uint32_t>(pdu.data.size())) & 0xffffff,
          3);
  if (framing.header_digest) append_digest(out, engine::crc32c(out) ^ pdu.header_digest_flip);
  if (pdu.data.empty()) return out;
  const std::size_t data_at = out.size();
  out.insert(out.end(), pdu.data.begin(), pdu.data.end());
  out.resize(data_at + padded(pdu.data.size()));
  if (framing.data_digest) {
    append_digest(out, engine::crc32c(std::span(out).subspan(data_at)) ^ pdu.data_digest_flip);
  }
  return out;
}

std::string ReceivedPdu::describe() const {
  return fmt::format("PDU opcode {:02x}h with {} bytes of data, header {}",
                     static_cast<unsigned>(opcode()), data.size(), to_hex(header));
}

Error violation(const std::string& what, const ReceivedPdu& pdu) {
  return {ErrorKind::violation, what + ": " + pdu.describe()};
}

Result<std::optional<ReceivedPdu>> take_pdu(Bytes& buffer, const Framing& framing) {
  if (buffer.size() < header_bytes) return std::optional<ReceivedPdu>{};
  const std::span<const std::byte> bytes(buffer);
  const std::size_t additional = get_big(bytes, 4, 1) * 4;
  const std::size_t data = get_big(bytes, 5, 3);
  const std::size_t header_digest_at = header_bytes + additional;
  const std::size_t data_at = header_digest_at + (framing.header_digest ? digest_bytes : 0);
  const std::size_t data_digest_at = data_at + padded(data);
  const std::size_t whole = data_digest_at + (framing.data_digest && data != 0 ? digest_bytes : 0);
  if (buffer.size() < whole) return std::optional<ReceivedPdu>{};
  ReceivedPdu pdu;
  std::copy_n(bytes.begin(), header_bytes, pdu.header.begin());
  const auto part = [&bytes](std::size_t from, std::size_t count) {
    const auto piece = bytes.subspan(from, count);
    return Bytes(piece.begin(), piece.end());
  };
  pdu.additional_header = part(header_bytes, additional);
  pdu.data = part(data_at, data);
  const auto padding = bytes.subspan(data_at + data, padded(data) - data);
  pdu.padding_is_zero = std::ranges::all_of(padding, [](std::byte b) { return b == std::byte{0}; });
  if (framing.header_digest) {
    pdu.header_digest_ok = get<std::uint32_t>(bytes, header_digest_at) ==
                           engine::crc32c(bytes.first(header_digest_at));
    if (!pdu.header_digest_ok) return violation("wrong header digest", pdu);
  }
  if (framing.data_digest && data != 0) {
    pdu.data_digest_ok = get<std::uint32_t>(bytes, data_digest_at) ==
                         engine::crc32c(bytes.subspan(data_at, padded(data)));
  }
  buffer.erase(buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(whole));
  return std::optional(std::move(pdu));
}

}  // namespace client::iscsi
