// DH-HMAC-CHAP (NVMe Base 2.0, section 8.13.5): hashes, groups, and what both sides compute from a
// secret and a challenge.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "protocol/auth/dhchap_secret.h"

namespace protocol::auth {

// DHgIDs of a Negotiate's protocol descriptor.
enum class DhGroup : std::uint8_t {
  null = 0,  // no Diffie-Hellman
  ffdhe2048 = 1,
  ffdhe3072 = 2,
  ffdhe4096 = 3,
  ffdhe6144 = 4,
  ffdhe8192 = 5,
};
inline constexpr std::array dh_groups{DhGroup::null,      DhGroup::ffdhe2048, DhGroup::ffdhe3072,
                                      DhGroup::ffdhe4096, DhGroup::ffdhe6144, DhGroup::ffdhe8192};
// Of the prime, and so of every public value; 0 of null.
[[nodiscard]] std::size_t dh_value_bytes(DhGroup group);
inline constexpr std::size_t longest_dh_value_bytes = 1024;
// "ffdhe2048"; "none" of null.
[[nodiscard]] std::string_view name_of(DhGroup group);

inline constexpr std::size_t longest_hash_bytes = 64;
struct HashValue {
  std::array<std::byte, longest_hash_bytes> space{};
  std::size_t size = 0;
  [[nodiscard]] std::span<const std::byte> bytes() const { return std::span(space).first(size); }
  friend bool operator==(const HashValue& a, const HashValue& b) = default;
};

[[nodiscard]] HashValue hmac(DhchapHash hash, std::span<const std::byte> key,
                             std::span<const std::byte> data);

// What both sides must know alike to come to one response.
struct DhchapExchange {
  DhchapHash hash = DhchapHash::sha256;
  std::uint16_t transaction = 0;   // T_ID
  std::uint8_t concatenation = 0;  // SC_C
  std::string_view host_nqn{};
  std::string_view subsystem_nqn{};
  // The Diffie-Hellman secret g^xy mod p, as long as the prime; empty with the null group.
  std::span<const std::byte> shared_secret{};
};

// The host's, to the challenge C1 with the sequence number S1. Any thread.
[[nodiscard]] HashValue host_response(const DhchapExchange& exchange, const DhchapSecret& secret,
                                      std::span<const std::byte> challenge, std::uint32_t sequence);
// The generated PSK of secure channel concatenation: what both sides know once they have agreed,
// and nobody else (section 8.13.5.9 of later editions: HMAC(KS, C1 || C2)). Not with the null
// group.
[[nodiscard]] HashValue generated_psk(DhchapHash hash, std::span<const std::byte> shared_secret,
                                      std::span<const std::byte> host_answered,
                                      std::span<const std::byte> controller_answered);
// The controller's, to C2 with S2.
[[nodiscard]] HashValue controller_response(const DhchapExchange& exchange,
                                            const DhchapSecret& secret,
                                            std::span<const std::byte> challenge,
                                            std::uint32_t sequence);

}  // namespace protocol::auth
