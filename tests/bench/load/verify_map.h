// What every unit should hold: stamps for blocks that are written, judgement of blocks that are
// read.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "tests/bench/load/workload.h"

namespace bench {

// Each logical block carries magic, run, LBA, generation and a CRC-32C of all of it, so that a read
// tells stale, misplaced, torn and foreign data apart. Rules: one write of a unit at a time; a read
// that runs beside a write may see either. Generations of a unit count from 1; 0 is "not written in
// this run". Not thread safe: each thread has a region and a map of its own.
class VerifyMap {
 public:
  // `run` tells this run's blocks from those of earlier ones.
  VerifyMap(Region region, std::uint32_t unit_bytes, std::uint32_t lba_bytes, std::uint64_t run);

  // Stamps `data` (one unit) with the unit's next generation; nullopt while a write of it is in
  // flight.
  [[nodiscard]] std::optional<std::uint32_t> begin_write(std::uint64_t unit,
                                                         std::span<std::byte> data);
  // A write that failed leaves the unit closed to writes: what it holds is unknown.
  void end_write(std::uint64_t unit, std::uint32_t generation, bool ok);

  // The generation that a read submitted now must at least return.
  [[nodiscard]] std::uint32_t floor(std::uint64_t unit) const { return at(unit).acknowledged; }
  // Judges what was read; `floor` is from when the read was submitted. The text says what is wrong
  // (with the LBA); nullopt when all is well.
  [[nodiscard]] std::optional<std::string> check(std::uint64_t unit, std::uint32_t floor,
                                                 std::span<const std::byte> data);

  // The first unit at or after `unit` that was written in this run; nullopt at the region's end.
  [[nodiscard]] std::optional<std::uint64_t> next_written(std::uint64_t unit) const;
  [[nodiscard]] const Region& region() const { return region_; }
  // Blocks whose content was known and right, and blocks never written in this run.
  [[nodiscard]] std::uint64_t verified_blocks() const { return verified_blocks_; }
  [[nodiscard]] std::uint64_t unknown_blocks() const { return unknown_blocks_; }

  // DRAM for each unit of a region, to refuse absurd ones.
  static constexpr std::uint64_t bytes_per_unit = 8;

 private:
  struct Unit {
    std::uint32_t issued = 0;
    std::uint32_t acknowledged = 0;
  };
  [[nodiscard]] const Unit& at(std::uint64_t unit) const { return units_[unit - region_.first]; }
  [[nodiscard]] Unit& at(std::uint64_t unit) { return units_[unit - region_.first]; }
  void stamp(std::span<std::byte> block, std::uint64_t lba, std::uint32_t generation) const;

  Region region_;
  std::uint32_t unit_bytes_;
  std::uint32_t lba_bytes_;
  std::uint64_t run_;
  std::vector<Unit> units_;
  std::vector<std::byte> filler_;
  std::uint64_t verified_blocks_ = 0;
  std::uint64_t unknown_blocks_ = 0;
};

}  // namespace bench
