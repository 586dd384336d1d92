// What a file pool keeps of a batch of write-back beside an image: docs/pool-format.md, "Journal",
// in structs. All numbers little-endian.
#pragma once

#include <array>
#include <boost/endian/arithmetic.hpp>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "engine/format/features.h"

namespace engine::format {

using boost::endian::little_uint32_t;
using boost::endian::little_uint64_t;

struct JournalEntry {
  little_uint64_t sector;  // of 512 bytes
  little_uint32_t sectors;
  little_uint32_t kind;  // JournalPiece::Kind
};
static_assert(sizeof(JournalEntry) == 16 && alignof(JournalEntry) == 1);

// The first block of each frame of a batch; the data of its entries follows, in their order, then
// zeros up to a whole block.
inline constexpr std::array<char, 8> journal_magic{'F', 'B', 'Y', 'J', 'R', 'N', 'L', '\n'};
inline constexpr std::uint32_t journal_version = 1;
inline constexpr std::size_t most_journal_entries = 240;
struct JournalHead {
  std::array<char, 8> magic;
  little_uint32_t crc;  // CRC-32C of the struct with this field zero
  little_uint32_t version;
  Features features;
  std::array<std::byte, 16> volume_uuid;
  std::array<std::byte, 16> cache_uuid;
  little_uint64_t epoch;  // of the cache's attachment
  little_uint64_t from;   // as in the marker that makes the batch count, up to batch_bytes
  little_uint64_t to;
  little_uint64_t from_time_ms;
  little_uint64_t to_time_ms;
  little_uint64_t batch_offset;  // of the batch's first frame in the file
  little_uint64_t batch_bytes;   // of all its frames
  little_uint32_t number;        // of this frame, from 0
  little_uint32_t frames;
  little_uint32_t frame_bytes;  // of this frame, with this block
  little_uint32_t data_crc;     // CRC-32C of everything behind this block
  little_uint32_t entries;
  little_uint32_t reserved_0;
  std::array<JournalEntry, most_journal_entries> entry;  // the rest zero
  std::array<std::byte, 104> reserved;
};
static_assert(sizeof(JournalHead) == 4096 && alignof(JournalHead) == 1);
static_assert(offsetof(JournalHead, volume_uuid) == 40 && offsetof(JournalHead, cache_uuid) == 56);
static_assert(offsetof(JournalHead, epoch) == 72 && offsetof(JournalHead, from) == 80);
static_assert(offsetof(JournalHead, to) == 88 && offsetof(JournalHead, from_time_ms) == 96);
static_assert(offsetof(JournalHead, to_time_ms) == 104);
static_assert(offsetof(JournalHead, batch_offset) == 112);
static_assert(offsetof(JournalHead, batch_bytes) == 120);
static_assert(offsetof(JournalHead, number) == 128 && offsetof(JournalHead, frames) == 132);
static_assert(offsetof(JournalHead, frame_bytes) == 136 && offsetof(JournalHead, data_crc) == 140);
static_assert(offsetof(JournalHead, entries) == 144 && offsetof(JournalHead, entry) == 152);
static_assert(offsetof(JournalHead, reserved) == 3992);
static_assert(std::is_trivially_copyable_v<JournalHead> && std::is_standard_layout_v<JournalHead>);

}  // namespace engine::format
