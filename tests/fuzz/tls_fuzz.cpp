// Bytes of a peer that has proved nothing: the text of a key, and a ClientHello however it is cut.
// What is accepted is within its bounds, and what is parsed lies within what came.
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "engine/foundation/check.h"
#include "protocol/tls/client_hello.h"
#include "protocol/tls/key_text.h"

namespace protocol::tls {
namespace {

void check_within(const void* first, std::size_t size, std::span<const std::byte> whole) {
  const auto* const at = static_cast<const std::byte*>(first);
  CHECK(at >= whole.data());
  CHECK(at + size <= whole.data() + whole.size());
}

void check_hello(std::span<const std::byte> message) {
  // An exact heap block.
  const std::vector<std::byte> block(message.begin(), message.end());
  const auto hello = parse_client_hello(block);
  if (!hello) return;
  CHECK(!hello.value().psks.empty());
  CHECK(hello.value().psks.size() <= most_offered_identities);
  check_within(hello.value().truncated.data(), hello.value().truncated.size(), block);
  for (const OfferedPsk& psk : hello.value().psks) {
    check_within(psk.identity.data(), psk.identity.size(), block);
    check_within(psk.binder.data(), psk.binder.size(), block);
    CHECK(psk.binder.data() >= hello.value().truncated.data() + hello.value().truncated.size());
  }
}

void gather(std::span<const std::byte> bytes, std::size_t step) {
  HelloGatherer gatherer;
  while (!bytes.empty()) {
    const auto piece = bytes.first(std::min(step, bytes.size()));
    bytes = bytes.subspan(piece.size());
    const auto complete = gatherer.add(piece);
    CHECK(gatherer.raw().size() <= largest_hello_bytes);
    if (!complete) return;
    if (complete.value()) return check_hello(gatherer.message());
  }
}

}  // namespace
}  // namespace protocol::tls

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace protocol::tls;
  if (size == 0) return 0;
  const auto bytes = std::as_bytes(std::span(data, size)).subspan(1);
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  const auto key = parse_key_text(text);
  if (const auto* const psk = std::get_if<ConfiguredPsk>(&key)) CHECK(key_text_of(*psk) == text);
  gather(bytes, std::size_t{data[0]} + 1);
  check_hello(bytes);
  return 0;
}
