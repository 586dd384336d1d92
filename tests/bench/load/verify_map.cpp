#include "tests/bench/load/verify_map.h"

#include <fmt/format.h>

#include <cstring>

#include "engine/foundation/crc32c.h"

namespace bench {
namespace {

constexpr std::uint64_t stamp_magic = 0x6c6f61647374616dull;

// The head of every block written; read and written by this program only, on one machine.
struct Stamp {
  std::uint64_t magic;
  std::uint64_t run;
  std::uint64_t lba;
  std::uint32_t generation;
  std::uint32_t crc;  // CRC-32C of the block with this field zero
};
static_assert(sizeof(Stamp) == 32);

std::uint32_t checksum(std::span<const std::byte> block, Stamp stamp) {
  stamp.crc = 0;
  const std::uint32_t head = engine::crc32c(std::as_bytes(std::span<const Stamp, 1>(&stamp, 1)));
  return engine::crc32c_extend(head, block.subspan(sizeof(Stamp)));
}

}  // namespace

VerifyMap::VerifyMap(Region region, std::uint32_t unit_bytes, std::uint32_t lba_bytes,
                     std::uint64_t run)
    : region_(region),
      unit_bytes_(unit_bytes),
      lba_bytes_(lba_bytes),
      run_(run),
      units_(region.units),
      filler_(std::size_t{lba_bytes} + 4096) {
  engine::SeededRandom(run).fill(filler_);
}

void VerifyMap::stamp(std::span<std::byte> block, std::uint64_t lba,
                      std::uint32_t generation) const {
  Stamp stamp{.magic = stamp_magic, .run = run_, .lba = lba, .generation = generation, .crc = 0};
  // Different bytes for each generation and place, so that a mix of two writes cannot pass.
  const std::size_t shift = (lba * 31 + generation * 7) % 4096;
  std::memcpy(block.data() + sizeof stamp, filler_.data() + shift, block.size() - sizeof stamp);
  stamp.crc = checksum(block, stamp);
  std::memcpy(block.data(), &stamp, sizeof stamp);
}

std::optional<std::uint32_t> VerifyMap::begin_write(std::uint64_t unit, std::span<std::byte> data) {
  Unit& state = at(unit);
  if (state.issued != state.acknowledged) return std::nullopt;
  ++state.issued;
  const std::uint64_t blocks = unit_bytes_ / lba_bytes_;
  for (std::uint64_t i = 0; i < blocks; ++i) {
    stamp(data.subspan(i * lba_bytes_, lba_bytes_), unit * blocks + i, state.issued);
  }
  return state.issued;
}

void VerifyMap::end_write(std::uint64_t unit, std::uint32_t generation, bool ok) {
  if (ok) at(unit).acknowledged = generation;
}

std::optional<std::string> VerifyMap::check(std::uint64_t unit, std::uint32_t floor,
                                            std::span<const std::byte> data) {
  const std::uint64_t blocks = unit_bytes_ / lba_bytes_;
  const std::uint32_t newest = at(unit).issued;
  for (std::uint64_t i = 0; i < blocks; ++i) {
    const auto block = data.subspan(i * lba_bytes_, lba_bytes_);
    const std::uint64_t lba = unit * blocks + i;
    Stamp stamp;
    std::memcpy(&stamp, block.data(), sizeof stamp);
    const bool ours = stamp.magic == stamp_magic && stamp.run == run_;
    if (!ours) {
      if (floor == 0) {
        ++unknown_blocks_;
        continue;
      }
      return fmt::format("LBA {}: lost: not a block of this run, generation {} was acknowledged",
                         lba, floor);
    }
    if (checksum(block, stamp) != stamp.crc) {
      return fmt::format("LBA {}: torn or damaged: the stamp says generation {}, its CRC is wrong",
                         lba, stamp.generation);
    }
    if (stamp.lba != lba) {
      return fmt::format("LBA {}: misplaced: this is LBA {}, generation {}", lba, stamp.lba,
                         stamp.generation);
    }
    if (stamp.generation < floor) {
      return fmt::format("LBA {}: stale: generation {}, but {} was acknowledged before the read",
                         lba, stamp.generation, floor);
    }
    if (stamp.generation > newest) {
      return fmt::format("LBA {}: generation {} was never written, the newest is {}", lba,
                         stamp.generation, newest);
    }
    ++verified_blocks_;
  }
  return std::nullopt;
}

std::optional<std::uint64_t> VerifyMap::next_written(std::uint64_t unit) const {
  for (; unit < region_.first + region_.units; ++unit) {
    if (at(unit).issued != 0) return unit;
  }
  return std::nullopt;
}

}  // namespace bench
