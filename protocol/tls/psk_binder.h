// The PSK binder: with what a ClientHello proves that its sender has the key of an identity
// (RFC 8446, 4.2.11.2).
#pragma once

#include <span>

#include "protocol/tls/hash.h"

namespace protocol::tls {

// `truncated`: ClientHello::truncated of a first hello, before which nothing was said.
[[nodiscard]] Secret external_psk_binder(Hash hash, const Secret& psk,
                                         std::span<const std::byte> truncated);

}  // namespace protocol::tls
