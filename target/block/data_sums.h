// DataSums: room for what is known of the checksums of a command's data, kept for the next command.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/foundation/piece_sums.h"

namespace target::block {

// One for each slot of a queue or session. Allocates until it has once been as long as it gets.
// Not thread-safe.
class DataSums {
 public:
  // For so many bytes, of which nothing is known.
  engine::PieceSums begin(std::uint32_t bytes) {
    sums_.assign(engine::PieceSums::pieces_of(bytes), {});
    bytes_ = bytes;
    return view();
  }
  void clear() { (void)begin(0); }
  // Of the data that it is for.
  [[nodiscard]] std::uint32_t bytes() const { return bytes_; }
  [[nodiscard]] engine::PieceSums view() { return {sums_, bytes_}; }

 private:
  std::vector<engine::PieceSum> sums_;
  std::uint32_t bytes_ = 0;
};

}  // namespace target::block
