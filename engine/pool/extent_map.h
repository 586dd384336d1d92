// ExtentMap: where the bytes of a volume of a device pool lie on the pool's members. Address
// arithmetic alone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/format/device_pool_format.h"
#include "engine/foundation/units.h"

namespace engine {

// How the members of a device pool make one address space. docs/pool-format.md, "Device pool".
//
// The space is counted in units. A unit of a single or linear pool is one slice of one member; the
// members come one behind the other. A unit of a stripe is one slice of every member: chunk c of
// the space is on member c mod n, there at (c div n) x chunk. A slice is a whole number of chunks.
struct PoolShape {
  format::MemberLayout layout = format::MemberLayout::single;
  ByteCount chunk{};        // of a stripe; else zero
  ByteCount slice{};        // what a unit takes of a member
  ByteCount data_offset{};  // where the first slice of each member begins: behind its label area
  std::vector<std::uint64_t> member_slices;  // of each member, by its index

  [[nodiscard]] bool is_stripe() const { return layout == format::MemberLayout::stripe; }
  [[nodiscard]] ByteCount unit() const {
    return {is_stripe() ? slice.value * member_slices.size() : slice.value};
  }
  // How many units all members have together.
  [[nodiscard]] std::uint64_t units() const;
  // As many units as `bytes` take.
  [[nodiscard]] std::uint64_t units_for(ByteCount bytes) const {
    return (bytes.value + unit().value - 1) / unit().value;
  }
  friend bool operator==(const PoolShape&, const PoolShape&) = default;
};

// True for what a pool may have: 1 to 64 members (exactly one of `single`, at least two of
// `stripe`), none without a slice, equal ones of a stripe; chunk and slice are powers of two within
// their bounds, and no byte lies behind 2^62.
[[nodiscard]] bool valid(const PoolShape& shape);

// `count` units of the pool from `pool_unit` on are those of a volume from `volume_unit` on.
struct ExtentRun {
  std::uint64_t volume_unit = 0;
  std::uint64_t pool_unit = 0;
  std::uint64_t count = 0;
  friend bool operator==(const ExtentRun&, const ExtentRun&) = default;
};

// Bytes that lie one behind the other on one member.
struct ExtentPiece {
  std::uint32_t member = 0;  // its index
  MediaOffset offset;        // from the beginning of the member, label area included
  ByteCount length;
  friend bool operator==(const ExtentPiece&, const ExtentPiece&) = default;
};

// What these units take of the members: of a stripe one piece of each of them, else one of each
// that the run lies on.
[[nodiscard]] std::vector<ExtentPiece> member_ranges(const PoolShape& shape, const ExtentRun& run);

// A value: who grows a volume under I/O appends to a copy. Const members may be called by any
// thread.
//
// Invariants (check_invariants()): the parts cover the volume from its first byte without a gap, in
// order; each lies inside the pool's members, and one of a pool that is no stripe inside one
// member.
class ExtentMap {
 public:
  // Of a volume without any unit. `shape` is valid().
  explicit ExtentMap(PoolShape shape);
  ExtentMap(PoolShape shape, std::span<const ExtentRun> runs) : ExtentMap(std::move(shape)) {
    append(runs);
  }

  // More units at the end of the volume: `runs` are in order, begin where it ends now, and lie
  // inside the pool.
  void append(std::span<const ExtentRun> runs);
  // The pool has got more members, behind those that are there. Not of a stripe.
  void add_members(std::span<const std::uint64_t> slices);

  [[nodiscard]] const PoolShape& shape() const { return shape_; }
  // What all the units hold: the volume's size, rounded up to whole units.
  [[nodiscard]] ByteCount size() const { return size_; }
  // Members that have a part of the volume, ascending.
  [[nodiscard]] std::vector<std::uint32_t> members() const;

  // Where byte `offset` of the volume is, and how many of the `length` bytes from there on lie
  // behind it on the same member: at least one, all of them in the usual case. `length` is not
  // zero, and the range inside size(). O(log runs).
  [[nodiscard]] ExtentPiece find(MediaOffset offset, ByteCount length) const;

  // The whole range as pieces in the order of the volume: `visit(MediaOffset of the volume, const
  // ExtentPiece&)`.
  template <class Visitor>
  void for_each_piece(MediaOffset offset, ByteCount length, Visitor&& visit) const {
    while (length.value != 0) {
      const ExtentPiece piece = find(offset, length);
      visit(offset, piece);
      offset = offset + piece.length;
      length = length - piece.length;
    }
  }

  [[nodiscard]] bool check_invariants() const;

 private:
  // From `begin` of the volume to the next part's.
  struct Part {
    std::uint64_t begin = 0;
    std::uint64_t place = 0;   // byte of the member; of a stripe: of the pool's address space
    std::uint32_t member = 0;  // not of a stripe
  };

  void append(const ExtentRun& run);
  [[nodiscard]] std::uint64_t end_of(std::size_t part) const {
    return part + 1 < parts_.size() ? parts_[part + 1].begin : size_.value;
  }

  PoolShape shape_;
  std::vector<std::uint64_t> first_unit_;  // of each member, and of one behind the last; no stripe
  std::vector<Part> parts_;
  ByteCount size_{};
};

}  // namespace engine
