// The integer and filler types that wire structs are made of. All have alignment 1, so that a
// struct of them has exactly the layout that a specification's figure draws, and can be copied out
// of any byte of a stream.
#pragma once

#include <array>
#include <boost/endian/arithmetic.hpp>
#include <cstddef>
#include <cstdint>

namespace protocol::wire {

using u8 = std::uint8_t;

using le16 = boost::endian::little_uint16_t;
using le32 = boost::endian::little_uint32_t;
using le64 = boost::endian::little_uint64_t;

using be16 = boost::endian::big_uint16_t;
using be24 = boost::endian::big_uint24_t;
using be32 = boost::endian::big_uint32_t;
using be48 = boost::endian::big_uint48_t;
using be64 = boost::endian::big_uint64_t;

static_assert(sizeof(le16) == 2 && sizeof(le32) == 4 && sizeof(le64) == 8);
static_assert(sizeof(be16) == 2 && sizeof(be24) == 3 && sizeof(be32) == 4 && sizeof(be48) == 6 &&
              sizeof(be64) == 8);
static_assert(alignof(le64) == 1 && alignof(be64) == 1);

// Bytes that a specification reserves: zero when sent (value-initialise the struct), not read when
// received.
template <std::size_t N>
using Reserved = std::array<std::uint8_t, N>;

}  // namespace protocol::wire
