// CDBs, parameter lists and answers as hex text.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/scsi/answer.h"
#include "protocol/scsi/command.h"
#include "tests/protocol/wire/hex.h"

namespace protocol::scsi {

using CdbBytes = std::array<std::byte, cdb_bytes>;

// Padded with bytes that are no zeros: what is behind a CDB must not be looked at.
[[nodiscard]] inline CdbBytes cdb(std::string_view hex_text) {
  CdbBytes bytes;
  bytes.fill(std::byte{0xa5});
  const auto given = wire::bytes_from_hex(hex_text);
  std::copy(given.begin(), given.end(), bytes.begin());
  return bytes;
}

// What `put(answer)` writes into `room` bytes. The byte behind the room is watched.
template <class Put>
[[nodiscard]] std::vector<std::byte> written(const Put& put, std::size_t room = 4096) {
  std::vector<std::byte> space(room + 1, std::byte{0xa5});
  Answer answer{std::span(space).first(room)};
  put(answer);
  if (space[room] != std::byte{0xa5}) throw std::out_of_range("written behind the answer");
  const auto bytes = answer.written();
  return {bytes.begin(), bytes.end()};
}
template <class Put>
[[nodiscard]] std::string shown(const Put& put, std::size_t room = 4096) {
  return wire::hex(written(put, room));
}

// Whether an answer cut at every length is the beginning of the whole one.
template <class Put>
[[nodiscard]] bool is_cut_cleanly(const Put& put) {
  const auto whole = written(put);
  for (std::size_t room = 0; room <= whole.size(); ++room) {
    const auto cut = written(put, room);
    if (cut.size() != room || !std::equal(cut.begin(), cut.end(), whole.begin())) return false;
  }
  return true;
}

// The Sense that a parser refused with; ends the test loudly when it did not.
template <class T>
[[nodiscard]] Sense refusal(const Parsed<T>& parsed) {
  if (parsed) throw std::logic_error("it was accepted");
  return parsed.error();
}

}  // namespace protocol::scsi
